"""`container clone`: a new container as another one was made, from the same image or from another one."""

from __future__ import annotations

import os

from rcrun.engine import config_limits
from rcrun.engine.config_linux import cgroup_place
from rcrun.engine.facts import stat_or_none
from rcrun.errors import InvalidInput, NotFound
from rcrun.files import dump_json, parse_json, write_new
from rcrun.formats import names
from rcrun.runtime.update import merged
from rcrun.storage import images, layers
from rcrun.storage.claims import claim, claim_free
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.claims import Claim
    from rcrun.storage.containers import Container

# Of a run, not of how it was made.
_OF_A_RUN = (
    "last_exit",
    "error",
    "boot",
    "host",
    "live",
    "cgroup",
    "restart_count",
    "health",
    "stopped",
)
_FILES = ("hosts", "resolv.conf", "hostname", "containerenv", "dockerenv", "passwd", "group")


class Elsewhere:
    """Another pod that a clone comes into. `ids`: of pods and containers there, for those of the first one's."""

    __slots__ = ("cgroup_parent", "host_names", "ids", "pod")

    def __init__(
        self,
        ids: dict[str, str],
        pod: Mapping[str, str],
        host_names: tuple[str, str],
        cgroup_parent: str,
    ) -> None:
        self.ids = ids
        self.pod = pod
        self.host_names = host_names  # the first one's, and this one's
        self.cgroup_parent = cgroup_parent  # empty: as the original has it

    def move(self, record: dict[str, Any], config: Any) -> None:
        record["pod"] = {**(record.get("pod") or {}), **self.pod}
        before, after = self.host_names
        if config.get("hostname") == before:
            config["hostname"] = after
        env = config["process"].get("env") or []
        config["process"]["env"] = [
            f"HOSTNAME={after}" if word == f"HOSTNAME={before}" else word for word in env
        ]
        if self.cgroup_parent:
            config["linux"]["cgroupsPath"] = cgroup_place(self.cgroup_parent, record["id"])
            record["asked"] = {**(record.get("asked") or {}), "cgroup_parent": self.cgroup_parent}


def clone(
    context: Context,
    original: Container,
    name: str,
    image: str,
    options: Mapping[str, Any],
    elsewhere: Elsewhere | None = None,
) -> str:
    """The id of the new container, which was not started; volumes and directories are the same ones."""
    if original.record.get("own_ids"):
        raise InvalidInput(
            f'cannot clone "{original.name}": the ids of --userns auto are its alone',
            "make another one with the options of the first: rcrun create --userns auto …",
        )
    gate = layers.gate(context.store)
    gate.acquire()
    try:
        with claim(context.store) as made:
            _claim_name(made, original, name)
            _fill(context, made.container, original, image, options, elsewhere)
            made.container.save()
            return made.container.id
    finally:
        gate.release()


def _claim_name(made: Claim, original: Container, name: str) -> None:
    if name:
        made.claim_name(names.check(name.removeprefix("/"), "container"))
        return
    claim_free(made.claim_name, lambda number: f"{original.name}-clone{number or ''}")


def _fill(
    context: Context,
    made: Container,
    original: Container,
    image: str,
    options: Mapping[str, Any],
    elsewhere: Elsewhere | None,
) -> None:
    claimed = made.record["name"]
    ids = elsewhere.ids if elsewhere else {}
    record = _renamed(original.record, original, made, ids)
    made.record = {key: value for key, value in record.items() if key not in _OF_A_RUN}
    made.record.update(id=made.id, name=claimed, created=now_text(), launched=0, boot="", error="")
    made.record["restart_count"] = 0
    network = made.record.get("network") or {}
    network.pop("bound", None)
    config: Any = _renamed(original.config(), original, made, ids)
    if elsewhere is not None:
        elsewhere.move(made.record, config)
    resources = config_limits.limits(options, stat_or_none)
    if resources:
        linux = config.setdefault("linux", {})
        linux["resources"] = merged(linux.get("resources") or {}, resources)
    if image:
        _other_image(context, made, image)
    for file in _FILES:
        _copy_text(original, made, file)
    if os.path.isdir(original.path("secrets")):
        from shutil import copytree

        copytree(original.path("secrets"), made.path("secrets"))
    if made.record.get("default_mounts"):
        from rcrun.engine.hostmounts import copy_again

        copy_again(context, made, config)
    _make_root(context, made, config)
    write_new(made.path("config.json"), (dump_json(config) + "\n").encode())


def _renamed(
    document: Any, original: Container, made: Container, ids: Mapping[str, str] = {}
) -> Any:
    """With its own directory, id, and the host name that the id gives; `ids`: others that change with it."""
    words = [(original.dir, made.dir), (original.id[:12], made.id[:12]), *ids.items()]

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            for before, after in words:
                value = value.replace(before, after)
            return value
        if isinstance(value, list):
            return [changed(each) for each in value]
        if isinstance(value, dict):
            return {key: changed(each) for key, each in value.items()}
        return value

    return changed(parse_json(dump_json(document)))


def _copy_text(original: Container, made: Container, file: str) -> None:
    try:
        with open(original.path(file), "rb") as source:
            text = source.read()
    except FileNotFoundError:
        return
    old, new = original.id[:12].encode(), made.id[:12].encode()
    lines = text.replace(old, new)
    if file == "hosts":
        lines = lines.replace(original.name.encode(), made.name.encode())
    write_new(made.path(file), lines)


def _other_image(context: Context, made: Container, text: str) -> None:
    if made.record["rootfs"]["kind"] != "overlay":
        raise InvalidInput(f'cannot clone with the image "{text}": the container has none')
    try:
        image = images.find(context.store, text)
    except NotFound as error:
        raise NotFound(error.message, f"rcrun pull {text}") from error
    lowers = layers.ensure(context.store, context.identity, image, None)
    relative = [context.store.relative(path) for path in lowers]
    made.record["rootfs"]["lowers"] = relative
    made.record.update(
        image=image.reference or None,
        image_id=image.config_digest,
        manifest_digest=image.digest,
        image_typed=text,
    )


def _make_root(context: Context, made: Container, config: Any) -> None:
    os.mkdir(made.path("rootfs"), 0o755)
    rootfs = made.record["rootfs"]
    if rootfs["kind"] != "overlay":
        return
    lowers = [made.store.path(path) for path in rootfs["lowers"]]
    if made.record.get("shifted"):
        from rcrun.engine.shifting import copy_shifted

        copy_shifted(context, lowers, made.path("rootfs"), config)
    elif rootfs["driver"] == "copy":
        from rcrun.engine.volumes import copy_layers

        copy_layers(context, lowers, made.path("rootfs"))
    else:
        os.mkdir(made.path("upper"))
        os.chmod(made.path("upper"), os.stat(lowers[0]).st_mode & 0o7777)
        os.mkdir(made.path("work"), 0o700)
