"""Where the files of a build come from when it is no directory: a tar, an address, a git repository, standard input."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput, RcrunError
from rcrun.storage.scratch import Scratch
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

NAMES = ("Containerfile", "Dockerfile")
_GIT_SCHEMES = ("git://", "ssh://", "git@")


def is_git(text: str) -> bool:
    """As docker tells them: by scheme, or by `.git` at the end of the path of an address."""
    return text.startswith(_GIT_SCHEMES) or (
        text.startswith(("http://", "https://")) and text.partition("#")[0].endswith(".git")
    )


def is_remote(text: str) -> bool:
    return is_git(text) or text.startswith(("http://", "https://"))


class Fetched:
    """A directory of the store's for what was brought; a context manager that removes it."""

    __slots__ = ("_scratch", "context", "path")

    def __init__(self, context: Context) -> None:
        from rcrun.storage.layout import init

        init(context.store)
        self.context = context
        self._scratch = Scratch(context.store, "context")
        self.path = ""

    def __enter__(self) -> Fetched:
        self._scratch.make_dir()
        self.path = f"{self._scratch.path}/files"
        os.mkdir(self.path, 0o755)
        return self

    def __exit__(self, *_: object) -> None:
        remove_tree(self._scratch.path)
        self._scratch.close()

    # ---- contexts

    def from_stream(self, fd: int) -> str:
        """A tar becomes files; anything else is a Containerfile, whose text is given back."""
        path = f"{self._scratch.path}/stream"
        with open(path, "wb") as file:
            while data := os.read(fd, 1 << 20):
                file.write(data)
        return self._archive_or_text(path)

    def from_address(self, url: str) -> str:
        path = f"{self._scratch.path}/stream"
        with open(path, "wb") as file:
            self.fetch(url, file.write)
        return self._archive_or_text(path)

    def _archive_or_text(self, path: str) -> str:
        from rcrun.engine.build.adding import is_archive

        if is_archive(path):
            self.unpack(path)
            return ""
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def unpack(self, path: str) -> None:
        """As who we are: owners mean nothing in a context."""
        from rcrun.engine.build.below import worker
        from rcrun.engine.build.copying import place_job

        job = place_job(self.path, owned=False, archive=True)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            worker(self.context, "place", job, stream_fd=fd, direct=True)
        finally:
            os.close(fd)

    # ---- fetching

    def fetch(self, url: str, write: object) -> None:
        from rcrun.registry.fetch import fetch

        fetch(url, self.context.environ, write)  # type: ignore[arg-type]

    def file(self, url: str, checksum: str) -> str:
        """The name that the file has in this directory."""
        import hashlib
        from urllib.parse import unquote, urlsplit

        name = os.path.basename(unquote(urlsplit(url).path))
        if not name or name in (".", ".."):
            raise InvalidInput(f'"{url}" has no name for its file', "ADD URL /PATH/OF/THE/FILE")
        algorithm, _, wanted = checksum.partition(":")
        if checksum and (algorithm not in ("sha256", "sha384", "sha512") or not wanted):
            raise InvalidInput(f'invalid --checksum "{checksum}"', "write sha256:HEX")
        content = hashlib.new(algorithm or "sha256")
        with open(f"{self.path}/{name}", "wb") as file:

            def take(data: bytes) -> None:
                content.update(data)
                file.write(data)

            self.fetch(url, take)
        if checksum and content.hexdigest() != wanted:
            raise RcrunError(
                f'"{url}" is not what was expected: its digest is "{algorithm}:{content.hexdigest()}"'
            )
        return name

    def repository(self, url: str, *, keep_git: bool = False) -> str:
        """What `URL[#REF[:FOLDER]]` names, checked out; its directory."""
        address, _, rest = url.partition("#")
        reference, _, folder = rest.partition(":")
        if address.startswith("-") or reference.startswith("-"):
            raise InvalidInput(f'"{url}" is not the address of a repository')
        git = [
            "git",
            "-C",
            self.path,
            "-c",
            "advice.detachedHead=false",
            "-c",
            "protocol.file.allow=never",
        ]
        _git([*git, "init", "-q"])
        _git([*git, "remote", "add", "origin", address])
        _git([*git, "fetch", "-q", "--depth", "1", "--tags", "origin", reference or "HEAD"])
        _git([*git, "checkout", "-q", "FETCH_HEAD"])
        _git([*git, "submodule", "update", "-q", "--init", "--recursive", "--depth", "1"])
        if not keep_git:
            remove_tree(f"{self.path}/.git")
        path = os.path.realpath(f"{self.path}/{folder}")
        if path != os.path.realpath(self.path) and not path.startswith(
            f"{os.path.realpath(self.path)}/"
        ):
            raise InvalidInput(f'"{folder}" leads out of the repository')
        if not os.path.isdir(path):
            raise InvalidInput(f'the repository has no directory "{folder}"')
        return path


def _git(argv: list[str]) -> None:
    import subprocess

    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environ
        )
    except FileNotFoundError:
        raise HostLacks("git is not installed", "run: sudo apt-get install git") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RcrunError(f"git: {said[-1] if said else f'status {done.returncode}'}")
