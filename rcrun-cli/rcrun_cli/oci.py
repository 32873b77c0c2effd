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
@option("--log", metavar="FILE", help="Append errors to this file also")
@option("--log-format", type=["text", "json"], default="text", help="How to write them")
@option("--log-level", metavar="LEVEL", help="For scripts; --debug is what changes something")
@option("--debug", is_flag=True, help="Log the plan of each launch")
@option("--systemd-cgroup", is_flag=True, help="For callers that use systemd's cgroups")
@option("--cgroup-manager", type=["cgroupfs", "systemd", "disabled"], help="Who makes cgroups")
@option(
    "--rootless", metavar="WHEN", help="For scripts: rcrun-oci sees by itself whether it is root"
)
@option("-v", "--version", is_flag=True, help="Print the version and the features")
@argument("words", nargs=-1)
def rcrun_oci(words: Sequence[str], **options: Any) -> None:
    """An OCI runtime for people who are not root."""


class Settings:
    """What the global options say; filled once, before the command runs."""

    __slots__ = ("cgroup_manager", "debug", "log", "log_format", "root")

    def __init__(self) -> None:
        self.cgroup_manager = ""
        self.debug = False
        self.log = ""
        self.log_format = "text"
        self.root = ""


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
    settings.log = options["log"] or ""
    settings.log_format = options["log_format"]
    settings.debug = options["debug"]
    manager = options["cgroup_manager"] or ""
    settings.cgroup_manager = "systemd" if options["systemd_cgroup"] else manager
    if settings.debug:
        from rcrun.kernel import shim

        log("debug", f"root directory {settings.root}")
        shim.on_plan = lambda plan: log("debug", f"plan for the shim:\n{shim.plan_text(plan)}")


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
        _append(settings.log, _line("error", message))
    text = f"rcrun-oci: error: {message}" + (f"\nhint: {hint}" if hint else "")
    if settings.log_format == "json" and not settings.log:
        text = _line("error", message).rstrip("\n")
    _tell(text)


def warn(message: str) -> None:
    log("warning", message)


def log(level: str, message: str) -> None:
    """A line for the log file, or for stderr where there is none."""
    if settings.log:
        _append(settings.log, _line(level, message))
    else:
        _tell(_line(level, message).rstrip("\n"))


def _line(level: str, message: str) -> str:
    import time

    from rcrun.files import dump_json

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if settings.log_format == "json":
        return dump_json({"level": level, "msg": message, "time": now}) + "\n"
    return f'time="{now}" level={level} msg={dump_json(message)}\n'


def _append(path: str, line: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, line.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
    except OSError as error:
        _tell(f'rcrun-oci: warning: cannot write the log "{path}": {error.strerror}')


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
    command = [sys.executable, "-IS", f"{folder}/oci_main.py", f"--root={settings.root}"]
    if settings.log:
        command.append(f"--log={os.path.abspath(settings.log)}")
    command.append(f"--log-format={settings.log_format}")
    return [*command, *words]
