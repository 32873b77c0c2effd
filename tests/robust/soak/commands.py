"""The commands of the soak, at random, and the answers that each may get whatever the others do meanwhile."""

from __future__ import annotations

import random
import re

from robust.soak.calling import Answer
from robust.soak.world import PORTS

NAMES = ("red", "green", "blue", "white", "black", "grey", "brown")
VOLUMES = ("milk", "water", "wine")
IMAGES = ("soak-one", "soak-two")
LABEL = ("--label", "soak=shared")

PROGRAMS = (
    ("sleep", "1000"),  # as pid 1 it does not hear TERM
    ("sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"),
    ("sh", "-c", "while :; do echo a line of words; sleep 0.02; done"),
    ("sh", "-c", "echo one >/data/file 2>/dev/null; sleep 0.3; exit 5"),
    ("true",),
    ("sh", "-c", "sleep 0.1; exit 5"),
)
# What a container of ours may have ended with: its own, or 128 + a signal that somebody sent.
CODES = {0, 5, 7, 127, *[128 + signal for signal in (9, 10, 15)]}

NO_CONTAINER = r"no such container(?: or image)?: \S+"
NO_IMAGE = r"no such image: \S+"
NO_VOLUME = r"no such volume: \S+"
NOT_RUNNING = r"container \S+ is not running"
HAS_ENDED = "container not running: it has ended meanwhile"
KILLED = "the container's monitor was killed, and the container with it"


class Command:
    """`errors`: what it may say after `rcrun: error: `; `statuses`: and end with then."""

    __slots__ = ("errors", "kill_after", "own", "statuses", "stdin", "words")

    def __init__(
        self, *words: str, errors: tuple[str, ...] = (), statuses: tuple[int, ...] = (1,),
        own: tuple[int, ...] = (), kill_after: float | None = None, stdin: bytes | None = None,
    ) -> None:  # fmt: skip
        self.words = words
        self.errors = errors
        self.statuses = statuses
        self.own = own  # statuses of what ran inside, which need no message
        self.kill_after = kill_after  # it may last for ever
        self.stdin = stdin

    def fault(self, answer: Answer) -> str:
        """Why it is no legal answer; empty for one that is."""
        if answer.hung:
            return "it hangs"
        said = [line for line in answer.err.splitlines() if line.startswith("rcrun: error: ")]
        other = [
            line
            for line in answer.err.splitlines()
            if not line.startswith(("rcrun: error: ", "hint: ")) and line
        ]
        for line in said:
            text = line.removeprefix("rcrun: error: ")
            if not any(re.fullmatch(error, text) for error in self.errors):
                return f"unknown error: {text}"
        if other and not all(re.fullmatch(OTHER_LINES, line) for line in other):
            return f"it says {other[0]}"
        return "" if answer.killed else self._status_fault(answer, bool(said))

    def _status_fault(self, answer: Answer, has_said: bool) -> str:
        if has_said:
            return "" if answer.status in self.statuses else "status does not fit the error"
        if answer.status not in (0, *self.own):
            return "it fails without a word"
        return ""


# Said by what runs inside, or about single files.
OTHER_LINES = (
    r"(\S+Z )?sh: .*|\S+: Terminated|Terminated|.*: left out: .*"
    r"|rcrun: warning: slirp4netns could not make the network, pasta does it instead: .*"
    r"|rcrun: warning: \S+ could not connect the bridges: .*"
    r"|rcrun: warning: controllers of cgroups that we were not given: .*"
    r"|[0-9a-f]{12}: Pull complete"  # a layer of an image of ours that has to be unpacked again
)


def any_command(chance: random.Random) -> Command:
    kinds = list(KINDS)
    kind = chance.choices(kinds, [KINDS[kind] for kind in kinds])[0]
    return kind(chance)


# Containers.

_START_ERRORS = (
    r'cannot attach to container "\S+": it is stopped, start the container first',
    r'the container name "\S+" is already in use by container "\w+"',
    r"cannot publish \S+: port is already allocated",
    r'cannot run "/etc": Is a directory',
    r'cannot run "/nowhere": No such file or directory',
    KILLED,
    HAS_ENDED,
    NO_CONTAINER,
)
_START_STATUSES = (1, 125, 126, 127)


def _options(chance: random.Random) -> list[str]:
    words = [*LABEL]
    network = chance.random()
    if network < 0.7:
        words += ["--network", "none"]
    elif network < 0.85:
        words += ["-p", f"127.0.0.1:{chance.choice(PORTS)}:80"]
    for share, extra in (
        (0.3, ("--init",)), (0.3, ("-v", chance.choice(("", *[f"{name}:" for name in VOLUMES])) + "/data")),
        (0.1, ("--tmpfs", "/tmp")), (0.1, ("--read-only",)), (0.1, ("-e", "WORD=value")),
        (0.2, ("--log-opt", "max-size=4k")), (0.1, ("--stop-signal", "KILL")), (0.1, ("-t",)),
    ):  # fmt: skip
        words += extra if chance.random() < share else ()
    return words


