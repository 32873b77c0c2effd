"""`rcrun run` and `rcrun create`: their options are one list, declared once."""

from __future__ import annotations

import os
import sys

from rcrun.errors import InvalidInput
from rcrun_cli import context, options_around, options_inside
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun_cli.declare import Handler


def container_options(handler: Handler) -> Handler:
    """All that run and create share."""
    every = (
        *options_inside.PROCESS,
        *options_inside.FILES,
        *options_around.NETWORK,
        *options_inside.ISOLATION,
        *options_inside.LIMITS,
        *options_around.RECORD,
        *options_inside.MORE,
        *options_around.HEALTH,
    )
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
    options = _with_defaults(_with_access(options))
    output.allow_no_terminal(options)

    def tell(identifier: str) -> None:
        output.put(identifier)
        sys.stdout.flush()  # before this process is another program

    output.put(engine.run(context.engine(), image, args, options, _progress(options), tell))


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
    options = _with_defaults(_with_access(options))
    output.put(engine.create(context.engine(), image, args, options, _progress(options)))


_WAYS = ("tls_verify", "creds", "authfile", "cert_dir", "retry", "retry_delay")


def _with_access(options: dict[str, Any]) -> dict[str, Any]:
    """How the image is fetched, as with `pull`; podman's three options for a platform, and its IPC namespaces."""
    context.take_host_options(options)
    if context.settings.personality == "podman":
        _as_podman(options)
    if not options["creds"]:  # a password is not for container.json
        options["create_command"] = [context.settings.personality, *sys.argv[1:]]
    wanted = [options.pop(key) for key in ("system", "arch", "variant")]
    ways = {key: options.pop(key) for key in _WAYS}
    if any(wanted):
        from rcrun_cli.commands.pull import wanted_platform

        if options["platform"]:
            raise InvalidInput("conflicting options: --platform and --arch, --os or --variant")
        options["platform"] = wanted_platform(*wanted)
    if any(value is not None and value is not True for value in ways.values()) or _has_own_way():
        from rcrun_cli.registryoptions import access_from

        options["access"] = access_from(**ways)
    return options


def _has_own_way() -> bool:
    """Whether a registry is reached as something before the command, or outside of it, says."""
    return bool(
        context.settings.config_dir
        or os.environ.get("DOCKER_CUSTOM_HEADERS")
        or "HttpHeaders" in context.docker_config()
    )


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    """What the environment and docker's config.json say where the command line does not; a bundle says all itself."""
    config = context.docker_config()
    if options["interactive"] and options["tty"] and options.get("detach_keys") is None:
        options["detach_keys"] = context.detach_keys(None)
    if options["bundle"]:
        return options
    if not options["rootfs"]:
        options["platform"] = options["platform"] or context.default_platform() or None
    joins = options["pod_id_file"] or (options["pod"] and not options["pod"].startswith("new:"))
    if not joins:
        options["userns"] = context.userns_of(options)
    if config.get("proxies"):
        from rcrun_cli.dockerdefaults import with_proxies

        return with_proxies(options)
    return options


def _as_podman(options: dict[str, Any]) -> None:
    """What is asked for twice is asked for once; an empty --publish is none."""
    options["ipc_is_usual"] = not options["ipc"]
    options["ipc"] = options["ipc"] or "shareable"
    for key in ("volume", "tmpfs", "mount", "publish"):
        if options[key]:
            options[key] = tuple(dict.fromkeys(filter(None, options[key])))


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
    if context.settings.personality == "docker" and not options["log_driver"]:
        options["log_driver"] = "json-file"  # whose files docker's users read
    if context.settings.personality == "podman" or options["replace"]:
        options["new_cidfile"] = True  # one that is there is written over
    if options["rootfs"] or options["bundle"]:
        return "", args if image is None else (image, *args)
    if not image:
        raise InvalidInput("no image is given", "rcrun run [OPTIONS] IMAGE [COMMAND] [ARG]...")
    return image, args
