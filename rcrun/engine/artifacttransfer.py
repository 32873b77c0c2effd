"""Artifacts out of the store: their files into directories, and to and from registries."""

from __future__ import annotations

import os

from rcrun.engine.artifacts import Artifact, find, known_artifact, title_of
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.storage import layout, wholes
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.engine.imagecopy import Progress
    from rcrun.engine.places import Place
    from rcrun.engine.signing import Signing
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store


def chosen_files(
    found: Artifact, text: str, *, title: str = "", digest: str = ""
) -> list[Descriptor]:
    layers = found.manifest["layers"]
    if title:
        layers = [layer for layer in layers if title_of(layer) == title]
    if digest:
        digits = digest.removeprefix("sha256:")
        layers = [layer for layer in layers if layer["digest"][7:].startswith(digits)]
    if not layers:
        names = ", ".join(title_of(each) or each["digest"] for each in found.manifest["layers"])
        wanted = title or digest
        raise NotFound(
            f'artifact "{text}" has no file "{wanted}"'
            if wanted
            else f'artifact "{text}" is empty',
            f"it has {names}" if names else None,
        )
    return list(layers)


def extract(
    context: Context, text: str, path: str, *, title: str = "", digest: str = ""
) -> list[str]:
    """Write its files into a directory, or one of them as a file; the paths."""
    if title and digest:
        raise InvalidInput("--title and --digest exclude each other")
    store = context.store
    with Lease(store) as lease:
        found = find(store, text)
        layers = chosen_files(found, text, title=title, digest=digest)
        lease.add([layer["digest"] for layer in layers])
        for layer in layers:
            wholes.check_blob(store, layer)
        if os.path.isdir(path):
            targets = [f"{path}/{_file_name(layer, text)}" for layer in layers]
        elif len(layers) > 1:
            raise InvalidInput(
                f'artifact "{text}" has {len(layers)} files, and "{path}" is no directory',
                "name a directory, or one file: --title NAME",
            )
        else:
            targets = [path]
        for layer, target in zip(layers, targets, strict=True):
            _write(store, layer, target)
    return targets


def files_of(store: Store, text: str, *, title: str, digest: str) -> list[tuple[str, str]]:
    """Name and place of its files, for a mount: a blob of the store is a file as it is."""
    found = find(store, text)
    files = []
    for layer in chosen_files(found, text, title=title, digest=digest):
        wholes.check_blob(store, layer)
        store.bring(layer["digest"])
        files.append((_file_name(layer, text), store.blob_path(layer["digest"])))
    return files


def _file_name(layer: Descriptor, text: str) -> str:
    """Whoever made the artifact must not choose where we write."""
    title = title_of(layer) or layer["digest"].replace(":", "-")
    if "/" in title or "\0" in title or title in (".", ".."):
        raise InvalidInput(
            f'artifact "{text}" has a file named "{title}", which is no plain name',
            f"rcrun artifact extract --digest {layer['digest']} {text} FILE",
        )
    return title


def _write(store: Store, layer: Descriptor, target: str) -> None:
    from rcrun.engine.export import OutputFile
    from rcrun.files import write_all
    from rcrun.storage.saving import verified

    if os.path.islink(target):
        raise InvalidInput(f'"{target}" is a link', "remove it, or name what it leads to")
    with OutputFile(target) as file:
        for data in verified(store, layer):
            write_all(file.fd, data)


def pull(context: Context, text: str, access: Access, progress: Progress) -> Artifact:
    from rcrun.engine.download import Stopped
    from rcrun.engine.remote import Remote

    reference = grammar.parse(text.removeprefix("docker://"))
    layout.init(context.store)
    try:
        with Lease(context.store) as lease, Remote(context, reference, access, lease) as remote:
            top = remote.top()
            if top.is_index or top.value["config"].get("mediaType") in documents.CONFIGS:
                raise InvalidInput(f'"{text}" is an image, not an artifact', f"rcrun pull {text}")
            found = remote.bring(top)
            known_artifact(context.store, str(reference), text)
            remote.fetch(found.blobs(), progress)
            layout.add_reference(context.store, found.top, str(reference), keep=False)
    except Stopped:
        raise RcrunError(f'the pull of "{text}" was stopped') from None
    return Artifact(found.top, found.manifests[0][1], str(reference))


def push(
    context: Context,
    text: str,
    target: Place,
    access: Access,
    progress: Progress,
    signing: Signing | None = None,
) -> str:
    from rcrun.engine import imagecopy
    from rcrun.engine.download import Stopped

    found = find(context.store, text)
    options = imagecopy.Options(signing=signing)
    try:
        with Lease(context.store) as lease:
            whole = wholes.whole(context.store, found.descriptor)
            lease.add(whole.digests())
            wholes.check_blobs(context.store, whole, foreign_too=True)
            imagecopy.deliver(
                context, whole, target, options, progress, access, lease, lambda wanted: None
            )
    except Stopped:
        raise RcrunError(f'the push of "{text}" was stopped') from None
    return found.digest
