"""The images that pods need, before anything is made: built where a folder beside the documents has them, else pulled."""

from __future__ import annotations

import os

from rcrun.engine.kube.container import pull_policy
from rcrun.engine.pull import pull
from rcrun.errors import NotFound
from rcrun.storage import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context
    from rcrun.engine.kube.pod import PodPlan
    from rcrun.engine.kube.request import Request
    from rcrun.formats.image import ContainerConfig

_FILES = ("Containerfile", "Dockerfile")


def bring(context: Context, plan: PodPlan, request: Request) -> None:
    for wanted in plan.containers:
        _bring_one(context, wanted.image, wanted.policy, request)
    for volume in plan.volumes.values():
        if volume.kind == "image":
            policy = pull_policy(volume.value.field("pullPolicy"), volume.source)
            _bring_one(context, volume.source, policy, request)


def _bring_one(context: Context, text: str, policy: str, request: Request) -> None:
    file = build_file(text, request.context_dir or os.getcwd())
    if file and request.builds is not False and (request.builds or not _is_here(context, text)):
        request.build(text, file)
        return
    if policy in ("missing", "never") and _is_here(context, text):
        return
    if policy == "never":
        images.find(context.store, text)  # which says what is missing
    pull(context, text, policy=policy, progress=request.progress, access=request.access)


def _is_here(context: Context, text: str) -> bool:
    try:
        images.find(context.store, text)
    except NotFound:
        return False
    return True


def build_file(image: str, folder: str) -> str:
    """`NAME/Containerfile` of an image that is called NAME, whatever stands around it."""
    name = image.split(":")[0].split("/")[-1].split("@")[0]
    if name in ("", ".", ".."):
        return ""
    paths = [f"{folder}/{name}/{file}" for file in _FILES]
    return next((path for path in paths if os.path.isfile(path)), "")


def config_of(context: Context, text: str) -> ContainerConfig:
    """What the image says of its containers; nothing of one that is not here (yet)."""
    try:
        return images.find(context.store, text).config.get("config") or {}
    except NotFound:
        return {}
