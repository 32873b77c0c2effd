"""Files changed by replacement, JSON without the json package's start-up cost, and locks.

Everything here raises OSError untouched; the layer that knows the purpose gives it words.
"""

from __future__ import annotations

import _json
import fcntl
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO


class _ScannerContext:
    """What _json's scanner asks of json.JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


_scan = _json.make_scanner(_ScannerContext())  # type: ignore[arg-type]
SMALL = 1 << 16
_F_SETPIPE_SZ = 1031
PIPE_SIZE = 1 << 20
_BLANKS = " \t\n\r"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # the codec that takes it away is a module of its own


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text stands for; ValueError says where it is wrong."""
    if isinstance(text, bytes):
        text = text.removeprefix(_BYTE_ORDER_MARK).decode()
    start = len(text) - len(text.lstrip(_BLANKS))
    try:
        value, end = _scan(text, start)
        if not text[end:].strip(_BLANKS):
            return value
    except (StopIteration, SystemError, ValueError):
        pass  # the scanner words its errors with the json package, which is not imported yet
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    import json

    return json.loads(text)


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dump_json(value: object, *, ordered: bool = True) -> str:
    """Compact JSON, non-ASCII characters as they are; with sorted keys the same value gives the same text."""
    encode = _json.make_encoder(
        {}, _refuse, _json.encode_basestring, None, ":", ",", ordered, False, False
    )
    return "".join(encode(value, 0))


def read_bytes(path: str) -> bytes:
    """Of a file, or of /proc: three system calls for a small one, where open().read() makes six."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, SMALL)
        while len(data) >= SMALL and (more := os.read(fd, SMALL)):
            data += more
    except OSError as error:
        error.filename = path  # a directory
        raise
    finally:
        os.close(fd)
    return data


def read_json(path: str) -> Any:
    return parse_json(read_bytes(path))


def read_json_or_none(path: str) -> Any:
    """The value, or None when there is no such file."""
    try:
        return read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_text(path: str) -> str:
    """For what the system tells about itself: empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def write_in_place(path: str, text: str) -> None:
    """Into a file that is bound into a container: a rename would leave it with the old one."""
    if read_text(path) != text:
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode("utf-8", "surrogateescape"))


def write_json(path: str, value: object, *, durable: bool = True) -> None:
    write_file(path, (dump_json(value) + "\n").encode(), durable=durable)


def write_file(path: str, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace the file in one step; a reader sees the old content or the new."""
    aside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}~"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            write_all(fd, data)
            if durable:
                os.fdatasync(fd)
        finally:
            os.close(fd)
        os.rename(aside, path)
    except BaseException as error:
        unlink_if_there(aside)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path
        raise


def write_new(path: str, data: bytes, *, durable: bool = False) -> None:
    """A file in a directory that nobody looks into yet: no need to write it aside."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        write_all(fd, data)
        if durable:
            os.fdatasync(fd)
    except OSError as error:
        error.filename = error.filename or path
        raise
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def wide_pipe() -> tuple[int, int]:
    """With room for more than the kernel gives by itself, so that the two ends need not take turns."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(writer, _F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        pass  # pipe-user-pages-soft: it works as it is
    return reader, writer


def open_regular(path: str) -> BinaryIO:
    """For a directory that others made: a fifo in it must not hold us up."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "it is not a regular file", path)
    return open(fd, "rb")


def unlink_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def is_at(fd: int, path: str) -> bool:
    """Whether the descriptor is still the thing at the path."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


class Lock:
    """An flock on a file, made if missing; a context manager."""

    __slots__ = ("fd", "path", "shared")

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.path = path
        self.shared = shared
        self.fd = -1

    def acquire(self, *, wait: bool = True) -> bool:
        """False when somebody else has it and we were not to wait."""
        kind = fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        return True

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def subdirectories(path: str) -> Iterator[str]:
    """The names of the entries of a directory; none when it does not exist."""
    try:
        yield from os.listdir(path)
    except FileNotFoundError:
        return
