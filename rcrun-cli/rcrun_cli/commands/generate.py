"""`rcrun generate systemd`."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.generatesystemd import Wanted
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

_RESTARTS = "no, on-success, on-failure, on-abnormal, on-watchdog, on-abort or always"


@command("systemd")
@option(
    "-n",
    "--name",
    "by_name",
    is_flag=True,
    help="Call the container by its name, and not by its id",
)
@option("--new", is_flag=True, help="Make the container at each start, and remove it at each stop")
@option(
    "-f", "--files", is_flag=True, help="Write files into this directory, and print their names"
)
@option("--format", "form", metavar="FORMAT", help="Only `json`")
@option(
    "-t",
    "--time",
    "--stop-timeout",
    "seconds",
    type=int,
    metavar="SECONDS",
    help="How long a stop waits before it kills",
)
@option("--start-timeout", type=int, metavar="SECONDS", help="How long systemd waits for the start")
@option("--restart-policy", "restart", metavar="POLICY", help=_RESTARTS)
@option(
    "--restart-sec",
    type=int,
    metavar="SECONDS",
    help="How long systemd waits before it starts again",
)
@option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set a variable in the unit")
@option("--after", multiple=True, metavar="UNIT", help="Start after this unit")
@option("--wants", multiple=True, metavar="UNIT", help="Start this unit, too")
@option(
    "--requires", multiple=True, metavar="UNIT", help="Start this unit, too, and not without it"
)
@option(
    "--container-prefix",
    "prefix",
    default="container",
    metavar="TEXT",
    help="How names of units begin",
)
@option("--pod-prefix", default="pod", metavar="TEXT", help="How names of units of pods begin")
@option("--separator", default="-", metavar="TEXT", help="Between that and the container's name")
@option(
    "--template", is_flag=True, hidden=True, help="Refused: a file NAME@.container is a template"
)
@option("--no-header", is_flag=True, help="Leave out who made it, and when")
@argument("containers", nargs=-1, required=True)
def generate_systemd(
    containers: tuple[str, ...], form: str | None, files: bool, **options: Any
) -> None:
    """Print a unit of systemd that starts a container or a pod. Files of Quadlet are the simpler way: see rcrun quadlet."""
    if form not in (None, "json"):
        raise InvalidInput(f'invalid --format "{form}"', "the only one is json")
    if options["template"]:
        raise InvalidInput(
            "--template is not supported",
            "write a file NAME@.container: rcrun quadlet install FILE",
        )
    engine = context.engine()
    units = {
        unit: text for name in containers for unit, text in _units_of(engine, name, options).items()
    }
    if files:
        units = {name: _written(f"{name}.service", text) for name, text in units.items()}
    if form:
        from rcrun.files import dump_json

        output.put(dump_json(units).rstrip("\n"))
        return
    for text in units.values():
        output.put(text.removesuffix("\n"))


def _written(name: str, text: str) -> str:
    from rcrun.files import write_file

    path = os.path.abspath(name)
    write_file(path, text.encode())
    return path


def _units_of(engine: Context, text: str, options: dict[str, Any]) -> dict[str, str]:
    """Of a container, else of a pod with its containers: names of units, and their texts."""
    from rcrun.errors import NotFound
    from rcrun.storage import containers, pods

    try:
        container = containers.find(engine.store, text)
    except NotFound:
        try:
            pod = pods.find(engine.store, text)
        except NotFound:
            pod = None
        if pod is None:
            raise
        return _units_of_pod(engine, pod, options)
    if container.record.get("infra"):
        raise InvalidInput(
            f'container "{container.name}" is the infra container of a pod', "name the pod"
        )
    return _unit(engine, container, options)


def _units_of_pod(engine: Context, pod: Pod, options: dict[str, Any]) -> dict[str, str]:
    from rcrun.engine.generatesystemd import pod_text
    from rcrun.storage.containers import find

    if not pod.infra_id:
        raise InvalidInput(
            f'pod "{pod.name}" has no infra container, which a unit could watch',
            "name its containers instead",
        )
    infra = find(engine.store, pod.infra_id)
    name = _name(options["pod_prefix"], options, pod.name if options["by_name"] else pod.id)
    others: dict[str, str] = {}
    for each in pod.members():
        if each.id != infra.id:
            others.update(_unit(engine, each, options, name))
    wanted = _wanted(engine, infra, name, options)
    wanted.members = list(others)
    create = _pod_words(pod, by_name=options["by_name"]) if options["new"] else []
    return {name: pod_text(infra, wanted, create, _comment(name, options)), **others}


def _name(prefix: str, options: dict[str, Any], shown: str) -> str:
    return f"{prefix}{options['separator'] if prefix else ''}{shown}"


def _comment(name: str, options: dict[str, Any]) -> str:
    return f"{name}.service" if options["no_header"] else _header(name)


def _unit(
    engine: Context, container: Container, options: dict[str, Any], pod: str = ""
) -> dict[str, str]:
    """`pod`: the unit of the pod that it is in."""
    from rcrun.engine.generatesystemd import unit_text

    name = _name(options["prefix"], options, container.name if options["by_name"] else container.id)
    wanted = _wanted(engine, container, name, options)
    wanted.pod = pod
    words = _run_words(container, by_name=options["by_name"], pod=pod) if options["new"] else []
    return {name: unit_text(container, wanted, words, _comment(name, options))}


def _wanted(engine: Context, container: Container, name: str, options: dict[str, Any]) -> Wanted:
    from rcrun.engine import generatesystemd as texts
    from rcrun.engine.quadlet.output import command_words, kept_environment

    seconds = options["seconds"]
    if seconds is None:
        seconds = max(0, int(container.record.get("stop_timeout", 10)))
    wanted = texts.Wanted(command_words(engine), name, seconds)
    wanted.by_name, wanted.new = options["by_name"], options["new"]
    wanted.is_user = engine.identity.kind != "root"
    wanted.environment = [*kept_environment(engine), *_environment(engine, options["env"])]
    for key in ("after", "wants", "requires"):
        setattr(wanted, key, options[key])
    wanted.restart = _restart(container, options["restart"])
    wanted.restart_sec, wanted.start_timeout = (
        options["restart_sec"] or 0,
        options["start_timeout"] or 0,
    )
    wanted.store_dir = engine.store.root_dir
    return wanted


def _header(name: str) -> str:
    import time

    from rcrun.version import VERSION

    return (
        f"{name}.service\n# made by rcrun {VERSION}\n# {time.strftime('%a %b %e %H:%M:%S %Z %Y')}"
    )


def _restart(container: Container, asked: str | None) -> str:
    """As asked, else as the container's own policy, which then is systemd's business."""
    from rcrun.engine.generatesystemd import RESTARTS

    own = (container.record.get("restart_policy") or {}).get("name", "")
    policy = asked or {"unless-stopped": "always"}.get(own, own) or "on-failure"
    if policy not in RESTARTS:
        raise InvalidInput(f'invalid --restart-policy "{policy}"', f"it is {_RESTARTS}")
    return policy


def _environment(engine: Context, words: tuple[str, ...]) -> list[str]:
    from rcrun.formats.envfile import resolve

    found = resolve(words, engine.environ)
    return [f"{key}={value}" for key, value in found.items() if value is not None]


def _run_words(container: Container, *, by_name: bool, pod: str) -> list[str]:
    """What was typed, without what the unit says itself; with --name a container of that name is replaced."""
    from rcrun.engine.generatesystemd import typed_words
    from rcrun_cli.commands.run import run

    given, words = run._scan(typed_words(container))
    found = _options(run, given, in_pod=bool(pod))
    if by_name or "name" in given:
        found += ["--replace", "--name", container.name]
    return [*found, *words]


def _pod_words(pod: Pod, *, by_name: bool) -> list[str]:
    """The same of `pod create`; what systemd watches ends when the containers have."""
    from rcrun.engine.generatesystemd import words_of_pod
    from rcrun_cli.commands.pod import create_pod

    given, words = create_pod._scan(words_of_pod(pod))
    found = _options(create_pod, given)
    if "exit_policy" not in given:
        found.append("--exit-policy=stop")
    if by_name or "name" in given or words:
        found += ["--replace", "--name", pod.name]
    return found


def _options(command: Any, given: dict[str, Any], *, in_pod: bool = False) -> list[str]:
    from rcrun.engine.generatesystemd import kept

    spelled = {param.name: max(param.opts(), key=len) for param in command.options()}
    return [
        f"{spelled[name]}={'true' if value is True else 'false' if value is False else value}"
        for name, values in given.items()
        if kept(name, in_pod=in_pod) and name != "name"
        for value in values
    ]
