"""`pod clone`: a pod as another one was made, and in it a clone of each of its containers."""

from __future__ import annotations

from rcrun.engine import pod as pods_engine
from rcrun.engine.clone import Elsewhere
from rcrun.engine.clone import clone as clone_container
from rcrun.engine.podlife import levels
from rcrun.errors import InvalidInput
from rcrun.files import dump_json
from rcrun.storage import containers, pods
from rcrun.storage.claims import claim_free

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.options import Options
    from rcrun.storage.containers import Container
    from rcrun.storage.pods import Pod

# What the containers have of their pod since they were made: a copy of them cannot get it anew.
_OF_MEMBERS = (
    "cgroup_parent", "device", "gidmap", "gpus", "pid", "restart", "security_opt", "subgidname", "subuidname", "uidmap",
    "userns", "uts", "volume", "volumes_from",
)  # fmt: skip


def clone(context: Context, original: Pod, options: Options) -> Pod:
    """`options` are those of `pod create`; what they do not say is as the original has it. It is not started."""
    others = [each for each in original.members() if not pods.is_infra(each)]
    _refuse(original, others, options)
    made = _made(context, original, options)
    try:
        with pods.PodLock(made, shared=True):
            elsewhere = _elsewhere(context, original, made)
            for each in [each for level in levels(others) for each in level]:
                elsewhere.ids[each.id] = clone_container(context, each, "", "", {}, elsewhere)
    except BaseException:
        from rcrun.engine.podrm import remove

        remove(context, made, force=True)
        raise
    return made


def _refuse(original: Pod, others: list[Container], options: Options) -> None:
    for key in _OF_MEMBERS:
        if others and options.get(key):
            raise InvalidInput(
                f"--{key.replace('_', '-')} is not supported for a pod with containers: "
                f'those of "{original.name}" have what they were made with',
                "make it anew: rcrun pod inspect -f '{{json .CreateCommand}}' POD tells how it was made",
            )


def _made(context: Context, original: Pod, options: Options) -> Pod:
    infra = containers.load(context.store, original.infra_id) if original.infra_id else None
    given: dict[str, Any] = {
        **(original.record.get("options") or {}),
        "labels": original.record.get("labels") or {},
        "share": ",".join(original.record.get("share") or ()),
        "share_parent": original.record.get("share_parent", True),
        "exit_policy": original.record.get("exit_policy"),
        "infra": infra is not None,
        "create_command": original.record.get("create_command") or (),
        "resources": original.record.get("resources") or {},
    }
    if infra is not None and infra.record.get("infra") == "image":
        given["infra_image"] = infra.record.get("image_typed")
        given["infra_command"] = dump_json(infra.record.get("entrypoint") or []).rstrip("\n")
    given.update({key: value for key, value in options.items() if value not in (None, (), "")})
    if given.get("name"):
        return pods_engine.create(context, given)
    made: list[Pod] = []
    claim_free(
        lambda name: made.append(pods_engine.create(context, {**given, "name": name})),
        lambda number: f"{original.name}-clone{number or ''}",
    )
    return made[0]


def _elsewhere(context: Context, original: Pod, made: Pod) -> Elsewhere:
    ids = {original.id: made.id}
    names = ["", ""]
    if original.infra_id and made.infra_id:
        ids[original.infra_id] = made.infra_id
        both = [containers.load(context.store, each) for each in (original.infra_id, made.infra_id)]
        names = [str(each.config().get("hostname") or "") if each else "" for each in both]
    parent = str(made.record.get("group") or "") if made.record.get("share_parent", True) else ""
    return Elsewhere(ids, {"id": made.id, "name": made.name}, (names[0], names[1]), parent)
