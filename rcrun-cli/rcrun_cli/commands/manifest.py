"""`rcrun manifest …`: lists of images for several platforms."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.copying import personality_is, progress_of, write_digest
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import (
    access_from,
    access_options,
    retry_options,
    signing_from,
    signing_options,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.manifests import Details
    from rcrun.formats.image import Descriptor

FAILED = 125  # as podman: 1 is an answer


def _way(given: dict[str, Any]) -> Access:
    """docker's --insecure is podman's --tls-verify=false."""
    names = ("creds", "authfile", "cert_dir", "retry", "retry_delay")
    known: dict[str, Any] = {name: given.get(name) for name in names}
    way = access_from(**known)
    way.verify = given["tls_verify"] and not given.get("insecure")
    return way


@command("create")
@option("-a", "--amend", is_flag=True, help="Add to a list that is there")
@option("--all", "every", is_flag=True, help="Of an index that is added, all its images")
@option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of the list")
@access_options
@option("--insecure", is_flag=True, help="Docker's word for --tls-verify=false")
@argument("name", metavar="LIST")
@argument("images", nargs=-1)
def create_manifest(name: str, images: Sequence[str], **given: Any) -> None:
    """Make a list of images, which are here or in a registry."""
    from rcrun.engine import manifests
    from rcrun.engine.options import pairs
    from rcrun.formats import reference as grammar

    engine = context.engine()
    annotations = pairs(given["annotation"], "--annotation")
    entry = manifests.create(engine, name, amend=given["amend"], annotations=annotations)
    try:
        for image in images:
            entry = manifests.add(
                engine, name, image, manifests.Details(), _way(given), every=given["every"]
            )
    except BaseException:
        if not given["amend"]:
            manifests.remove_list(engine, name)
        raise
    if personality_is("docker"):
        output.put(f"Created manifest list {grammar.full(grammar.parse(name))}")
    else:
        _put_digest(entry)


def _put_digest(entry: Descriptor) -> None:
    output.put(output.id_text(entry["digest"]))


@command("add")
@option("--all", "every", is_flag=True, help="Of an index, all its images")
@option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation of the image")
@option("--arch", metavar="ARCH", help="It is for this architecture; of an index, the image for it")
@option("--os", "system", metavar="OS", help="It is for this system")
@option("--variant", metavar="VARIANT", help="It is for this variant")
@option("--os-version", metavar="VERSION", help="It is for this version of the system")
@option("--os-features", multiple=True, metavar="FEATURE", help="It needs this of the system")
@option("--features", multiple=True, metavar="FEATURE", help="It needs this of the processor")
@option("--artifact", is_flag=True, help="What is named are files, of which an artifact is made")
@option("--artifact-type", metavar="TYPE", help="Of this type")
@option("--artifact-layer-type", metavar="TYPE", help="Its files are of this media type")
@option("--artifact-config", metavar="FILE", help="Its configuration is this file")
@option("--artifact-config-type", metavar="TYPE", help="Its configuration is of this media type")
@option("--artifact-exclude-titles", is_flag=True, help="Its files have no names")
@option("--artifact-subject", metavar="NAME", help="It is about this image")
@option("--artifact-annotation", multiple=True, metavar="KEY=VALUE", help="With this annotation")
@access_options
@argument("name", metavar="LIST")
@argument("images", nargs=-1, required=True)
def add_manifest(name: str, images: Sequence[str], **given: Any) -> None:
    """Add images to a list: of the store, or as docker://NAME of a registry, or out of an archive or a layout."""
    from rcrun.engine import manifests

    engine = context.engine()
    entry = _add_artifact(name, images, given) if given["artifact"] else None
    for image in () if given["artifact"] else images:
        entry = manifests.add(
            engine, name, image, _details(given), _way(given), every=given["every"]
        )
    if entry is not None:
        _put_digest(entry)


def _add_artifact(name: str, paths: Sequence[str], given: dict[str, Any]) -> Descriptor:
    from rcrun.engine.artifacts import ListedArtifact, add_to_list
    from rcrun.engine.options import pairs

    wanted = ListedArtifact(
        artifact_type=given["artifact_type"] or "",
        file_type=given["artifact_layer_type"] or "",
        config_path=given["artifact_config"] or "",
        config_type=given["artifact_config_type"] or "",
        titles=not given["artifact_exclude_titles"],
        subject=_subject(given["artifact_subject"]) if given["artifact_subject"] else None,
        annotations=pairs(given["artifact_annotation"], "--artifact-annotation"),
    )
    return add_to_list(context.engine(), name, paths, _details(given), wanted)


def _details(given: dict[str, Any]) -> Details:
    from rcrun.engine.manifests import Details
    from rcrun.engine.options import pairs

    return Details(
        annotations=pairs(given["annotation"], "--annotation"),
        arch=given["arch"] or "",
        os=given["system"] or "",
        variant=given["variant"] or "",
        os_version=given["os_version"] or "",
        os_features=_several(given["os_features"]),
        features=_several(given["features"]),
    )


def _several(words: Sequence[str]) -> list[str]:
    return [each for word in words for each in word.split(",") if each]


