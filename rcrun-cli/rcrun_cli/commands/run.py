"""`rcrun run` and `rcrun create`: their options are one list, declared once."""

from __future__ import annotations

import sys

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun_cli.declare import Handler

_PROCESS = (
    option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set an environment variable"),
    option(
        "--env-file", multiple=True, metavar="FILE", help="Read environment variables from a file"
    ),
    option("--unsetenv", multiple=True, metavar="NAME", help="Take a variable of the image away"),
    option("--entrypoint", metavar="COMMAND", help="Run this instead of the image's entrypoint"),
    option("-w", "--workdir", metavar="DIR", help="Working directory; made if it is missing"),
    option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user, by name or number"),
    option("--group-add", multiple=True, metavar="GROUP", help="Add a supplementary group"),
    option("--umask", metavar="OCTAL", help="The umask of the command; 0022 if nothing is said"),
    option("-i", "--interactive", is_flag=True, help="Keep standard input open"),
    option("-t", "--tty", is_flag=True, help="Give the command a terminal"),
    option(
        "--init", is_flag=True, help="Run a small init that reaps processes and passes signals on"
    ),
    option("--stop-signal", metavar="SIGNAL", help="The signal that asks it to stop"),
    option(
        "--stop-timeout", type=int, metavar="SECONDS", help="How long stop waits before it kills"
    ),
    option("--ulimit", multiple=True, metavar="NAME=SOFT[:HARD]", help="Set a resource limit"),
    option(
        "--oom-score-adj",
        type=int,
        metavar="NUMBER",
        help="The kernel's preference when memory is short",
    ),
    option("--tz", metavar="ZONE", help="Time zone, or `local` for the host's"),
)
_FILES = (
    option(
        "-v",
        "--volume",
        multiple=True,
        metavar="[SOURCE:]DESTINATION[:OPTIONS]",
        help="Mount a directory or a volume",
    ),
    option(
        "--mount",
        multiple=True,
        metavar="KEY=VALUE,…",
        help="Mount, by keys such as type, source and target",
    ),
    option(
        "--volumes-from",
        multiple=True,
        metavar="CONTAINER[:ro]",
        help="Mount the volumes and directories of another container",
    ),
    option("--volume-driver", metavar="DRIVER", help="Only `local`"),
    option(
        "--secret",
        multiple=True,
        metavar="NAME[,KEY=VALUE]",
        help="Give it a secret, as a file in /run/secrets or with type=env in the environment",
    ),
    option("--tmpfs", multiple=True, metavar="PATH[:OPTIONS]", help="Mount a new tmpfs"),
    option(
        "--device", multiple=True, metavar="HOST[:CONTAINER]", help="Give it a device of the host"
    ),
    option("--read-only", is_flag=True, help="Make the root file system read-only"),
    option(
        "--read-only-tmpfs",
        is_flag=True,
        help="With --read-only: keep /run, /tmp and /var/tmp writable",
    ),
    option("--shm-size", metavar="SIZE", help="Size of /dev/shm; 64m if nothing is said"),
    option("--rootfs", metavar="DIR", help="Use this directory as the root file system; no image"),
    option("--bundle", metavar="DIR", help="Run an OCI bundle; no image"),
)
_NETWORK = (
    option("--network", "--net", metavar="MODE", help="none, host, pasta or slirp4netns"),
    option(
        "--network-alias",
        "--net-alias",
        multiple=True,
        metavar="NAME",
        help="Another name in its network",
    ),
    option(
        "-p",
        "--publish",
        multiple=True,
        metavar="[[IP:]HOST:]PORT[/udp]",
        help="Publish a port on the host",
    ),
    option("-P", "--publish-all", is_flag=True, help="Publish all exposed ports on free ports"),
    option(
        "--expose", multiple=True, metavar="PORT[/udp]", help="Note that the container listens here"
    ),
    option("-h", "--hostname", metavar="NAME", help="Host name; the short id if nothing is said"),
    option("--domainname", metavar="NAME", help="NIS domain name"),
    option(
        "--add-host",
        multiple=True,
        metavar="NAME:ADDRESS",
        help="Add a line to /etc/hosts; host-gateway is the host",
    ),
    option("--no-hosts", is_flag=True, help="Leave /etc/hosts as the image has it"),
    option("--dns", multiple=True, metavar="ADDRESS", help="Name server"),
    option("--dns-option", "--dns-opt", multiple=True, metavar="OPTION", help="Resolver option"),
    option("--dns-search", multiple=True, metavar="DOMAIN", help="Search domain; . for none"),
)
_ISOLATION = (
    option("--cap-add", multiple=True, metavar="CAPABILITY", help="Add a capability, or ALL"),
    option("--cap-drop", multiple=True, metavar="CAPABILITY", help="Drop a capability, or ALL"),
    option("--privileged", is_flag=True, help="All capabilities, no filter, nothing masked"),
    option(
        "--security-opt",
        multiple=True,
        metavar="OPTION",
        help="no-new-privileges, seccomp=FILE, mask=PATH, unmask=PATH, …",
    ),
    option("--sysctl", multiple=True, metavar="KEY=VALUE", help="Set a sysctl of its namespaces"),
    option("--pid", metavar="MODE", help="Process namespace: private or host"),
    option("--ipc", metavar="MODE", help="IPC namespace: private, host or none"),
    option("--uts", metavar="MODE", help="Host name namespace: private or host"),
    option("--userns", metavar="MODE", help="User namespace: host or keep-id"),
    option("--cgroupns", metavar="MODE", help="Cgroup namespace: private or host"),
)
_LIMITS = (
    option("-m", "--memory", metavar="SIZE", help="Limit the memory"),
    option("--memory-reservation", metavar="SIZE", help="The memory that it is meant to keep to"),
    option(
        "--memory-swap", metavar="SIZE", help="Limit memory and swap together; -1: no limit of swap"
    ),
    option("--cpus", metavar="NUMBER", help="Limit processor time to so many processors"),
    option("-c", "--cpu-shares", type=int, metavar="NUMBER", help="Weight of its processor time"),
    option("--cpu-period", type=int, metavar="MICROSECONDS", help="Period of the processor quota"),
    option("--cpu-quota", type=int, metavar="MICROSECONDS", help="Processor time in each period"),
    option("--cpuset-cpus", metavar="LIST", help="The processors that it may use: 0-3,5"),
    option("--cpuset-mems", metavar="LIST", help="The memory nodes that it may use"),
    option("--pids-limit", type=int, metavar="NUMBER", help="Limit the number of its processes"),
)
_RECORD = (
    option("--name", metavar="NAME", help="Name; one is made up if nothing is said"),
    option("--cidfile", metavar="FILE", help="Write the container's id to a file that must not exist"),
    option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Set a label"),
    option("--label-file", multiple=True, metavar="FILE", help="Read labels from a file"),
    option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of config.json"),
    option("--log-driver", metavar="DRIVER", help="k8s-file or none"),
    option("--log-opt", multiple=True, metavar="KEY=VALUE", help="max-size or max-file"),
    option("--rm", is_flag=True, help="Remove the container when it has ended"),
    option("--restart", metavar="POLICY", help="Only `no` for now"),
    option("--pull", type=["always", "missing", "never", "newer"], default="missing", help="When to fetch the image"),
    option("--platform", metavar="OS/ARCHITECTURE", help="The platform to choose from an image for several"),
    option("-q", "--quiet", is_flag=True, help="Print no progress"),
)  # fmt: skip


