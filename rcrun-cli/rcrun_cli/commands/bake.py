"""`rcrun buildx bake`: several builds that files define."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.formats.bake.choice import Choice
    from rcrun.formats.bake.files import Read
    from rcrun_cli.bakefiles import Place


@command()
@option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read this, and not docker-bake.hcl and its kin; - is standard input, cwd://FILE is here where the definition is remote",
)
@option("--print", "only_print", is_flag=True, help="Print what would be built, as JSON")
@option(
    "--list", "listed", metavar="targets|variables[,format=json]", help="List what the files have"
)
@option(
    "--set",
    "sets",
    multiple=True,
    metavar="PATTERN.KEY=VALUE",
    help="Change targets; += adds to a list",
)
@option(
    "--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable of the files"
)
@option("--no-cache", is_flag=True, default=None, help="Make every step anew")
@option("--pull", is_flag=True, default=None, help="Ask the registries for newer bases")
@option("--load", is_flag=True, help="Keep the images in the store, whatever the files say")
@option("--push", is_flag=True, help="Push the images")
@option(
    "--check", is_flag=True, help="Only read the Containerfiles, and say what is wrong with them"
)
@option("--call", metavar="METHOD", help="build or check")
@option(
    "--metadata-file",
    metavar="FILE",
    help="Write what was built there, as JSON: one object a target",
)
@option(
    "--allow",
    multiple=True,
    metavar="ENTITLEMENT",
    help="network.host, security.insecure, device; for a remote definition also fs=PATH, fs.read=PATH, fs.write=PATH",
)
@option(
    "--progress",
    type=["auto", "plain", "tty", "quiet", "rawjson"],
    help="How it is told, as with build",
)
@option("--provenance", metavar="VALUE", hidden=True, help="Only false")
@option("--sbom", metavar="VALUE", hidden=True, help="Only false")
@option("--builder", metavar="NAME", hidden=True, help="For scripts; there is one builder")
@option("-D", "--debug", "debug", is_flag=True, hidden=True, help="For scripts; no effect")
@option("--list-targets", is_flag=True, hidden=True, help="As --list targets")
@option("--list-variables", is_flag=True, hidden=True, help="As --list variables")
@argument("targets", nargs=-1, metavar="[URL] TARGET…")
def bake(targets: Sequence[str], **options: Any) -> int | None:
    """Build what docker-bake.hcl, docker-bake.json or compose.yaml define."""
    from rcrun.engine.build.closing import Closing
    from rcrun_cli.bakefiles import Place, read

    with Closing() as stack:
        place, names = Place.of(targets, stack)
        found = read(place, options["files"], _pairs(options["variables"]))
        if wanted := _list_of(options):
            _list(found, *wanted)
            return None
        choice = _choice(found, names, options, place)
        if options["only_print"]:
            _print(choice, place)
            return None
        from rcrun_cli.bakebuild import build_all

        return build_all(choice, place, options)


def _pairs(words: Sequence[str]) -> dict[str, str]:
    from rcrun.errors import InvalidInput

    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word and not (equals and name):
            raise InvalidInput(f'--var "{word}" is not NAME=VALUE')
        found[name] = value
    return found


def _choice(found: Read, names: Sequence[str], options: dict[str, Any], place: Place) -> Choice:
    from rcrun.formats.bake.choice import Chooser
    from rcrun.formats.bake.overrides import Override

    sets = [*options["sets"], *_typed(options)]
    overrides = [Override(word) for word in sets]
    place.granted = overrides
    chosen = Chooser(found.targets, found.groups, overrides, place.environ).choose(names)
    for name, key, where in found.unknown:
        if name in chosen.targets:
            output.warn(f'{where}: a target has no "{key}"')
    return chosen


def _typed(options: dict[str, Any]) -> list[str]:
    """Options that stand for a --set."""
    from rcrun.formats.bake.compose import attestation

    call = "check" if options["check"] else options["call"]
    words = [
        (options["push"], "*.push=true"),
        (options["load"], "*.load=true"),
        (call not in (None, "build"), f"*.call={call}"),
        (options["no_cache"] is not None, f"*.no-cache={_word(options['no_cache'])}"),
        (options["pull"] is not None, f"*.pull={_word(options['pull'])}"),
    ]
    for sort in ("sbom", "provenance"):
        text = options[sort]
        words.append((bool(text), f"*.attest={attestation(sort, text or '')}"))
    return [word for is_said, word in words if is_said]


def _word(flag: bool | None) -> str:
    return "true" if flag else "false"


# ---- what is shown


def _list_of(options: dict[str, Any]) -> tuple[str, str] | None:
    from rcrun.errors import InvalidInput

    text = options["listed"]
    for kind in ("targets", "variables"):
        if options[f"list_{kind}"]:
            text = text or kind
    if not text:
        return None
    if options["only_print"]:
        raise InvalidInput("--print and --list exclude each other")
    kind, form = "", "table"
    for position, word in enumerate(text.split(",")):
        key, equals, value = word.partition("=")
        if key == "format" and value in ("table", "json"):
            form = value
        elif (key == "type" or (position == 0 and not equals)) and (value or key) in (
            "targets",
            "variables",
        ):
            kind = value or key
        else:
            raise InvalidInput(
                f'--list "{text}" is not possible', "use targets, or variables,format=json"
            )
    if not kind:
        raise InvalidInput(
            f'--list "{text}" is not possible', "use targets, or variables,format=json"
        )
    return kind, form


def _list(found: Read, kind: str, form: str) -> None:
    from rcrun.formats.bake import printed

    rows = found.variables if kind == "variables" else printed.listed(found.targets, found.groups)
    if form == "json":
        output.put(printed.as_json(rows))
    elif kind == "targets":
        cells = [(row["name"], row.get("description", "")) for row in rows]
        output.put(printed.table(("TARGET", "DESCRIPTION"), cells).rstrip("\n"))
    else:
        cells_of = [
            (
                row["name"],
                row.get("type", ""),
                row.get("value", "<null>"),
                row.get("description", ""),
            )
            for row in rows
        ]
        heads = ("VARIABLE", "TYPE", "VALUE", "DESCRIPTION")
        output.put(printed.table(heads, cells_of).rstrip("\n"))


def _print(choice: Choice, place: Place) -> None:
    from rcrun.formats.bake import printed

    for target in choice.targets.values():
        target.said["context"] = place.shown(target.said["context"])
        epoch = context.environ().get("SOURCE_DATE_EPOCH")
        if epoch:
            target.said["args"] = {"SOURCE_DATE_EPOCH": epoch, **target.said.get("args", {})}
    output.put(printed.definition(choice.groups, choice.targets))
