"""COPY and ADD: sources from the context, a stage, an image, a here-document or a URL, into the root of a stage."""

from __future__ import annotations

import os

from rcrun.engine.build.below import lowers_of, worker
from rcrun.errors import InvalidInput, RcrunError
from rcrun.files import wide_pipe
from rcrun.formats import passwd
from rcrun.formats.containerfile.instructions import without_marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.build.root import StepRoot
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.formats.containerfile.instructions import Instruction
    from rcrun.storage.lease import Lease

    Job = dict[str, Any]

MOST_KEPT = 1 << 28


class Tree:
    """Where sources are: a directory as the caller sees it, or layers that are mounted for the occasion."""

    __slots__ = ("ignore", "lowers", "path", "steps")

    def __init__(
        self,
        path: str,
        steps: list[list[str]] | None = None,
        ignore: Sequence[str] = (),
        lowers: Sequence[str] = (),
    ) -> None:
        self.lowers = list(lowers)
        self.path = path
        self.steps = steps
        self.ignore = list(ignore)


def merged_tree(context: Context, state: State, lease: Lease) -> Tree:
    """The layers as a worker sees them together, read-only."""
    from rcrun.engine.launch import overlay_options

    lowers = lowers_of(context, state, lease)
    steps = [["propagation", "rprivate"]]
    if len(lowers) > 1:
        # An overlay that nothing is written to takes layers alone, and stands on the topmost.
        steps.append(["root-overlay", "", "", overlay_options(context, {}), *lowers])
    return Tree(lowers[0], steps, lowers=lowers)


class Copy:
    """One instruction with its words expanded."""

    def __init__(self, instruction: Instruction, state: State, epoch: int) -> None:
        expand = state.expander(instruction)
        words = [expand.word(word) for word in without_marks(instruction)]
        if not words or (len(words) < 2 and not instruction.heredocs):
            raise instruction.fault(
                f"{instruction.name} takes a source and a destination",
                f"{instruction.name} SOURCE… DESTINATION",
            )
        self.instruction = instruction
        self.sources = words[:-1]
        self.typed = words[-1]
        self.path = state.absolute(words[-1])
        self.epoch = epoch
        self.chown = expand.word(instruction.flag("chown"))
        self.mode = _mode(instruction, expand.word(instruction.flag("chmod")))
        self.exclude = [expand.word(word) for word in instruction.flags.get("exclude") or []]
        self.parents = instruction.has("parents")
        self.checksum = expand.word(instruction.flag("checksum"))
        self.files = [
            (each.name, expand.unescaped(each.content) if each.expands else each.content)
            for each in instruction.heredocs
        ]
        count = len(self.sources) + len(self.files)
        if count > 1 and not self.path.endswith("/"):
            raise instruction.fault(
                f'with several sources the destination "{words[-1]}" must end with a slash'
            )

    def job(self, tree: Tree, owner: tuple[int, int] | None) -> Job:
        return {
            "root": tree.path,
            "sources": self.sources,
            "ignore": tree.ignore,
            "exclude": self.exclude,
            "parents": self.parents,
            "mtime": None if tree.steps is not None else self.epoch,
            "owner": owner if owner is not None or tree.steps is not None else (0, 0),
            "mode": self.mode,
            "lowers": tree.lowers,
        }

    def texts_job(self, owner: tuple[int, int] | None) -> Job:
        return {"files": self.files, "mode": self.mode, "mtime": self.epoch, "owner": owner}


def _mode(instruction: Instruction, text: str) -> str | None:
    if not text:
        return None
    from rcrun.formats.chmod import check

    try:
        check(text)
    except InvalidInput as error:
        raise instruction.fault(f"--chmod: {error.message}", error.hint) from error
    return text


def owner_of(copy: Copy, passwd_text: str, group_text: str) -> tuple[int, int] | None:
    """Numbers of --chown, of names by the image's own files; a number alone is the group's, too. None: not given."""
    if not copy.chown:
        return None
    try:
        user = passwd.lookup(copy.chown, passwd_text, group_text)
    except RcrunError as error:
        raise copy.instruction.fault(f'--chown "{copy.chown}": {error.message}') from error
    is_number = copy.chown.isdecimal()
    return user.uid, user.uid if is_number else user.gid


