"""`rcrun context …`: docker's word for where its engine is, which is here."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

DEFAULT = "default"
COLUMNS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
}


def _check(name: str) -> None:
    if name != DEFAULT:
        raise NotFound(f'context "{name}" does not exist: rcrun works on this host only')


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@argument("names", nargs=-1, metavar="NAME…")
def inspect_context(names: Sequence[str], form: str | None) -> int:
    """Print what docker would say of its engine; there is no daemon, and so no address of one."""

    def look(name: str) -> dict[str, Any]:
        _check(name)
        return {
            "Name": DEFAULT,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": "", "SkipTLSVerify": False}},
            "TLSMaterial": {},
            "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
        }

    return output.inspect_each(names or [DEFAULT], look, form)


@command("ls")
@table_options
@option("-q", "--quiet", is_flag=True, help="Print names only")
def list_contexts(form: str | None, noheading: bool, quiet: bool) -> None:
    """List the one context."""
    if quiet:
        output.put(DEFAULT)
        return
    row = {
        "Name": DEFAULT,
        "Description": "This host",
        "DockerEndpoint": "",
        "Error": "",
        "Current": True,
    }
    shown = {**row, "Name": f"{DEFAULT} *"} if not form or form == "table" else row
    output.Listing(COLUMNS, list(COLUMNS), heading=not noheading).print([shown], form)


@command("show")
def show_context() -> None:
    """Print its name."""
    output.put(DEFAULT)


@command("use")
@argument("name")
def use_context(name: str) -> None:
    """Print its name, if it is that."""
    if name != DEFAULT:
        raise InvalidInput(
            f'cannot use the context "{name}": rcrun works on this host only',
            "log in there and run the same command: ssh HOST rcrun …",
        )
    output.put(DEFAULT)
