"""A process that looks at the files of a tree before another one reads them: the kernel's own search, of an overlay through all
its layers, is most of opening them, and is done by another processor then."""

from __future__ import annotations

import os

from rcrun.storage.pack import OPEN_DIR, names_of


class WalkAhead:
    """A context manager; afterwards the process is gone, as it is when its parent is."""

    __slots__ = ("_pid", "_top_fd")

    def __init__(self, top_fd: int) -> None:
        self._top_fd = top_fd
        self._pid = 0

    def __enter__(self) -> WalkAhead:
        if (os.cpu_count() or 1) > 1:
            parent = os.getpid()
            self._pid = os.fork()
            if self._pid == 0:
                self._run(parent)
        return self

    def _run(self, parent: int) -> None:
        try:
            for fd in (0, 1):  # whoever reads from the parent must see its end
                os.close(fd)
            walk(os.open(b".", OPEN_DIR, dir_fd=self._top_fd), parent)
        finally:
            os._exit(0)

    def __exit__(self, *_: object) -> None:
        if self._pid:
            import _signal

            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)


def walk(fd: int, parent: int) -> int:
    """In the order in which a packer goes; how many there were."""
    count = 0
    levels = [(fd, names_of(fd))]
    while levels and os.getppid() == parent:
        fd, names = levels[-1]
        while names:
            base, is_file = names.pop()
            count += 1
            if not is_file and (below := _directory(base, fd)) >= 0:
                levels.append((below, names_of(below)))
                break
            os.stat(base, dir_fd=fd, follow_symlinks=False)
        else:
            os.close(levels.pop()[0])
    return count


def _directory(base: bytes, fd: int) -> int:
    try:
        return os.open(base, OPEN_DIR, dir_fd=fd)
    except NotADirectoryError:
        return -1
