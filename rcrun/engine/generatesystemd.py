"""`generate systemd`: units of systemd for containers and pods that are there, or that make them anew at each start. Texts: pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun.formats.unitfile import joined, literal, quoted, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.formats.unitfile import Line
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

RESTARTS = ("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always")
_ID_FILE = "%t/%n.ctr-id"
# What the unit itself says, in its own way.
_UNITS_OWN = (
    "detach", "rm", "cidfile", "conmon_pidfile", "pidfile", "cgroups", "sdnotify", "replace", "restart", "attach",
    "sig_proxy", "detach_keys", "pod_id_file", "infra_conmon_pidfile",
)  # fmt: skip


class Wanted:
    """How the unit is to be; `environment` are `NAME=VALUE` texts, `seconds` how long a stop may take.

    `pod` is the unit of the pod that the container is in, `members` are those of the pod's containers, without .service.
    """

    __slots__ = (
        "after", "by_name", "command", "environment", "is_user", "members", "name", "new", "pod", "requires", "restart",
        "restart_sec", "seconds", "start_timeout", "store_dir", "wants",
    )  # fmt: skip

    def __init__(self, command: Sequence[str], name: str, seconds: int) -> None:
        self.command = list(command)
        self.name = name  # of the unit, without .service
        self.seconds = seconds
        self.by_name = self.is_user = self.new = False
        self.environment: Sequence[str] = ()
        self.after: Sequence[str] = ()
        self.wants: Sequence[str] = ()
        self.members: Sequence[str] = ()
        self.pod = ""
        self.requires: Sequence[str] = ()
        self.restart = "on-failure"
        self.restart_sec = self.start_timeout = 0
        self.store_dir = ""


def unit_text(container: Container, wanted: Wanted, run: Sequence[str], comment: str) -> str:
    """`run` are the words behind `rcrun run` of a unit that makes its container."""
    return _text(wanted, _new(wanted, run) if wanted.new else _there(container, wanted), comment)


def pod_text(infra: Container, wanted: Wanted, create: Sequence[str], comment: str) -> str:
    """The unit is up as long as the infra container; the others have units of their own, which go down with it.

    `create` are the words behind `rcrun pod create` of a unit that makes its pod.
    """
    return _text(wanted, _new_pod(wanted, create) if wanted.new else _there(infra, wanted), comment)


def _new_pod(wanted: Wanted, create: Sequence[str]) -> list[Line]:
    """The main process is the infra container's monitor, which tells systemd of the start."""
    of_file = ["--pod-id-file", pod_id_file(wanted.name)]
    seconds = str(wanted.seconds)
    return [
        ("Type", "notify"),
        ("NotifyAccess", "all"),
        ("Delegate", "yes"),
        ("ExecStartPre", f"/bin/rm -f {of_file[1]}"),
        ("ExecStartPre", _command(wanted, ["pod", "create", *of_file], create)),
        ("ExecStart", _command(wanted, ["pod", "start", *of_file])),
        ("ExecStop", _command(wanted, ["pod", "stop", "--ignore", "-t", seconds, *of_file])),
        ("ExecStopPost", _command(wanted, ["pod", "rm", "--ignore", "-f", *of_file])),
    ]


def pod_id_file(unit: str) -> str:
    return f"%t/{unit}.pod-id"


def _text(wanted: Wanted, lines: Sequence[Line], comment: str) -> str:
    unit: list[Line] = [
        ("Description", literal(f"rcrun {wanted.name}.service")),
        ("Wants", "network-online.target"),
        ("After", "network-online.target"),
        *[("Wants", name) for name in wanted.wants],
        *[("After", name) for name in wanted.after],
        *[("Requires", name) for name in wanted.requires],
        *[(key, f"{name}.service") for name in wanted.members for key in ("Wants", "Before")],
        *[(key, f"{wanted.pod}.service") for key in ("BindsTo", "After") if wanted.pod],
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
    if wanted.pod:
        begin += ["--pod-id-file", pod_id_file(wanted.pod)]
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
    found = _behind(container.record, ("run", "create"))
    if found is None:
        raise InvalidInput(
            f'container "{container.name}" does not say how it was made',
            "make it with rcrun run or rcrun create, without --creds, and ask again",
        )
    return found


def words_of_pod(pod: Pod) -> list[str]:
    """What made the pod, from the options of `pod create` on."""
    found = _behind(pod.record, ("create",))
    if found is None:
        raise InvalidInput(
            f'pod "{pod.name}" does not say how it was made',
            "make it with rcrun pod create, and ask again",
        )
    return found


def _behind(record: Mapping[str, Any], verbs: Sequence[str]) -> list[str] | None:
    words = [str(word) for word in record.get("create_command") or ()]
    return next((words[at + 1 :] for at, word in enumerate(words) if word in verbs), None)


def kept(name: str, *, in_pod: bool = False) -> bool:
    """Whether an option of `run`, or of `pod create`, goes into the unit."""
    return name not in _UNITS_OWN and not (in_pod and name == "pod")