def _image(chance: random.Random) -> str:
    return chance.choice(IMAGES) if chance.random() < 0.15 else "busybox"


def _new(chance: random.Random, *words: str, program: tuple[str, ...] | None = None) -> list[str]:
    named = ["--name", chance.choice(NAMES)] if chance.random() < 0.9 else []
    rest = [*_options(chance), "--pull", "never", _image(chance)]
    return [*words, *named, *rest, *(program or chance.choice(PROGRAMS))]


def run_detached(chance: random.Random) -> Command:
    removed = ["--rm"] if chance.random() < 0.4 else []
    words = _new(chance, "run", "-d", *removed)
    return Command(*words, errors=(*_START_ERRORS, NO_IMAGE), statuses=(125,))


def run_foreground(chance: random.Random) -> Command:
    removed = ["--rm"] if chance.random() < 0.7 else []
    words = _new(chance, "run", *removed)
    return Command(
        *words, errors=(*_START_ERRORS, NO_IMAGE), statuses=(125,), own=tuple(CODES),
        kill_after=chance.random() * 2,
    )  # fmt: skip


def run_wrong(chance: random.Random) -> Command:
    """What cannot be executed, or is not there."""
    program, status = chance.choice(((("/nowhere",), 127), (("/etc",), 126)))
    words = _new(chance, "run", *(["--rm"] if chance.random() < 0.5 else []), program=program)
    errors = (r".*(/nowhere|/etc).*", *_START_ERRORS, NO_IMAGE)
    return Command(*words, errors=errors, statuses=(status, 125))


def create(chance: random.Random) -> Command:
    removed = ["--rm"] if chance.random() < 0.2 else []
    words = _new(chance, "create", *removed)
    return Command(*words, errors=(*_START_ERRORS, NO_IMAGE), statuses=(125,))


def start(chance: random.Random) -> Command:
    names = _names(chance)
    if chance.random() < 0.2:
        return Command(
            "start", "-a", names[0], errors=_START_ERRORS, statuses=_START_STATUSES, own=tuple(CODES),
            kill_after=chance.random() * 2,
        )  # fmt: skip
    return Command("start", *names, errors=_START_ERRORS, statuses=_START_STATUSES)


def stop(chance: random.Random) -> Command:
    words = ["stop", "-t", chance.choice("0001")]
    return Command(*words, *_names(chance), errors=(NO_CONTAINER,))


def restart(chance: random.Random) -> Command:
    words = ["restart", "-t", chance.choice("0001")]
    return Command(*words, *_names(chance), errors=_START_ERRORS, statuses=_START_STATUSES)


def kill(chance: random.Random) -> Command:
    words = ["kill", *chance.choice(([], [], ["-s", "TERM"], ["-s", "USR1"]))]
    errors = (NO_CONTAINER, rf'cannot kill container "\S+": {NOT_RUNNING}')
    return Command(*words, *_names(chance), errors=errors)


def pause(chance: random.Random) -> Command:
    errors = (
        NO_CONTAINER,
        r'cannot (un)?pause container "\S+": it is (created|running|exited|paused)',
        r'cannot (un)?pause container "\S+": it has no cgroup of its own',
        HAS_ENDED,
    )
    return Command(chance.choice(("pause", "unpause")), *_names(chance), errors=errors)


def execute(chance: random.Random) -> Command:
    name = chance.choice(NAMES)
    program = chance.choice(
        (("true",), ("sh", "-c", "exit 3"), ("echo", "a word"), ("sleep", "0.2"))
    )
    detach = ["-d"] if chance.random() < 0.2 else []
    errors = (NO_CONTAINER, NOT_RUNNING, HAS_ENDED, r"container \S+ is paused")
    # 137: the container ended meanwhile
    return Command(
        "exec",
        *detach,
        name,
        *program,
        errors=errors,
        statuses=(1, 125, 255),
        own=(3, 137),
        kill_after=4.0,
    )


def rename(chance: random.Random) -> Command:
    old, new = chance.choice(NAMES), chance.choice(NAMES)
    errors = (*_START_ERRORS, "renaming a container with the same name as its current name")
    return Command("rename", old, new, errors=errors)


def remove(chance: random.Random) -> Command:
    words = ["rm", *chance.choice((["-f"], ["-f"], ["-fv"], []))]
    errors = (
        NO_CONTAINER,
        r'cannot remove container "\S+": container is (running|paused): stop the container before .*',
        r'cannot remove container "\S+": it was started again',
    )
    return Command(*words, *_names(chance), errors=errors)


def prune(chance: random.Random) -> Command:
    return Command("container", "prune", "-f", "--filter", "label=soak")


