"""What a registry answered, or why it did not, in words with a hint."""

from __future__ import annotations

import http.client
import socket
import ssl

from rcrun.errors import NotFound, RcrunError, RegistryError
from rcrun.files import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.registry.credentials import Lookup

LONGEST_REASON = 300
CERTS = "~/.config/containers/certs.d"


def unreachable(host: str, error: Exception) -> RegistryError:
    """No answer: the name, the network, TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return RegistryError(
            f'cannot trust registry "{host}": {error.verify_message}',
            f"put the certificate of its authority into {CERTS}/{host}/ca.crt, or use --tls-verify=false",
        )
    if isinstance(error, ssl.SSLError) and error.reason in (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "RECORD_LAYER_FAILURE",
    ):
        return RegistryError(
            f'registry "{host}" speaks plain HTTP, not TLS',
            "if you trust the network to it, use --tls-verify=false",
        )
    if isinstance(error, socket.gaierror):
        return RegistryError(
            f'cannot reach registry "{host}": {_resolver_reason(error)}',
            "check the name and the network; behind a proxy set HTTPS_PROXY",
        )
    return RegistryError(
        f'cannot reach registry "{host}": {_reason(error)}',
        "check that the registry runs and the network; behind a proxy set HTTPS_PROXY",
    )


def broken(host: str, what: str, error: Exception | None) -> RegistryError:
    """The connection broke more often than we try again."""
    reason = _reason(error) if error else "it ended too early"
    return RegistryError(
        f'cannot get {what} from registry "{host}": {reason}',
        "run the command again: what has arrived is kept",
    )


def broken_upload(host: str, what: str, error: Exception | None) -> RegistryError:
    reason = _reason(error) if error else "it lost what it had received"
    return RegistryError(
        f'cannot send {what} to registry "{host}": {reason}',
        "run the command again: what the registry has is not sent twice",
    )


def _resolver_reason(error: socket.gaierror) -> str:
    if error.errno == socket.EAI_NONAME:
        return "the host name is not known"
    return (error.strerror or "its address cannot be found").lower()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return "it closed the connection"
    if isinstance(error, http.client.IncompleteRead):
        return "it closed the connection too early"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def refused(
    status: int, body: bytes, domain: str, lookup: Lookup, *, what: str = "", host: str = ""
) -> RcrunError:
    """An answer that is no success. `what` is the thing asked for, as it is shown to people."""
    reason = reason_in(body)
    where = f'registry "{host or domain}"'
    if status == 401 or status == 403:
        return _denied(status, reason, domain, lookup, what)
    if status == 404:
        return NotFound(f"{what or 'this'} not found in {where}{_colon(reason)}")
    if status == 429:
        return RegistryError(
            f"{where} allows no more requests for now{_colon(reason)}",
            f"wait, or log in for a higher limit: rcrun login {domain}",
            http_status=status,
        )
    shown = f" for {what}" if what else ""
    phrase = http.client.responses.get(status, "").lower()
    return RegistryError(
        f"{where} answered {status} {phrase}{shown}{_colon(reason)}".replace("  ", " "),
        http_status=status,
    )


def _denied(status: int, reason: str, domain: str, lookup: Lookup, what: str) -> RegistryError:
    used = lookup.credentials
    if used:
        who = f'the user "{used.username}"' if used.username else "the identity token"
        return RegistryError(
            f'registry "{domain}" denies access{_to(what)} to {who} of {used.source}{_colon(reason)}',
            f"check the name, or log in again: rcrun login {domain}",
            http_status=status,
        )
    hint = f"check the name; if it is private: rcrun login {domain}"
    return RegistryError(
        f'registry "{domain}" denies access{_to(what)}: it does not exist or needs a login{_colon(reason)}',
        f"{hint} ({lookup.trouble})" if lookup.trouble else hint,
        http_status=status,
    )


def _to(what: str) -> str:
    return f" to {what}" if what else ""


def _colon(reason: str) -> str:
    return f": {reason}" if reason else ""


def reason_in(body: bytes) -> str:
    """The messages of an error document of the distribution or token API; empty when there are none."""
    try:
        document = parse_json(body)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    entries = errors if isinstance(errors, list) and errors else [document]
    said = [_said(entry) for entry in entries if isinstance(entry, dict)]
    text = "; ".join(dict.fromkeys(filter(None, said)))
    # It ends up on a terminal: the registry may not send control characters there.
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain[:LONGEST_REASON]


def _said(entry: dict[str, object]) -> str:
    code = str(entry.get("code") or "").lower().replace("_", " ")
    message = str(
        entry.get("message") or entry.get("details") or entry.get("error_description") or ""
    )
    if not code or code == message.lower():
        return message
    return f"{code}: {message}" if message else code
