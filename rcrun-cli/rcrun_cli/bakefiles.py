"""Where the files of `bake` are: here, or in a repository or at an address; and what relative paths mean then."""

from __future__ import annotations

import os
import posixpath
import sys

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context
from rcrun_cli.buildsource import is_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.build.closing import Closing
    from rcrun.formats.bake.files import Read
    from rcrun.formats.bake.overrides import Override

LOCAL = "cwd://"


class Place:
    """`folder` is empty where files and contexts are in the working directory; `text` is a definition at an address."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.url = ""
        self.folder = ""
        self.text: str | None = None
        self.command_context = LOCAL
        self.granted: Sequence[Override] = ()

    @classmethod
    def of(cls, words: Sequence[str], stack: Closing) -> tuple[Place, list[str]]:
        """The first word may be where the definition is, the second what its BAKE_CMD_CONTEXT is."""
        from rcrun.engine.build.contexts import is_remote

        place = cls(context.environ())
        names = list(words)
        if names and is_remote(names[0]):
            place.url = names.pop(0)
            if names and is_remote(names[0]):
                place.command_context = names.pop(0)
            place._bring(stack)
        return place, names

    def _bring(self, stack: Closing) -> None:
        from rcrun.engine.build.contexts import Fetched, is_git

        _authorise(self.url, self.environ)
        fetched = stack.enter_context(Fetched(context.engine()))
        if is_git(self.url):
            self.folder = fetched.repository(self.url)
            return
        text = fetched.from_address(self.url)
        if text:
            self.text = text
        else:
            self.folder = fetched.path

    @property
    def is_remote(self) -> bool:
        return bool(self.url)

    def path(self, text: str) -> str:
        """What a context of a target names, for `build`."""
        from rcrun.engine.build.contexts import is_remote

        if text.startswith(LOCAL):
            return posixpath.normpath(text[len(LOCAL) :] or ".")
        if is_remote(text) or text.startswith(("docker-image://", "oci-layout://")):
            return text
        if not self.folder:
            return posixpath.normpath(text or ".")
        path = os.path.realpath(f"{self.folder}/{text}")
        root = os.path.realpath(self.folder)
        if path != root and not path.startswith(f"{root}/"):
            raise InvalidInput(f'"{text}" leads out of "{self.url}"', f"of here: {LOCAL}{text}")
        return path

    def shown(self, text: str) -> str:
        """The same for people: a remote one has its address."""
        from rcrun.engine.build.contexts import is_git, is_remote

        if not self.folder or text.startswith(LOCAL) or is_remote(text):
            return self.path(text)
        inside = posixpath.normpath(text)
        if inside == "." or not is_git(self.url):
            return self.url
        address, _, rest = self.url.partition("#")
        reference, _, folder = rest.partition(":")
        return f"{address}#{reference}:{posixpath.normpath(posixpath.join(folder, inside))}"


def _authorise(url: str, environ: Mapping[str, str]) -> None:
    """GitHub's action has a token for private repositories; git gets it for that host alone, and what we start does."""
    token = environ.get("BUILDX_BAKE_GIT_AUTH_TOKEN")
    if not token or not url.startswith("https://") or "GIT_CONFIG_COUNT" in environ:
        return
    import base64

    host = "/".join(url.split("/")[:3])
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    os.environ["GIT_CONFIG_COUNT"] = "1"
    os.environ["GIT_CONFIG_KEY_0"] = f"http.{host}/.extraheader"
    os.environ["GIT_CONFIG_VALUE_0"] = f"Authorization: Basic {basic}"


def read(place: Place, names: Sequence[str], variables: Mapping[str, str]) -> Read:
    if _is_true(place.environ, "BUILDX_BAKE_FILE_RELATIVE_PATHS"):
        raise InvalidInput(
            "BUILDX_BAKE_FILE_RELATIVE_PATHS is not possible: paths begin in the working directory",
            "cd to where they begin, and unset it",
        )
    from rcrun.formats.bake.compose import environment
    from rcrun.formats.bake.files import read as parsed
    from rcrun.formats.image import platform_text
    from rcrun.storage.images import wanted

    architecture, variant = wanted("")
    platform = platform_text({"os": "linux", "architecture": architecture, "variant": variant})
    built_in = {"BAKE_CMD_CONTEXT": place.command_context, "BAKE_LOCAL_PLATFORM": platform}
    known = {} if _is_true(place.environ, "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP") else place.environ
    of_compose = {**environment(_text_beside(".env"), known), **variables}
    return parsed(_files(place, names), {**known, **variables}.get, built_in, of_compose.get)


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in ("1", "t", "true")


def _text_beside(name: str) -> str:
    if not os.path.isfile(name):
        return ""
    with open(name, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _files(place: Place, names: Sequence[str]) -> list[tuple[str, bytes]]:
    names = names or _of_environment(place.environ)
    here = [name[len(LOCAL) :] for name in names if name.startswith(LOCAL)]
    if not place.is_remote:
        found = _read_all([name.removeprefix(LOCAL) for name in names], "")
    elif place.text is not None:
        found = [(place.url, place.text.encode("utf-8", "surrogateescape"))]
        found += _read_all(here, "") if here else []
    else:
        there = [name for name in names if not name.startswith(LOCAL)]
        found = _read_all(there, place.folder) if there or not here else []
        found += _read_all(here, "") if here else []
    if not found:
        hint = "write docker-bake.hcl, or name a file: -f FILE"
        raise NotFound("there is no definition here", hint)
    return found


def _of_environment(environ: Mapping[str, str]) -> list[str]:
    separator = environ.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
    words = environ.get("BUILDX_BAKE_FILE", "").split(separator)
    return [word.strip() for word in words if word.strip()]


def _read_all(names: Sequence[str], folder: str) -> list[tuple[str, bytes]]:
    """Those named, or those of the usual names that are there."""
    from rcrun.formats.bake.files import NAMES

    found = []
    for name in names or NAMES:
        path = f"{folder}/{name}" if folder else name
        if name == "-" and not folder:
            found.append((name, sys.stdin.buffer.read()))
        elif names or os.path.isfile(path):
            found.append((name, _content(path, name, folder)))
    return found


def _content(path: str, name: str, folder: str) -> bytes:
    if folder and not os.path.realpath(path).startswith(f"{os.path.realpath(folder)}/"):
        raise InvalidInput(f'"{name}" leads out of the repository', f"of here: -f {LOCAL}{name}")
    if os.path.exists(path) and not os.path.isfile(path) and not is_pipe(path):
        raise InvalidInput(f'"{name}" is not a file')
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise NotFound(f'cannot read "{name}": {(error.strerror or "").lower()}') from error
