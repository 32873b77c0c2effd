"""The options that every command on a registry has: who we are there, how often it is tried, who signs; and what they ask for."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.declare import option, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.signing import Signing

ACCESS = (
    option("--tls-verify", is_flag=True, default=True, help="Insist on a valid certificate; --tls-verify=false allows plain HTTP too"),
    option("--creds", metavar="USER[:PASSWORD]", help="Log in as this user"),
    option("--authfile", metavar="FILE", help="Look for credentials in this file only"),
    option("--cert-dir", metavar="DIR", help="Take certificates from here too"),
)  # fmt: skip
RETRY = (
    option("--retry", "--retry-times", "retry", type=int, metavar="COUNT", help="Try so many times more; 4 if nothing is said"),
    option("--retry-delay", metavar="TIME", help="Always wait so long in between, as in 5s"),
)  # fmt: skip
POLICY = (
    option("--signature-policy", metavar="FILE", help="Take this file in the place of policy.json"),
)
SIGNING = (
    option("--sign-by", metavar="FINGERPRINT", help="Sign it with this key of GnuPG"),
    option("--sign-by-sigstore-private-key", metavar="FILE", help="Sign it as cosign does, with this private key"),
    option("--sign-passphrase-file", metavar="FILE", help="The passphrase of that key is the first line of this file"),
)  # fmt: skip
_SIGNED_BY = ("sign_by", "sign_by_sigstore_private_key", "sign_passphrase_file")


access_options = several(*ACCESS)
retry_options = several(*RETRY)
policy_options = several(*POLICY)
signing_options = several(*SIGNING)


def access_from(
    *,
    tls_verify: bool = True,
    creds: str | None = None,
    authfile: str | None = None,
    cert_dir: str | None = None,
    retry: int | None = None,
    retry_delay: str | None = None,
    signature_policy: str | None = None,
) -> Access:
    """`--config DIR` before the command means DIR/config.json, as docker has it."""
    from rcrun.engine.access import Access

    config = context.settings.config_dir
    if authfile and not os.path.exists(authfile):
        raise InvalidInput(f'cannot read credentials from "{authfile}": there is no such file')
    if config and not authfile:
        authfile = f"{config}/config.json"
    credentials = None
    if creds:
        from rcrun.registry.credentials import from_option

        credentials = from_option(creds)
    return Access(
        verify=tls_verify,
        credentials=credentials,
        authfile=authfile or "",
        cert_dir=cert_dir or "",
        policy_file=signature_policy or "",
        retries=retry,
        delay=_seconds(retry_delay),
        headers=_headers(),
    )


def _headers() -> dict[str, str]:
    """What docker's daemon would send along, of what its client is told to send."""
    custom = os.environ.get("DOCKER_CUSTOM_HEADERS", "")
    if context.settings.personality == "podman" or not (custom or context.docker_config()):
        return {}
    from rcrun.formats.dockerconfig import registry_headers

    return registry_headers(context.docker_config(), custom)


def _seconds(text: str | None) -> float | None:
    """Seconds, or a time as Go writes it."""
    if not text:
        return None
    if text.isdecimal():
        return float(text)
    from rcrun.formats import duration

    return duration.parse(text) / 1e9


def signing_from(given: dict[str, Any], identity: str = "") -> Signing | None:
    """What the options of SIGNING ask for, which are taken out of `given`; the key is read at once."""
    by, key_file, passphrase_file = (given.pop(name) for name in _SIGNED_BY)
    if not (by or key_file or passphrase_file or identity):
        return None
    from rcrun.engine.signing import Signing
    from rcrun.errors import InvalidInput

    if not (by or key_file):
        raise InvalidInput("what it is signed with is missing", "--sign-by FINGERPRINT")
    if by and key_file and passphrase_file:
        raise InvalidInput(
            "--sign-passphrase-file cannot be for two keys", "sign one after the other"
        )
    passphrase = _first_line(passphrase_file) if passphrase_file else None
    private = _private_key(key_file, passphrase) if key_file else None
    return Signing(by or "", private, passphrase, identity)


def _private_key(path: str, passphrase: bytes | None) -> Any:
    from rcrun.registry.sigstorekey import PrivateKey
    from rcrun_cli import output

    data = _read(path)
    if passphrase is None and b"ENCRYPTED" in data:
        if not output.is_terminal(0):
            from rcrun.errors import InvalidInput

            raise InvalidInput(
                f'the private key "{path}" needs a passphrase, and there is no terminal to ask for it',
                "--sign-passphrase-file FILE",
            )
        from getpass import getpass

        passphrase = getpass(f"Passphrase of {path}: ").encode()
    return PrivateKey(path, data, passphrase or b"")


def _first_line(path: str) -> bytes:
    return _read(path).partition(b"\n")[0].rstrip(b"\r")


def _read(path: str) -> bytes:
    from rcrun.errors import InvalidInput
    from rcrun.files import read_bytes

    try:
        return read_bytes(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot read "{path}": {reason}') from error