class Stream:
    """A worker's tar in a pipe: its digest, or into another worker. `kinds` are those of the sources, known afterwards."""

    def __init__(self, context: Context, command: str, job: Job, tree: Tree) -> None:
        self.context = context
        self.command = command
        self.job = job
        self.tree = tree
        self.kinds: list[str] = []
        self._kept = -1

    def digest(self, *, keep: bool = False) -> str:
        """Of everything that the destination will be given: names, modes, owners, contents.

        `keep` it for `into`, which reads the sources again if it was too much; `close` ends that.
        """
        fd = self._file() if keep else -1
        most = MOST_KEPT if fd >= 0 else 0
        if fd < 0:
            fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        found: dict[str, Any] = {}
        try:
            said = self._worker({**self.job, "most": most}, fd)
            found = next(event for event in said if "digest" in event)
        finally:
            if not found.get("kept"):
                os.close(fd)
        self.kinds = [event["kind"] for event in said if "kind" in event]
        self._kept = fd if found["kept"] else -1
        return str(found["digest"])

    def _file(self) -> int:
        """Without a name; -1 where the file system has none such."""
        try:
            flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
            return os.open(self.context.store.tmp_dir(), flags, 0o600)
        except OSError:
            return -1

    def close(self) -> None:
        if self._kept >= 0:
            os.close(self._kept)
            self._kept = -1

    def into(self, job: Job, steps: list[list[str]] | None = None, *, direct: bool = False) -> None:
        """Beneath the directory that `place_job` made `job` for; `direct`: as who we are."""
        if self._kept >= 0:
            os.lseek(self._kept, 0, os.SEEK_SET)
            worker(self.context, "place", job, stream_fd=self._kept, steps=steps, direct=direct)
            return
        reader, writer = wide_pipe()
        sender = _Sender(self, writer)
        try:
            worker(self.context, "place", job, stream_fd=reader, steps=steps, direct=direct)
        except BaseException:
            os.close(reader)
            sender.join()  # its failure has ours for a reason
            raise
        os.close(reader)
        sender.finish()

    def send(self, fd: int) -> list[dict[str, Any]]:
        return self._worker(self.job, fd)

    def _worker(self, job: Job, fd: int) -> list[dict[str, Any]]:
        return worker(
            self.context,
            self.command,
            job,
            stream_fd=fd,
            steps=self.tree.steps,
            direct=self.tree.steps is None,
        )


class _Sender:
    """The sending worker, in a thread."""

    def __init__(self, stream: Stream, fd: int) -> None:
        import threading

        self._stream = stream
        self._fd = fd
        self._said: list[dict[str, Any]] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._said = self._stream.send(self._fd)
        except BaseException as error:
            self._error = error
        finally:
            os.close(self._fd)

    def join(self) -> None:
        self._thread.join()

    def finish(self) -> None:
        self.join()
        if self._error is not None:
            raise self._error
        self._stream.kinds = [event["kind"] for event in self._said if "kind" in event]


def place_job(
    root: str,
    path: str = "/",
    *,
    owner: tuple[int, int] | None = None,
    owned: bool = True,
    single: bool = False,
    archive: bool = False,
    set_id: bool = True,
    log: str = "",
) -> Job:
    """What storage/placing.py does with a tar; not `owned`: everything belongs to who does it."""
    return {
        "root": root,
        "path": path,
        "single": single,
        "archive": archive,
        "owner": owner,
        "unowned": not owned,
        "set_id": set_id,
        "log": log,
    }


def copy_job(
    copy: Copy,
    kinds: Sequence[str],
    root: StepRoot,
    owner: tuple[int, int] | None,
    *,
    archive: bool,
) -> Job:
    """Into a step's root; in the single-id mode all files there are of one owner, and the true ones are noted."""
    from rcrun.storage.marks import LOG

    is_single_id = root.context.identity.kind == "single"
    return place_job(
        root.path,
        copy.path,
        owner=owner or (0, 0),
        single=_is_named(copy, kinds) and not archive,
        archive=archive,
        log=root.claim.container.path(LOG) if is_single_id else "",
    )


def _is_named(copy: Copy, kinds: Sequence[str]) -> bool:
    """Whether the destination may be the file's own name; of several that a pattern fits the last one has it."""
    is_plain = bool(kinds) and "directory" not in kinds and not copy.parents
    return is_plain and (len(kinds) == 1 or not copy.path.endswith("/"))
