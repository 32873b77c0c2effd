"""`rcrun-oci`: the command line that callers of an OCI runtime expect, in the words of runc and crun."""

from __future__ import annotations

import os
import sys

from rcrun_cli import main
from rcrun_cli.commands_oci import HIDDEN, SECTIONS
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from rcrun.errors import RcrunError
    from rcrun.runtime.host import Host
    from rcrun.runtime.state import Container


@command(interspersed=False)
@option("--root", metavar="DIR", help="Keep the state of containers here")
@option("--log", metavar="PLACE", help="Log here also: [file:]PATH, journald:ID or syslog:ID")
@option("--log-format", type=["text", "json"], default="text", help="How to write them")
@option("--log-level", default="warning", metavar="LEVEL", help="error, warning (default) or debug")
@option("--debug", is_flag=True, help="Log the plan of each launch")
@option("--systemd-cgroup", is_flag=True, help="For callers that use systemd's cgroups")
@option("--cgroup-manager", type=["cgroupfs", "systemd", "disabled"], help="Who makes cgroups")
@option(
    "--rootless", metavar="WHEN", help="For scripts: rcrun-oci sees by itself whether it is root"
)
@option("--criu", metavar="PATH", hidden=True, help="For scripts; there is no checkpoint")
@option("-v", "-V", "--version", is_flag=True, help="Print the version and the features")
@argument("words", nargs=-1)
def rcrun_oci(words: Sequence[str], **options: Any) -> None:
    """An OCI runtime for people who are not root."""


class Settings:
    """What the global options say; filled once, before the command runs."""

    __slots__ = ("cgroup_manager", "debug", "log", "log_format", "root", "warns")

    def __init__(self) -> None:
        self.cgroup_manager = ""
        self.debug = False
        self.log = ""
        self.log_format = "text"
        self.root = ""
        self.warns = True


settings = Settings()


def entry(argv: Sequence[str]) -> NoReturn:
    """What the launcher calls."""
    main.main(program(), argv[1:])


class Runtime(main.Program):
    """Callers of a runtime know one status for its own faults, whatever they are."""

    __slots__ = ()

    def status_of(self, error: RcrunError) -> int:
        return self.failure_status


def program() -> main.Program:
    return Runtime(
        "rcrun-oci",
        rcrun_oci,
        "rcrun_cli.commands_oci",
        SECTIONS,
        hidden=HIDDEN,
        setup=configure,
        complain=complain,
        version=version_lines,
        debugs=lambda: settings.debug,
        usage_status=1,
        failure_status=1,
    )


def configure(options: dict[str, Any]) -> None:
    settings.root = os.path.abspath(options["root"] or default_root())
    settings.log_format = options["log_format"]
    settings.log = log_place(options["log"] or "")
    settings.debug = options["debug"] or options["log_level"] == "debug"
    settings.warns = options["log_level"] not in ("error", "fatal", "panic")
    manager = options["cgroup_manager"] or ""
    settings.cgroup_manager = "systemd" if options["systemd_cgroup"] else manager
    if settings.debug:
        from rcrun.kernel import shim

        log("debug", f"root directory {settings.root}")
        shim.on_plan = lambda plan: log("debug", f"plan for the shim:\n{shim.plan_text(plan)}")


def log_place(text: str) -> str:
    """The absolute path of a file, or `journald:ID`, `syslog:ID`."""
    kind, colon, rest = text.partition(":")
    if not colon or "/" in kind:
        return os.path.abspath(text) if text else ""
    if kind == "file":
        return os.path.abspath(rest)
    if kind in ("journald", "syslog"):
        return text
    from rcrun.errors import InvalidInput

    raise InvalidInput(
        f'unknown log destination "{text}"', "write [file:]PATH, journald:ID or syslog:ID"
    )


def default_root() -> str:
    from rcrun import paths

    user_dir = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 and user_dir.startswith("/") and not os.access("/run", os.W_OK):
        return f"{user_dir}/rcrun/oci"  # root of a user namespace, as rootless podman calls us
    return f"{paths.default_live_dir(dict(os.environ), os.geteuid())}/oci"


def version_lines() -> str:
    """Suites of callers switch on the words of the line that begins with a plus."""
    from rcrun.formats.spec import OCI_VERSION
    from rcrun.version import VERSION

    return f"rcrun-oci of rcrun version {VERSION}\nspec: {OCI_VERSION}\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +ROOTLESS"


def complain(message: str, hint: str | None = None) -> None:
    """On stderr for people, in the log for the caller."""
    if settings.log:
        log("error", message)
    text = f"rcrun-oci: error: {message}" + (f"\nhint: {hint}" if hint else "")
    if settings.log_format == "json" and not settings.log:
        log("error", message)
    else:
        _tell(text)


def warn(message: str) -> None:
    if settings.warns:
        log("warning", message)


def log(level: str, message: str) -> None:
    """A line for the log, or for stderr where there is none."""
    from rcrun_cli import oci_log

    line = oci_log.line(level, message, form=settings.log_format)
    if not settings.log:
        _tell(line.rstrip("\n"))
        return
    try:
        oci_log.write(settings.log, level, message, line)
    except OSError as error:
        _tell(f'rcrun-oci: warning: cannot write the log "{settings.log}": {error.strerror}')


def _tell(text: str) -> None:
    from rcrun_cli.output import tell

    tell(text)


# ---- what the commands share


def container(container_id: str) -> Container:
    from rcrun.runtime.state import Container

    return Container(settings.root, container_id)


def host() -> Host:
    from rcrun.runtime.host import current

    return current(dict(os.environ))


def self_command(*words: str) -> list[str]:
    """The words that start this program again with the same global options."""
    folder = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-BIS", f"{folder}/oci_main.py", f"--root={settings.root}"]
    if settings.log:
        command.append(f"--log={settings.log}")
    command.append(f"--log-format={settings.log_format}")
    if not settings.warns:
        command.append("--log-level=error")
    return [*command, *words]
