"""`rcrun events`: what happens to containers, images and volumes."""

from __future__ import annotations

import sys
import time

from rcrun.engine import events as engine
from rcrun.formats.visible import visible
from rcrun_cli import context, output
from rcrun_cli.declare import command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]


@command()
@option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches"
)
@option("--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("--no-trunc", is_flag=True, default=True, help="Print whole ids")
@option("--since", metavar="TIME", help="From then on: a time, or 10m for ten minutes ago")
@option("--stream", is_flag=True, default=True, help="Go on with what comes")
@option("--no-stream", is_flag=True, help="Print what there was, and end")
@option("--until", metavar="TIME", help="End then")
def events(
    filters: tuple[str, ...],
    form: str | None,
    no_trunc: bool,
    since: str | None,
    stream: bool,
    no_stream: bool,
    until: str | None,
) -> None:
    """Print what happens to containers, images and volumes, as it happens."""
    as_podman = context.settings.personality == "podman"
    if as_podman and until and not since:
        since = "0"
    text_of = _formatter(form, as_podman, no_trunc)
    found = engine.read(
        context.store(),
        since=_moment(since),
        until=_moment(until, ahead=as_podman),
        stream=stream and not no_stream,
        filters=filters,
    )
    for event in found:
        output.put(text_of(event))
        sys.stdout.flush()


def _moment(text: str | None, *, ahead: bool = False) -> int | None:
    if not text:
        return None
    from rcrun.formats import moment

    return moment.parse(text, time.time_ns(), ahead=ahead)


def _formatter(form: str | None, as_podman: bool, whole: bool) -> Callable[[Event], str]:
    if not form:
        return lambda event: visible((_podman_line if as_podman else _line)(event, whole))
    template = output.parse_template("{{json .}}" if form == "json" else form, escapes=True)
    shape = _podman_object if as_podman else (lambda event: event)
    if form == "json":
        return lambda event: template.render(shape(event))
    return lambda event: template.render({**_fields(event), **shape(event)})


def _fields(event: Event) -> Event:
    """What docker's templates may name beyond the keys of the JSON."""
    return {
        "Status": event.get("status", ""),
        "ID": event.get("id", ""),
        "From": event.get("from", ""),
        "Scope": event.get("scope", ""),
        "Time": event["time"],
        "TimeNano": event["timeNano"],
    }


def _line(event: Event, whole: bool) -> str:
    """`2026-11-23T08:00:00.123456789+01:00 container start ID (image=…, name=…)`."""
    actor = event["Actor"]
    words = [_time(event, "T", ""), event["Type"], event["Action"], _id(actor["ID"], whole)]
    attributes = [f"{key}={value}" for key, value in sorted(actor["Attributes"].items())]
    return " ".join(words) + (f" ({', '.join(attributes)})" if attributes else "")


def _id(text: str, whole: bool) -> str:
    return output.short_id(text, whole=whole) if len(text) >= 64 else text


def _time(event: Event, between: str, before_zone: str) -> str:
    seconds, rest = divmod(event["timeNano"], 1_000_000_000)
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    if not before_zone:
        zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime(f'%Y-%m-%d{between}%H:%M:%S', local)}.{rest:09}{before_zone}{zone}"


# Podman has other words, and flat objects.


def _podman_action(event: Event) -> str:
    word = event["Action"].partition(":")[0]
    known: str = engine.PODMAN_ACTIONS.get(word, word)
    return known


def _podman_line(event: Event, whole: bool) -> str:
    actor = event["Actor"]
    attributes = dict(actor["Attributes"])
    zone = time.strftime("%Z", time.localtime(event["time"]))
    words = [f"{_time(event, ' ', ' ')} {zone}", event["Type"], _podman_action(event)]
    if event["Type"] == "network":
        words.append(_id(actor["ID"], whole))
        return " ".join(
            [*words, f"({', '.join(f'{k}={attributes[k]}' for k in sorted(attributes))})"]
        )
    if event["Type"] != "container":
        name = attributes.get("name", "")
        return " ".join([*words, _id(actor["ID"], whole), *([name] if name != actor["ID"] else [])])
    shown = [f"{key}={attributes.pop(key, '')}" for key in ("image", "name")]
    if event["Action"].startswith("health_status"):
        shown.append(f"health_status={event['Action'].partition(': ')[2]}")
    shown += [f"{key}={value}" for key, value in sorted(attributes.items())]
    return " ".join([*words, _id(actor["ID"], whole), f"({', '.join(shown)})"])


def _podman_object(event: Event) -> Event:
    actor = event["Actor"]
    attributes = dict(actor["Attributes"])
    found: Event = {
        "ID": actor["ID"],
        "Image": attributes.pop("image", ""),
        "Name": attributes.pop("name", ""),
        "Status": _podman_action(event),
        "Time": _time(event, "T", ""),
        "Type": event["Type"],
        "time": event["time"],
        "timeNano": event["timeNano"],
    }
    if "exitCode" in attributes:
        found["ContainerExitCode"] = int(attributes.pop("exitCode"))
    if event["Action"].startswith("health_status"):
        found["HealthStatus"] = event["Action"].partition(": ")[2]
    return {**found, "Attributes": attributes or None}
