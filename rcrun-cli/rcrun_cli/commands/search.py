"""`rcrun search`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.registryoptions import access_from, access_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.registry.search import Found

COLUMNS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "Stars": "STARS",
    "IsOfficial": "OFFICIAL",
    "Official": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
    "Automated": "AUTOMATED",
    "Index": "INDEX",
    "Tag": "TAG",
}
SHOWN = ("Name", "Description", "StarCount", "IsOfficial")
TAGS = ("Name", "Tag")
LONGEST_DESCRIPTION = 45
DEFAULT_LIMIT = 25


@command()
@option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="is-official=true, stars=10",
)
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option(
    "--limit", type=int, default=0, metavar="NUMBER", help="At most so many; 25 if nothing is said"
)
@option("--no-trunc", is_flag=True, help="Do not shorten descriptions")
@option("--list-tags", is_flag=True, help="The tags of the repository that is named")
@option("--compatible", is_flag=True, help="For scripts; no effect", hidden=True)
@access_options
@argument("term")
def search(
    term: str,
    filters: tuple[str, ...],
    form: str | None,
    limit: int,
    no_trunc: bool,
    list_tags: bool,
    compatible: bool,
    **access: Any,
) -> None:
    """Search for images in Docker Hub, in the registries that registries.conf names for short names, or in HOST with `HOST/TERM`."""
    from rcrun.engine.search import find, tests_of

    way = access_from(**access)
    engine = context.engine()
    if list_tags:
        from rcrun.engine.pull import tags

        names = [(name.repository, name.tag) for name in tags(engine, term, way)]
        rows = [{"Name": repository, "Tag": tag} for repository, tag in names]
        output.Listing(COLUMNS, TAGS).print(rows[: limit or None], form)
        return
    tests = tests_of(filters)
    hub_only = context.settings.personality == "docker"
    found = find(engine, term, limit or DEFAULT_LIMIT, way, hub_only=hub_only)
    rows = [_row(each, whole=no_trunc) for each in found if all(test(each) for test in tests)]
    output.Listing(COLUMNS, SHOWN).print(rows, form)


def _row(each: Found, *, whole: bool) -> dict[str, Any]:
    text = each.description
    is_hub = each.domain == "docker.io" and context.settings.personality != "podman"
    official, automated = ("[OK]" if word else "" for word in (each.official, each.automated))
    return {
        "Name": each.name if is_hub else f"{each.domain}/{each.name}",
        "Description": text if whole else output.shortened(text, LONGEST_DESCRIPTION),
        "StarCount": each.stars,
        "Stars": each.stars,
        "IsOfficial": official,
        "Official": official,
        "IsAutomated": automated,
        "Automated": automated,
        "Index": each.domain,
        "Tag": "",
    }