# Looking at them, and into them.


def look(chance: random.Random) -> Command:
    words = chance.choice(
        (("ps",), ("ps", "-a", "--size"), ("ps", "-aq", "--filter", "status=exited"),
         ("images",), ("volume", "ls"), ("system", "df"), ("info",), ("image", "ls", "-q"))
    )  # fmt: skip
    return Command(*words)


def inspect(chance: random.Random) -> Command:
    name = chance.choice(NAMES)
    errors = (r"no such (object|container): \S+",)
    return Command(*chance.choice((("inspect",), ("container", "inspect"))), name, errors=errors)


def logs(chance: random.Random) -> Command:
    words = chance.choice((("logs",), ("logs", "-t", "--tail", "3"), ("logs", "-f")))
    return Command(*words, chance.choice(NAMES), errors=(NO_CONTAINER,), kill_after=1.0)


def wait(chance: random.Random) -> Command:
    return Command("wait", chance.choice(NAMES), errors=(NO_CONTAINER,), kill_after=1.0)


def attach(chance: random.Random) -> Command:
    name = chance.choice(NAMES)
    stopped = r'cannot attach to container "\S+": it is stopped, start the container first'
    errors = (NO_CONTAINER, KILLED, HAS_ENDED, stopped)
    return Command(
        "attach", name, errors=errors, statuses=(1, 125), own=tuple(CODES), kill_after=0.5
    )


def tell(chance: random.Random) -> Command:
    verb = chance.choice(("top", "port", "diff"))
    errors = (NO_CONTAINER, rf'.*"\S+".*{NOT_RUNNING}', rf"{NOT_RUNNING}")
    return Command(verb, chance.choice(NAMES), errors=errors)


def copy_in(chance: random.Random) -> Command:
    name = chance.choice(NAMES)
    errors = (NO_CONTAINER, r".*read-only.*")
    return Command("cp", "/etc/passwd", f"{name}:/etc/copied", errors=errors)


def copy_out(chance: random.Random) -> Command:
    name = chance.choice(NAMES)
    return Command("cp", f"{name}:/etc/passwd", "-", errors=(NO_CONTAINER,))


def export(chance: random.Random) -> Command:
    return Command("export", "-o", "/dev/null", chance.choice(NAMES), errors=(NO_CONTAINER,))


# Images and volumes.


def commit(chance: random.Random) -> Command:
    errors = (NO_CONTAINER, r"the container's image is no longer whole: .*")  # after rmi -f
    return Command("commit", chance.choice(NAMES), chance.choice(IMAGES), errors=errors)


def tag(chance: random.Random) -> Command:
    source = chance.choice(("busybox", *IMAGES))
    return Command("tag", source, chance.choice(IMAGES), errors=(NO_IMAGE,))


def remove_image(chance: random.Random) -> Command:
    words = ["rmi", *(["-f"] if chance.random() < 0.3 else [])]
    errors = (NO_IMAGE, r"conflict: unable to (remove|delete) .*(is|are) (using|running with) .*")
    return Command(*words, chance.choice(IMAGES), errors=errors, statuses=(0, 1))  # 0: with -f


def prune_images(chance: random.Random) -> Command:
    return Command("image", "prune", "-f")


def save(chance: random.Random) -> Command:
    image = chance.choice(("busybox", *IMAGES))
    return Command("save", "-o", "/dev/null", image, errors=(NO_IMAGE,))


def make_volume(chance: random.Random) -> Command:
    return Command("volume", "create", chance.choice(VOLUMES))


def remove_volume(chance: random.Random) -> Command:
    errors = (NO_VOLUME, r".*volume.* in use.*")
    return Command("volume", "rm", chance.choice(VOLUMES), errors=errors)


def inspect_volume(chance: random.Random) -> Command:
    return Command("volume", "inspect", chance.choice(VOLUMES), errors=(NO_VOLUME,))


def prune_volumes(chance: random.Random) -> Command:
    # the workers' own have the label `own`
    return Command("volume", "prune", "-af", "--filter", "label!=own")


def _names(chance: random.Random) -> list[str]:
    """Mostly one."""
    return chance.sample(NAMES, chance.choice((1, 1, 1, 2, 3)))


KINDS = {
    run_detached: 14, run_foreground: 6, run_wrong: 2, create: 5, start: 6, stop: 4, restart: 4, kill: 4,
    pause: 6, execute: 8, rename: 3, remove: 8, prune: 1, look: 6, inspect: 4, logs: 4, wait: 3, attach: 2,
    tell: 3, copy_in: 2, copy_out: 2, export: 1, commit: 1, tag: 1, remove_image: 2, prune_images: 1, save: 1,
    make_volume: 2, remove_volume: 2, inspect_volume: 1, prune_volumes: 1,
}  # fmt: skip
