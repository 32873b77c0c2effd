"""The end of a build: its image, what it says of itself, its names, and the places that --output gives it."""

from __future__ import annotations

from rcrun.engine.build.request import Built, Made, Request
from rcrun.engine.eventlog import emit
from rcrun.engine.pull import Silent, unpack
from rcrun.formats import reference as grammar
from rcrun.storage import images, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.build.request import Looks
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.formats.image import Descriptor
    from rcrun.storage.images import Image
    from rcrun.storage.lease import Lease


def image_of(context: Context, request: Request, state: State, created: str, lease: Lease) -> Image:
    """In the store, without a name yet."""
    from rcrun.storage.committing import Draft

    if request.squash:
        from rcrun.engine.build.squash import squashed

        state = squashed(context, state, request.squash, lease)
    looks = request.looks
    draft = Draft(document_of(state, looks, created))
    if any(cache.kind == "inline" for cache in request.caching.targets):
        from rcrun.engine.build.remotecache import INLINE, VERSION, steps_document

        draft.document[INLINE] = {"version": VERSION, "steps": steps_document(state.steps)}
    draft.layers = [layer.descriptor for layer in state.layers]
    draft.diff_ids = [layer.diff_id for layer in state.layers]
    annotations = dict(looks.annotations)
    for output in request.outputs:
        annotations.update(output.annotations())
    return images.load(context.store, draft.write(context.store, request.form, lease, annotations))


def document_of(state: State, looks: Looks, created: str) -> dict[str, Any]:
    config = dict(state.config)
    labels = dict(config.get("Labels") or {})
    if not looks.inherit_labels:
        labels = {key: labels[key] for key in labels if key in state.own_labels}
    for key in looks.unset_labels:
        labels.pop(key, None)
    labels.update(looks.labels)
    if labels or "Labels" in config:
        config["Labels"] = labels
    environment = {**state.environment, **looks.env}
    for name in looks.unset_env:
        environment.pop(name, None)
    if environment or "Env" in config:
        config["Env"] = [f"{name}={value}" for name, value in environment.items()]
    document = {**state.document, "created": created, "config": config, "history": state.history}
    if not looks.history:
        document["history"] = []
    if looks.os_version:
        document["os.version"] = looks.os_version
    if looks.os_features:
        known = list(document.get("os.features") or [])
        document["os.features"] = known + [each for each in looks.os_features if each not in known]
    return document


def finish(
    context: Context, request: Request, made: list[Made], names: list[str], lease: Lease
) -> Built:
    """Files first: what cannot be written gives no name."""
    store = context.store
    descriptor = made[0].image.descriptor
    if len(made) > 1:
        from rcrun.engine.build.platforms import member, write_index

        members = [member(each.image, store) for each in made]
        descriptor = write_index(store, members, request.form, lease)
    kept = not request.outputs or _written(context, request, made, names, lease)
    if kept:
        _name(context, request, made, descriptor, names, lease)
    return Built(made, descriptor, kept=kept)


def _written(
    context: Context, request: Request, made: list[Made], names: list[str], lease: Lease
) -> bool:
    """Whether the image is to stay in the store besides."""
    from rcrun.engine.build.outputs import is_file, write

    files = [output for output in request.outputs if is_file(output)]
    for output in files:
        write(context, output, made, names, lease)
    return any(each not in files and each.kind != "cacheonly" for each in request.outputs)


def _name(
    context: Context,
    request: Request,
    made: list[Made],
    descriptor: Descriptor,
    names: list[str],
    lease: Lease,
) -> None:
    store = context.store
    own = [each for each in made if len(made) > 1 and _runs_here(each)] or made
    unpack(context, own[0].image, Silent())
    if request.manifest_list:
        from rcrun.engine.build.platforms import add_to_list, member

        name = str(images.named(store, request.manifest_list))
        members = [member(each.image, store) for each in made]
        layout.add_reference(store, add_to_list(store, name, members, request.form, lease), name)
    extra = [name for output in request.outputs for name in output.get("name").split(",") if name]
    names = [*names, *(str(images.named(store, name)) for name in extra)]
    for name in names or ([] if request.manifest_list else [""]):
        layout.add_reference(store, descriptor, name)
    digest = made[0].image.config_digest if len(made) == 1 else descriptor["digest"]
    shown = grammar.familiar(grammar.parse(names[0])) if names else digest
    emit(store, "image", "build", digest, {"name": shown})


def _runs_here(made: Made) -> bool:
    from rcrun.engine.build.platforms import normalised
    from rcrun.formats.image import suits

    return suits(made.platform, normalised(""))
