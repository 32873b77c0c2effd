"""What a container has changed in its root, and what an image changes of the one below it."""

from __future__ import annotations

from rcrun.engine.rootfs import Layers, container_ids
from rcrun.engine.work import worker_events
from rcrun.files import dump_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container
    from rcrun.storage.images import Image

    Job = dict[str, Any]
    Line = tuple[str, str]  # A, C or D; the path


# Where the engine mounts something of its own; a start may have made the places.
OWN_PLACES = ("dev", "proc", "sys", "etc/mtab", "run/secrets")


def container_changes(context: Context, container: Container) -> Iterator[Line]:
    from rcrun.storage.stillthere import StillThere

    with StillThere(container):
        yield from _told(context, changes_job(context, container))


def image_changes(context: Context, image: Image) -> Iterator[Line]:
    """Of its topmost layer."""
    from rcrun.storage.layers import ensure

    if not image.chain:
        return iter(())
    upper, *lowers = ensure(context.store, context.identity, image)
    job = {"upper": upper, "lowers": lowers, "whole": False, "driver": "", "hidden": []}
    return _told(context, job)


def changes_job(context: Context, container: Container) -> Job:
    layers = Layers(container)
    uids, gids = container_ids(context, container)
    return {
        "upper": layers.upper,
        "lowers": layers.lowers,
        "whole": layers.whole,
        "driver": layers.driver,
        "hidden": sorted(_hidden(container)),
        "log": _marks_log(context, container),
        "single": context.identity.kind == "single",
        "shifted": bool(container.record.get("shifted")),
        "uids": uids,
        "gids": gids,
    }


def _marks_log(context: Context, container: Container) -> str:
    if context.identity.kind != "single":
        return ""
    from rcrun.storage.marks import LOG

    return container.path(LOG)


def _hidden(container: Container) -> set[str]:
    """Mount points that nobody asked for."""
    asked = {mount["destination"] for mount in container.record.get("mounts", [])}
    mounts = container.config().get("mounts") or []
    places = {
        mount["destination"].strip("/") for mount in mounts if mount["destination"] not in asked
    }
    return {*places, *OWN_PLACES}


def _told(context: Context, job: Job) -> Iterator[Line]:
    for event in worker_events(context, ["changes", dump_json(job)]):
        yield event["change"], f"/{event['path']}"