def _not_yet() -> tuple[Any, ...]:
    """Options that docker or podman has: taken, so that the engine can refuse them by name."""
    from rcrun.engine.options import NOT_YET, WITHOUT_EFFECT

    found = []
    for name in (*NOT_YET, *WITHOUT_EFFECT):
        word = f"--{name.replace('_', '-')}"
        if name in ("disable_content_trust", "no_healthcheck", "oom_kill_disable"):
            found.append(option(word, is_flag=True, hidden=True, help="Accepted, without effect"))
        else:
            found.append(option(word, metavar="VALUE", hidden=True, help="Not supported yet"))
    return tuple(found)


def container_options(handler: Handler) -> Handler:
    """All that run and create share."""
    every = (*_PROCESS, *_FILES, *_NETWORK, *_ISOLATION, *_LIMITS, *_RECORD, *_not_yet())
    for declare in reversed(every):
        handler = declare(handler)
    return handler


@command(interspersed=False, failure_status=125)
@option("-d", "--detach", is_flag=True, help="Run in the background and print the container's id")
@option("-a", "--attach", multiple=True, metavar="STREAM", help="Join only stdin, stdout or stderr")
@option("--detach-keys", metavar="KEYS", help="The keys that leave the container: ctrl-p,ctrl-q")
@option("--sig-proxy", is_flag=True, default=True, help="Pass signals on to the container")
@container_options
@argument("image", required=False)
@argument("args", nargs=-1, metavar="[COMMAND] [ARG]...")
def run(image: str | None, args: tuple[str, ...], **options: Any) -> None:
    """Run a command in a new container."""
    from rcrun.engine import run as engine
    from rcrun_cli import output

    image, args = _words(image, args, options)
    output.put(engine.run(context.engine(), image, args, options, _progress(options)))


@command(interspersed=False, failure_status=125)
@option(
    "-a",
    "--attach",
    multiple=True,
    metavar="STREAM",
    help="Join only stdin, stdout or stderr at start",
)
@container_options
@argument("image", required=False)
@argument("args", nargs=-1, metavar="[COMMAND] [ARG]...")
def create(image: str | None, args: tuple[str, ...], **options: Any) -> None:
    """Create a container without starting it."""
    from rcrun.engine import run as engine
    from rcrun_cli import output

    image, args = _words(image, args, options)
    output.put(engine.create(context.engine(), image, args, options, _progress(options)))


class _Later:
    """Progress of a pull whose module is loaded when there is something to tell: most runs pull nothing."""

    def __getattr__(self, name: str) -> Any:
        if "shown" not in self.__dict__:
            from rcrun_cli.progress import pull_progress

            self.shown = pull_progress(stream=sys.stderr)
        return getattr(self.shown, name)


def _progress(options: dict[str, Any]) -> Any:
    return None if options["quiet"] else _Later()


def _words(
    image: str | None, args: tuple[str, ...], options: dict[str, Any]
) -> tuple[str, tuple[str, ...]]:
    """With --rootfs and --bundle there is no image: the first word begins the command."""
    if options["rootfs"] or options["bundle"]:
        return "", args if image is None else (image, *args)
    if not image:
        raise InvalidInput("no image is given", "rcrun run [OPTIONS] IMAGE [COMMAND] [ARG]...")
    return image, args
