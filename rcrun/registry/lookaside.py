"""Where the signatures of an image lie: registries.d (containers-registries.d(5)), files and servers beside the registry."""

from __future__ import annotations

import base64
import os
from urllib.parse import quote, unquote, urlsplit

from rcrun.errors import InvalidInput, RegistryError, unreadable
from rcrun.files import write_file
from rcrun.formats.policy import docker_scopes
from rcrun.registry.payload import Refused, strict_json
from rcrun.registry.settings import SYSTEM, user_dir
from rcrun.registry.sigstore import Sigstore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.reference import Reference

MOST = 128
LARGEST = 4 << 20
JSON_MARK = b"\x00sigstore-json\n"
_TEXTS = ("lookaside", "lookaside-staging", "sigstore", "sigstore-staging")
_SWITCH = "use-sigstore-attachments"


class Lookaside:
    """All files of the one directory that counts: the user's own, else the administrator's."""

    def __init__(self, environ: Mapping[str, str], system: str = SYSTEM) -> None:
        self._environ = environ
        own = user_dir(environ)
        folder = f"{own}/registries.d"
        self.folder = folder if own and os.path.exists(folder) else f"{system}/registries.d"
        self._default: dict[str, Any] = {}
        self._docker: dict[str, dict[str, Any]] = {}
        self._read_all()

    def uses_attachments(self, reference: Reference) -> bool:
        """Whether the registry itself is asked for signatures of cosign's kind."""
        for table in self._tables(reference):
            if _SWITCH in table:
                return bool(table[_SWITCH])
        return False

    def base(self, reference: Reference, *, write: bool = False) -> str:
        """The URL beneath which they lie; where it is read from, or with `write` written to."""
        names = ("lookaside-staging", "sigstore-staging") if write else ()
        for table in self._tables(reference):
            for name in (*names, "lookaside", "sigstore"):
                if table.get(name):
                    return f"{str(table[name]).rstrip('/')}/{reference.path}"
        home = self._environ.get("HOME", "")
        folder = f"{home}/.local/share" if os.geteuid() else "/var/lib"
        return f"file://{quote(folder)}/containers/sigstore/{reference.path}"

    def signatures(self, reference: Reference, digest: str) -> list[bytes]:
        """Every one, from number 1 on, until one is missing."""
        base = f"{self.base(reference)}@{digest.replace(':', '=')}"
        found: list[bytes] = []
        while len(found) < MOST:
            data = self._fetch(f"{base}/signature-{len(found) + 1}")
            if data is None:
                return found
            found.append(data)
        raise RegistryError(f'there are more than {MOST} signatures at "{base}"')

    def staged(self, reference: Reference, digest: str) -> list[bytes]:
        """Those that are where new ones are written."""
        folder = self._folder(reference, digest)
        found: list[bytes] = []
        while (data := read_file(f"{folder}/signature-{len(found) + 1}")) is not None:
            found.append(data)
        return found

    def add(self, reference: Reference, digest: str, signature: bytes) -> None:
        """Behind those that are there, whole or not at all."""
        folder = self._folder(reference, digest)
        draft = f"{folder}/.draft-{os.getpid()}"
        try:
            os.makedirs(folder, exist_ok=True)
            write_file(draft, signature)
            _give_number(draft, folder)
            os.unlink(draft)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise InvalidInput(
                f'cannot write a signature to "{folder}": {reason}',
                f'"{self.folder}" says where: lookaside-staging',
            ) from error

    def _folder(self, reference: Reference, digest: str) -> str:
        url = f"{self.base(reference, write=True)}@{digest.replace(':', '=')}"
        parts = urlsplit(url)
        if parts.scheme != "file":
            raise InvalidInput(
                f'cannot write a signature to "{url}"',
                f'name a directory in "{self.folder}": lookaside-staging: file:///DIR',
            )
        return unquote(parts.path)

    def _fetch(self, url: str) -> bytes | None:
        parts = urlsplit(url)
        if parts.scheme == "file":
            return read_file(unquote(parts.path))
        if parts.scheme in ("http", "https"):
            return self._download(url)
        raise InvalidInput(
            f'"{self.folder}" says that signatures are at "{url}"',
            "use file://, http:// or https://",
        )

    def _download(self, url: str) -> bytes | None:
        from rcrun.registry.fetch import fetch

        pieces: list[bytes] = []

        def write(data: bytes) -> None:
            pieces.append(data)
            if sum(map(len, pieces)) > LARGEST:
                raise RegistryError(f'"{url}" is too long for a signature')

        try:
            fetch(url, self._environ, write)
        except RegistryError as error:
            if error.http_status == 404:
                return None
            raise
        return b"".join(pieces)

    def _tables(self, reference: Reference) -> list[dict[str, Any]]:
        """What is said of it, the most special first."""
        named = [self._docker[scope] for scope in docker_scopes(reference) if scope in self._docker]
        return [*named, self._default]

    def _read_all(self) -> None:
        try:
            names = sorted(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise unreadable(self.folder, error) from error
        for name in names:
            if name.endswith(".yaml"):
                self._read(f"{self.folder}/{name}")

    def _read(self, path: str) -> None:
        from rcrun.packages import installed

        yaml = installed("yaml")
        try:
            with open(path, "rb") as file:
                document = yaml.safe_load(file)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(path, error) from error
        except (yaml.YAMLError, ValueError) as error:
            raise InvalidInput(f'"{path}" is not valid YAML: {error}') from error
        whole = _table(document, path, "it")
        default = whole.get("default-docker")
        if default is not None:
            if self._default:
                raise InvalidInput(f'"{path}" cannot be used: another file has default-docker too')
            self._default = _namespace(default, path, "default-docker")
        for scope, value in _table(whole.get("docker"), path, "docker").items():
            if scope in self._docker:
                raise InvalidInput(f'"{path}" cannot be used: another file has "{scope}" too')
            self._docker[str(scope)] = _namespace(value, path, f"docker: {scope}")


def _give_number(draft: str, folder: str) -> None:
    """The first that is free; who signs at the same moment gets another."""
    for number in range(1, MOST):
        try:
            os.link(draft, f"{folder}/signature-{number}")
            return
        except FileExistsError:
            continue
    raise InvalidInput(f'"{folder}" has {MOST - 1} signatures', "remove those that are obsolete")


def parted(data: bytes) -> bytes | Sigstore:
    """What a file of signatures holds: a message of OpenPGP, or cosign's kind as JSON."""
    if not data.startswith(JSON_MARK):
        return data
    value = strict_json(data[len(JSON_MARK) :])
    try:
        payload = base64.b64decode(value["payload"], validate=True)
        return Sigstore(str(value["mimeType"]), payload, dict(value["annotations"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"a signature lacks what it needs: {error}") from error


def read_file(path: str) -> bytes | None:
    """None when there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) > LARGEST:
        raise InvalidInput(f'"{path}" is too long for a signature')
    return data


def _namespace(value: object, path: str, where: str) -> dict[str, Any]:
    table = _table(value, path, where)
    for name in _TEXTS:
        if not isinstance(table.get(name, ""), str):
            raise InvalidInput(f'"{path}" cannot be used: {where}: {name} is not a text')
    if not isinstance(table.get(_SWITCH, False), bool):
        raise InvalidInput(f'"{path}" cannot be used: {where}: {_SWITCH} is neither true nor false')
    return table


def _table(value: object, path: str, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f'"{path}" cannot be used: {where} is not a map')
    return value
