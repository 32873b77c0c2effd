"""`generate systemd`: a unit of systemd for a container that is there, or that makes it anew at each start. Texts: pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.unitfile import joined, literal, quoted, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.formats.unitfile import Line
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

RESTARTS = ("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always")
_ID_FILE = "%t/%n.ctr-id"
# What the unit itself says, in its own way.
_UNITS_OWN = (
    "detach", "rm", "cidfile", "conmon_pidfile", "pidfile", "cgroups", "sdnotify", "replace", "restart", "attach",
    "sig_proxy", "detach_keys",
)  # fmt: skip


class Wanted:
    """How the unit is to be; `environment` are `NAME=VALUE` texts, `seconds` how long a stop may take."""

    __slots__ = (
        "after", "by_name", "command", "environment", "is_user", "name", "new", "requires", "restart", "restart_sec",
        "seconds", "start_timeout", "store_dir", "wants",
    )  # fmt: skip

    def __init__(self, command: Sequence[str], name: str, seconds: int) -> None:
        self.command = list(command)
        self.name = name  # of the unit, without .service
        self.seconds = seconds
        self.by_name = self.is_user = self.new = False
        self.environment: Sequence[str] = ()
        self.after: Sequence[str] = ()
        self.wants: Sequence[str] = ()
        self.requires: Sequence[str] = ()
        self.restart = "on-failure"
        self.restart_sec = self.start_timeout = 0
        self.store_dir = ""


def unit_text(container: Container, wanted: Wanted, run: Sequence[str], comment: str) -> str:
    """`run` are the words behind `rcrun run` of a unit that makes its container."""
    return _text(wanted, _new(wanted, run) if wanted.new else _there(container, wanted), comment)


def pod_text(pod: Pod, wanted: Wanted, comment: str) -> str:
    """Of a pod that is there: the unit is up as long as the infra container, whose monitor is its main process."""
    name = pod.name if wanted.by_name else pod.id
    stop = ["pod", "stop", "--ignore", "-t", str(wanted.seconds), name]
    lines: list[Line] = [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("ExecStart", _command(wanted, ["pod", "start", name])),
        ("ExecStop", _command(wanted, stop)),
        ("ExecStopPost", _command(wanted, stop)),
    ]
    return _text(wanted, lines, comment)


def _text(wanted: Wanted, lines: Sequence[Line], comment: str) -> str:
    unit: list[Line] = [
        ("Description", literal(f"rcrun {wanted.name}.service")),
        ("Wants", "network-online.target"),
        ("After", "network-online.target"),
        *[("Wants", name) for name in wanted.wants],
        *[("After", name) for name in wanted.after],
        *[("Requires", name) for name in wanted.requires],
    ]
    if wanted.store_dir:
        unit.append(("RequiresMountsFor", quoted(wanted.store_dir.replace("%", "%%"))))
    target = "default.target" if wanted.is_user else "multi-user.target default.target"
    sections = {
        "Unit": unit,
        "Service": [*_common(wanted), *lines],
        "Install": [("WantedBy", target)],
    }
    return text_of(sections, comment)


def _common(wanted: Wanted) -> list[Line]:
    lines: list[Line] = [
        ("Environment", "PODMAN_SYSTEMD_UNIT=%n"),
        *[("Environment", quoted(text.replace("%", "%%"))) for text in wanted.environment],
        ("Restart", wanted.restart),
        ("TimeoutStopSec", str(wanted.seconds + 60)),
    ]
    if wanted.restart_sec:
        lines.append(("RestartSec", str(wanted.restart_sec)))
    if wanted.start_timeout:
        lines.append(("TimeoutStartSec", str(wanted.start_timeout)))
    return lines


def _there(container: Container, wanted: Wanted) -> list[Line]:
    """Whoever is attached ends with the container and its exit code, which is what systemd looks at."""
    name = container.name if wanted.by_name else container.id
    stop = ["stop", "--ignore", "-t", str(wanted.seconds), name]
    return [
        ("Type", "exec"),
        ("KillMode", "mixed"),
        ("Delegate", "yes"),
        ("ExecStart", _command(wanted, ["start", "--attach", name])),
        ("ExecStop", _command(wanted, stop)),
        ("ExecStopPost", _command(wanted, stop)),
    ]


def _new(wanted: Wanted, run: Sequence[str]) -> list[Line]:
    stop, remove = (
        ["--ignore", "-t", str(wanted.seconds), "--cidfile", _ID_FILE],
        ["-f", "--ignore"],
    )
    begin = ["run", "--cidfile", _ID_FILE, "--cgroups=split", "--rm", "--sdnotify=conmon", "-d"]
    return [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("KillMode", "mixed"),
        ("Delegate", "yes"),
        ("ExecStartPre", f"/bin/rm -f {_ID_FILE}"),
        ("ExecStart", _command(wanted, begin, run)),
        ("ExecStop", _command(wanted, ["stop", *stop])),
        ("ExecStopPost", _command(wanted, ["rm", *remove, "--cidfile", _ID_FILE])),
    ]


def _command(wanted: Wanted, ours: Sequence[str], theirs: Sequence[str] = ()) -> str:
    """In what people typed systemd is to see no specifiers and no variables; in ours it is."""
    return joined([*map(literal, wanted.command), *ours, *map(literal, theirs)])


def typed_words(container: Container) -> list[str]:
    """What made the container, from the options of `run` on."""
    words = [str(word) for word in container.record.get("create_command") or ()]
    for at, word in enumerate(words):
        if word in ("run", "create"):
            return words[at + 1 :]
    raise InvalidInput(
        f'container "{container.name}" does not say how it was made',
        "make it with rcrun run or rcrun create, without --creds, and ask again",
    )


def kept(name: str) -> bool:
    """Whether an option of `run` goes into the unit."""
    return name not in _UNITS_OWN
