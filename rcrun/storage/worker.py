"""The part of the store's work that needs all our ids: run by the shim in a user namespace, or by root.

`python -BIS worker.py COMMAND …`; events go to standard output as JSON lines (work.py).
"""

from __future__ import annotations

import _signal as signal
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rcrun.errors import RcrunError
from rcrun.files import dump_json, parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def say(event: object) -> None:
    """Whoever started us may be gone: the work goes on."""
    try:
        os.write(1, (dump_json(event) + "\n").encode("utf-8", "surrogateescape"))
    except BrokenPipeError:
        pass


def unpack(words: Sequence[str]) -> None:
    """STORE KIND SYNC OTHER…: the layers that standard input names, from their blobs in any of these stores."""
    from rcrun.storage.unpacking import Job, Unpacking

    store_dir, kind, sync, *others = words
    Unpacking(store_dir, kind, say, sync=sync == "sync", others=others).all(Job.read_all(0))


def settle(words: Sequence[str]) -> None:
    """STORE COUNT OTHER… KIND CHAIN…: give implied directories the look of the layers below; bottom first."""
    from rcrun.storage.settling import settle as settle_layer

    store_dir, count, *rest = words
    others, (kind, *chains) = rest[: int(count)], rest[int(count) :]
    for chain in chains:
        settle_layer(store_dir, others, kind, chain)


def compare(words: Sequence[str]) -> None:
    """STORE KIND JOB…: tell of layers that are not what their blobs unpack to."""
    from rcrun.storage import comparing

    store_dir, kind, *jobs = words
    comparing.compare(store_dir, kind, jobs, say)


def remove(words: Sequence[str]) -> None:
    """PATH…: remove trees."""
    from rcrun.storage.trees import remove_tree

    for path in words:
        remove_tree(path)


def sweep(words: Sequence[str]) -> None:
    """PATH…: remove what is left over, as far as that goes; somebody else may be at it."""
    for path in words:
        try:
            remove([path])
        except OSError:
            continue


def subtree(words: Sequence[str]) -> None:
    """ROOT PATH…: for each a mount that shows what PATH is inside of ROOT, sent through the socket 0."""
    from rcrun.storage.subtree import send

    send(0, words[0], words[1:])


def trees(words: Sequence[str]) -> None:
    """PATH…: for each a mount that shows it, sent through the socket 0."""
    from rcrun.storage.subtree import send_paths

    send_paths(0, words)


def export_volume(words: Sequence[str]) -> None:
    """DIR: its files as a tar, to the file 0."""
    from rcrun.storage.volumetar import export_tree

    try:
        say({"skipped": export_tree(words[0], 0)})
    except BrokenPipeError:
        say({"reader_gone": True})
    except OSError as error:
        raise RcrunError(f"cannot write the archive: {os_error_text(error)}") from error


def import_volume(words: Sequence[str]) -> None:
    """DIR: the files of the tar that comes from the file 0, into it."""
    from rcrun.storage.volumetar import import_tree

    say({"skipped": import_tree(words[0], 0)})


def send(words: Sequence[str]) -> None:
    """JOB: what is copied, as a tar to descriptor 0."""
    from rcrun.storage import copying

    copying.send(parse_json(words[0]), say)


def receive(words: Sequence[str]) -> None:
    """JOB: the tar from descriptor 0 into a container, or out of one."""
    from rcrun.storage import copying

    copying.receive(parse_json(words[0]), say)


def gather(words: Sequence[str]) -> None:
    """JOB: sources of COPY and ADD, as a tar to descriptor 0."""
    from rcrun.storage import gathering

    gathering.gather(parse_json(words[0]), say)


def texts(words: Sequence[str]) -> None:
    """JOB: here-documents of COPY, as a tar to descriptor 0."""
    from rcrun.storage import gathering

    gathering.texts(parse_json(words[0]), say)


def place(words: Sequence[str]) -> None:
    """JOB: the tar from descriptor 0 into a root that is being built."""
    from rcrun.storage import placing

    placing.place(parse_json(words[0]), say)


def workdir(words: Sequence[str]) -> None:
    """JOB: a directory in a root that is being built."""
    from rcrun.storage import placing

    placing.workdir(parse_json(words[0]), say)


def tar_split(words: Sequence[str]) -> None:
    """SPLIT DIR: a layer of podman's store as a tar to descriptor 0."""
    from rcrun.storage import tarsplit

    tarsplit.tell(words, say)


def from_headers(words: Sequence[str]) -> None:
    """HEADERS DIFF: a layer whose blob was dropped as the tar that it was, to descriptor 0."""
    from rcrun.storage import keptheaders

    keptheaders.tell(words, say)


def keep_headers(words: Sequence[str]) -> None:
    """JOB: what must be on the disk before the blobs of layers are dropped."""
    from rcrun.storage import keptheaders

    keptheaders.prepare(parse_json(words[0]), say)


def check_headers(words: Sequence[str]) -> None:
    """STORE KIND (HEX CHAIN)…: tell of layers that are not the tars any more that they were."""
    from rcrun.storage import keptheaders

    keptheaders.check(words, say)


def new_layer(words: Sequence[str]) -> None:
    """FD: what a container changed, as a layer of the store; its tar to the file 0. The job comes by FD, or never."""
    from rcrun.storage import newlayer

    with open(int(words[0]), "rb") as file:
        data = file.read()
    if data:
        newlayer.make(parse_json(data), say, 0, newlayer.as_worker())


def job(name: str) -> Callable[[Sequence[str]], None]:
    """JOB: what layerwrite.py has under this name."""

    def run(words: Sequence[str]) -> None:
        from rcrun.storage import layerwrite

        getattr(layerwrite, name)(parse_json(words[0]), say)

    return run


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "unpack": unpack,
    "settle": settle,
    "compare": compare,
    "remove": remove,
    "sweep": sweep,
    "subtree": subtree,
    "trees": trees,
    "export-volume": export_volume,
    "import-volume": import_volume,
    "send": send,
    "receive": receive,
    "gather": gather,
    "texts": texts,
    "place": place,
    "tar-split": tar_split,
    "from-headers": from_headers,
    "keep-headers": keep_headers,
    "check-headers": check_headers,
    "workdir": workdir,
    "changes": job("tell"),
    "layer": job("layer"),
    "new-layer": new_layer,
    "export": job("export"),
}


def name_process(command: str) -> None:
    try:
        import prctl
    except ImportError:
        return
    prctl.set_name(f"rcrun:{command}")


def main(words: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.umask(0)
    name_process(words[0])
    try:
        COMMANDS[words[0]](words[1:])
    except RcrunError as error:
        return failed(error)
    except BrokenPipeError:
        from rcrun.storage.work import NOBODY_READS

        return NOBODY_READS
    except OSError as error:
        return failed(RcrunError(os_error_text(error)))
    except KeyboardInterrupt:
        return 130
    return 0


def failed(error: RcrunError) -> int:
    from rcrun.storage.work import described

    say({"error": described(error)})
    return 1


def os_error_text(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f'"{error.filename}": {reason}' if error.filename else reason


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # to take the interpreter apart lasts milliseconds
