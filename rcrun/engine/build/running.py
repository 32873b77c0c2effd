"""RUN: a command in a container that the shim is the parent of, its output told line by line."""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, RcrunError
from rcrun.files import write_new
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.engine.build.root import StepRoot
    from rcrun.engine.build.state import Layer, State
    from rcrun.formats.containerfile.instructions import Instruction
    from rcrun.kernel.shim import Report

CHUNK = 1 << 16
SCRIPTS = "/dev/pipes"


class CommandFailed(RcrunError):
    """A RUN ended with another status than 0; `layer` is what it had changed, if that was to be kept."""

    def __init__(
        self, command: str, status: int, hint: str | None = None, layer: Layer | None = None
    ) -> None:
        super().__init__(f'the command "{command}" returned a non-zero code: {status}', hint)
        self.status_of_command = status
        self.layer = layer


def argv_of(instruction: Instruction, state: State) -> tuple[list[str], dict[str, str]]:
    """The command, and scripts (name → text) that it needs as files."""
    listed = instruction.json()
    if listed is not None and not instruction.heredocs:
        if not listed:
            raise instruction.fault("RUN needs a command")
        return listed, {}
    documents = instruction.heredocs
    rest = instruction.rest
    if len(documents) == 1 and _is_mark_alone(rest):
        text = documents[0].content
        if text.startswith("#!"):
            return [f"{SCRIPTS}/{documents[0].name}"], {documents[0].name: text}
        return [*state.shell, text], {}
    script = rest + "".join(f"\n{each.content}{each.name}" for each in documents)
    return [*state.shell, script], {}


def _is_mark_alone(rest: str) -> bool:
    return len(rest.split()) == 1 and rest.startswith("<<")


def environment(state: State, given: dict[str, str]) -> dict[str, str]:
    """What ARG adds to it: ENV wins. `given` are --build-args, of which the proxies need no ARG and count in both spellings."""
    from rcrun.engine.build.state import PROXIES

    own = state.environment
    proxies = {}
    for name in PROXIES:
        other = name.lower() if name.isupper() else name.upper()
        if name in given or other in given:
            proxies[name] = given.get(name, given.get(other, ""))
    return {k: v for k, v in {**proxies, **state.arguments}.items() if k not in own}


def place_scripts(root: StepRoot, scripts: dict[str, str]) -> list[str]:
    """As `--volume` words; the files go with the root's directory."""
    words = []
    for number, (name, text) in enumerate(scripts.items()):
        path = root.claim.container.path(f"script{number}")
        write_new(path, text.encode("utf-8", "surrogateescape"))
        os.chmod(path, 0o755)
        words.append(f"{path}:{SCRIPTS}/{name}:ro")
    return words


class Running:
    """The shims of steps. After the end, which another thread may say at any time, one that begins ends at once."""

    __slots__ = ("_ended", "_lock", "_pids")

    def __init__(self) -> None:
        from _thread import allocate_lock

        self._ended = False
        self._lock = allocate_lock()
        self._pids: set[int] = set()

    def add(self, pid: int) -> None:
        with self._lock:
            self._pids.add(pid)
            if self._ended:
                _kill(pid)

    def discard(self, pid: int) -> None:
        with self._lock:
            self._pids.discard(pid)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for pid in self._pids:
                _kill(pid)


def _kill(pid: int) -> None:
    import signal

    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(root: StepRoot, told: Callable[[bytes], None], running: Running) -> int:
    """The exit status; the shim's pid is in `running` meanwhile, for who has to end it."""
    from rcrun.engine import launch
    from rcrun.kernel import shim

    context, container = root.context, root.claim.container
    make_private_dir(container.live_dir)
    plan, fds = launch.plan_of(context, container, root.spec, [])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid, report_fd = shim.start(plan, output_fd=writer, pass_fds=fds)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
        for fd in fds:
            os.close(fd)
    running.add(pid)
    try:
        _relay(reader, told)
        report = shim.read_report(report_fd)
    except BaseException:
        import signal

        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(reader)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        running.discard(pid)
        if status == -9:
            from rcrun.engine.network import end_helper

            end_helper(container)  # it ends by the shim, which we have killed
        launch.remove_cgroup(container)
    if report is not None:
        raise _not_started(root, plan, report)
    return 128 - status if status < 0 else status


def _not_started(root: StepRoot, plan: list[list[str]], report: Report) -> RcrunError:
    """A program of another architecture is told as such: it is what people with --platform meet first."""
    import errno

    from rcrun.formats.image import platform_of
    from rcrun.runtime.hints import error_for

    error = error_for(plan, report)
    made_for = root.state.document.get("architecture")
    here = platform_of(os.uname().machine)[0]
    if report.errno != errno.ENOEXEC or made_for in (None, here):
        return error
    return HostLacks(
        f"this host ({here}) cannot run programs for {made_for}",
        "build in a stage of the host's own, FROM --platform=$BUILDPLATFORM; or let it run them: "
        "sudo apt-get install qemu-user-static binfmt-support",
    )


def _relay(reader: int, told: Callable[[bytes], None]) -> None:
    while data := os.read(reader, CHUNK):
        told(data)


def options_of(
    instruction: Instruction,
    request_options: dict[str, Any],
    network: str,
    allowed: list[str],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """Of --network, --security and --device."""
    wanted = instruction.flag("network") or network or "default"
    if wanted not in ("default", "none", "host") and instruction.flag("network"):
        raise instruction.fault(f'--network is default, none or host, not "{wanted}"')
    if (
        instruction.flag("network") == "host"
        and "network.host" not in allowed
        and network != "host"
    ):
        raise instruction.fault("--network=host is not allowed", "rcrun build --allow network.host")
    options = dict(request_options)
    options["network"] = "private" if wanted == "default" else wanted
    security = instruction.flag("security") or "sandbox"
    if security not in ("sandbox", "insecure"):
        raise instruction.fault(f'--security is sandbox or insecure, not "{security}"')
    if security == "insecure":
        if "security.insecure" not in allowed:
            raise instruction.fault(
                "--security=insecure is not allowed", "rcrun build --allow security.insecure"
            )
        options["privileged"] = True
    if instruction.flags.get("device"):
        from rcrun.engine.build.devices import names_of

        options["device"] = [
            *(options.get("device") or ()),
            *names_of(instruction, allowed, environ),
        ]
    return options
