"""`rcrun build`."""

from __future__ import annotations

import _signal as signal
import sys

from rcrun.errors import RcrunError
from rcrun_cli import buildoptions, context, output
from rcrun_cli.declare import argument, command, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.build.request import Built, Request
    from rcrun.engine.signing import Signing


class Terminated(KeyboardInterrupt):
    """SIGTERM, as service managers and CI runners send it: what is at work is ended as by Ctrl-C."""

    status = 143


def _terminate(*_: object) -> None:
    raise Terminated


_options = several(
    *buildoptions.LANGUAGE,
    *buildoptions.RESULT,
    *buildoptions.CACHE,
    *buildoptions.STEPS,
    *buildoptions.TELLING,
    *buildoptions.QUIET,
)


@command()
@_options
@argument("place", metavar="CONTEXT", required=False)
def build(place: str | None, **options: Any) -> int | None:
    """Build an image from a Containerfile and the files of a directory."""
    from rcrun.engine.build.builder import StepFailed
    from rcrun.engine.build.builder import build as make
    from rcrun.engine.build.closing import Closing
    from rcrun_cli.building import build_progress
    from rcrun_cli.buildrequest import request_of
    from rcrun_cli.buildsource import source_of

    signal.signal(signal.SIGTERM, _terminate)
    context.take_host_options(options)
    options["quiet"] = options["quiet"] or _progress_kind(options) == "quiet"
    with Closing() as stack:
        engine = context.engine()
        options["usual_form"] = engine.setting("engine", "image_default_format")
        source = source_of(place, options["file"], stack)
        request = request_of(source, options)
        signing = _signing(request, options)
        if options["check"] or options["call"] == "check":
            return _check(request)
        progress = build_progress(_progress_kind(options), _log(options["logfile"], stack))
        stack.callback(progress.end)
        try:
            built = make(engine, request, progress)
        except StepFailed as error:
            progress.end()
            failed = error
        else:
            progress.end()
            progress.named(request.names, _full_names(request), built.image_id)
            _report(built, request, options, signing)
            return None
        from rcrun_cli.buildfailure import explain

        return explain(failed, source, progress, options)


def _signing(request: Request, options: dict[str, Any]) -> Signing | None:
    """Before anything is built: a key that cannot be read is told at once."""
    from rcrun.errors import InvalidInput
    from rcrun_cli.buildrequest import pushes
    from rcrun_cli.registryoptions import signing_from

    signing = signing_from(options)
    if signing is not None and not pushes(request, options):
        raise InvalidInput("only what is pushed is signed", "add --push")
    return signing


def _progress_kind(options: dict[str, Any]) -> str:
    if options["quiet"]:
        return "quiet"
    kind = options["progress"] or context.environ().get("BUILDKIT_PROGRESS") or "auto"
    return str(kind)


def _log(path: str | None, stack: Any) -> Any:
    if path is None:
        return None
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RcrunError(f'cannot write "{path}": {reason}') from error


def _check(request: Request) -> int:
    """What the language allows, and stages that can be found; there are no rules of taste."""
    from rcrun.engine.build.builder import predefined
    from rcrun.engine.build.graph import global_arguments, needed
    from rcrun.formats.containerfile import parse
    from rcrun.formats.containerfile.faults import Fault

    try:
        file = parse(request.text)
        values = global_arguments(file, request.arguments, predefined(request, context.engine()))
        needed(file, request.target, values, everything=True)
    except Fault as error:
        error.message = f"{request.file}:{error.line}: {error.text}" if error.line else error.text
        raise
    output.tell("Check complete, no warnings found.")
    return 0


# ---- afterwards


def _report(
    built: Built, request: Request, options: dict[str, Any], signing: Signing | None
) -> None:
    """docker prints the id when it is quiet, podman without `sha256:` always."""
    pushed = _push(built, request, options, signing)
    if options["iidfile"]:
        from rcrun_cli.textfile import write_text

        write_text(options["iidfile"], built.image_id)
    if options["metadata_file"]:
        _write_metadata(options["metadata_file"], built, request, pushed)
    if any(each.get("dest") == "-" for each in request.outputs):
        return  # standard output is what was built
    if not built.kept:
        if not options["quiet"]:
            output.tell(f"image {built.image_id}, not kept in the store")
    elif context.settings.personality == "podman":
        output.put(built.image_id.removeprefix("sha256:"))
    elif options["quiet"]:
        output.put(built.image_id)
    else:
        output.tell(f"image {built.image_id}")


def _full_names(request: Request) -> list[str]:
    from rcrun.storage.images import named

    return [str(named(context.store(), name)) for name in request.names]


def _write_metadata(path: str, built: Built, request: Request, pushed: str) -> None:
    """As buildx writes it, as far as there is something to say."""
    from rcrun.files import dump_json
    from rcrun_cli.textfile import write_text

    digest = pushed or built.digest
    facts: dict[str, Any] = {
        "containerimage.digest": digest,
        "containerimage.descriptor": {**built.descriptor, "digest": digest},
    }
    if len(built.made) == 1:
        facts["containerimage.config.digest"] = built.image_id
        facts["containerimage.descriptor"] = {
            "mediaType": built.made[0].image.manifest.get("mediaType"),
            "digest": digest,
        }
    if request.names:
        facts["image.name"] = ",".join(_full_names(request))
    write_text(path, dump_json(facts) + "\n")


def _push(built: Built, request: Request, options: dict[str, Any], signing: Signing | None) -> str:
    """The digest that the registry knows; empty if nothing was pushed."""
    from rcrun.errors import InvalidInput
    from rcrun_cli.buildrequest import access_of, pushes

    digest = ""
    for wanted in pushes(request, options):
        names = [name for name in wanted.get("name").split(",") if name] or request.names
        if not names:
            raise InvalidInput(
                "there is no name to push the image under", "rcrun build -t NAME --push …"
            )
        for name in names:
            digest = _push_one(
                built, request, wanted, name, access_of(options), signing, options["quiet"]
            )
    return digest


def _push_one(
    built: Built,
    request: Request,
    wanted: Any,
    name: str,
    access: Access,
    signing: Signing | None,
    quiet: bool,
) -> str:
    from rcrun.engine.build.outputs import wishes_of
    from rcrun.engine.build.platforms import push_built
    from rcrun.errors import InvalidInput
    from rcrun.formats.reference import parse
    from rcrun_cli.pushing import push_progress

    if wanted.has("registry.insecure"):
        access = access.insecurely()
    by_digest = wanted.has("push-by-digest")
    target = parse(name, default_tag="") if by_digest else parse(name)
    if by_digest and target.tag:
        raise InvalidInput(f'cannot push "{name}" by its digest: it has a tag', "leave the tag out")
    wishes = wishes_of(wanted)
    progress = push_progress(quiet=quiet or not sys.stderr.isatty())
    pushed = push_built(
        context.engine(), built, target, request.form, wishes, progress, access, signing
    )
    if not quiet:
        output.tell(f"pushed {name}: digest: {pushed.digest} size: {pushed.size}")
    return pushed.digest