@command("annotate")
@option("--index", is_flag=True, help="Annotate the list itself, not one of its images")
@option("--subject", metavar="NAME", help="What the list is about, with --index")
@option("--annotation", multiple=True, metavar="KEY=VALUE", help="Set an annotation")
@option("--arch", metavar="ARCH", help="It is for this architecture")
@option("--os", "system", metavar="OS", help="It is for this system")
@option("--variant", metavar="VARIANT", help="It is for this variant")
@option("--os-version", metavar="VERSION", help="It is for this version of the system")
@option("--os-features", multiple=True, metavar="FEATURE", help="It needs this of the system")
@option("--features", multiple=True, metavar="FEATURE", help="It needs this of the processor")
@argument("name", metavar="LIST")
@argument("image", required=False)
def annotate_manifest(
    name: str, image: str | None, index: bool, subject: str | None, **given: Any
) -> None:
    """Say more of an image in a list, which is named by its digest or as it was added."""
    from rcrun.engine import manifests

    engine = context.engine()
    details = _details(given)
    if not index:
        if image is None or subject:
            raise InvalidInput(
                "--subject is for --index" if subject else "an image of the list is missing",
                f"see its digests: rcrun manifest inspect {name}",
            )
        entry = manifests.annotate(engine, name, image, details)
    else:
        if image is not None or details.platform():
            raise InvalidInput("--index takes annotations and a subject only")
        about = _subject(subject) if subject else None
        entry = manifests.annotate_index(engine, name, details.annotations, about)
    if not personality_is("docker"):
        _put_digest(entry)


def _subject(text: str) -> Descriptor:
    from rcrun.engine.access import Access
    from rcrun.engine.manifestpush import document

    return document(context.engine(), text, Access())[0]


@command("exists", failure_status=FAILED)
@argument("name", metavar="LIST")
def exists_manifest(name: str) -> int:
    """Say nothing; the exit status is 0 if the list is here, and 1 if it is not."""
    from rcrun.engine.manifests import find_list

    try:
        find_list(context.store(), name)
    except (NotFound, InvalidInput):
        return 1
    return 0


@command("inspect")
@option("-v", "--verbose", is_flag=True, help="As docker: with descriptor and reference")
@access_options
@option("--insecure", is_flag=True, help="Docker's word for --tls-verify=false")
@argument("names", nargs=-1, required=True, metavar="[LIST] NAME")
def inspect_manifest(names: Sequence[str], verbose: bool, **given: Any) -> None:
    """Print a list or a manifest, of the store or else of a registry."""
    import json

    from rcrun.engine.manifestpush import document

    if len(names) > 2:
        raise InvalidInput("manifest inspect takes one name", "see rcrun manifest inspect --help")
    descriptor, data, name = document(context.engine(), names[-1], _way(given))
    value = json.loads(data)
    if verbose:
        kind = "OCI" if ".oci." in descriptor["mediaType"] else "SchemaV2"
        member = f"{kind}Manifest" if "layers" in value else "ManifestList"
        value = {"Ref": name, "Descriptor": descriptor, member: value}
    output.put(json.dumps(value, indent=4, ensure_ascii=False))


@command("push")
@option("--all", "every", is_flag=True, default=True, help="With its images; --all=false: without")
@option("-q", "--quiet", is_flag=True, help="Say nothing")
@option("-f", "--format", "form", metavar="oci|v2s2", help="Push with manifests of this format")
@option("--compression-format", metavar="gzip|zstd", help="Compress layers that are not so")
@option("--compression-level", type=int, metavar="LEVEL", help="How hard")
@option("--force-compression", is_flag=True, help="Compress again what is compressed otherwise")
@option("--digestfile", metavar="FILE", help="Write the digest of the list there")
@option("-p", "--rm", "--purge", "purge", is_flag=True, help="Remove the list afterwards")
@access_options
@option("--insecure", is_flag=True, help="Docker's word for --tls-verify=false")
@option("--remove-signatures", is_flag=True, hidden=True, help="For scripts: none are pushed")
@retry_options
@signing_options
@argument("name", metavar="LIST")
@argument("destination", required=False)
def push_manifest(name: str, destination: str | None, quiet: bool, **given: Any) -> None:
    """Send a list with its images to a registry, or write it to `oci:DIR`, `oci-archive:FILE`, `dir:DIR`."""
    from rcrun.engine import imagecopy, manifestpush, manifests, places
    from rcrun.engine.push import Wishes
    from rcrun.engine.rmi import finish

    engine = context.engine()
    wishes = Wishes(
        form=given["form"] or "",
        compression=given["compression_format"] or "",
        level=given["compression_level"],
        force=given["force_compression"],
    )
    options = imagecopy.Options(
        every=True, index_only=not given["every"], wishes=wishes, signing=signing_from(given)
    )
    target = places.parse(destination or name)
    if target.kind == "store":
        target = places.parse(f"docker://{destination or name}")
    digest = manifestpush.push(engine, name, target, options, progress_of(quiet=quiet), _way(given))
    write_digest(given["digestfile"], digest)
    if given["purge"]:
        manifests.remove_list(engine, name)
        finish(engine)
    if not quiet and not personality_is("podman"):
        output.put(digest)


@command("remove")
@argument("name", metavar="LIST")
@argument("image", metavar="DIGEST")
def remove_manifest(name: str, image: str) -> None:
    """Take an image out of a list."""
    from rcrun.engine import manifests

    engine = context.engine()
    manifests.remove(engine, name, image)
    _put_digest(manifests.find_list(engine.store, name))


@command("rm")
@option("-i", "--ignore", is_flag=True, help="One that is not there is no error")
@argument("names", nargs=-1, required=True, metavar="LIST…")
def remove_manifests(names: Sequence[str], ignore: bool) -> int:
    """Remove lists; images that have names of their own stay."""
    from rcrun.engine import manifests
    from rcrun.engine.rmi import finish

    engine = context.engine()

    def removed(name: str) -> str:
        untagged, deleted = manifests.remove_list(engine, name)
        for each in untagged:
            output.put(f"Untagged: {each}")
        return f"Deleted: {output.id_text(deleted)}" if deleted else ""

    status = output.each_removed(names, removed, missing_ok=ignore)
    finish(engine)
    return status
