"""`rcrun context …`: docker's word for which engine is spoken to. There is one, on this host, and scripts ask for it."""

from __future__ import annotations

from rcrun.errors import NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT = "default"
COLUMNS = {
    "Name": "NAME", "Description": "DESCRIPTION", "DockerEndpoint": "DOCKER ENDPOINT", "Error": "ERROR", "Current": "CURRENT",
}  # fmt: skip
SHOWN = ("Name", "Description", "DockerEndpoint", "Error")


def _endpoint() -> str:
    """Where docker would look for its daemon; nothing of ours listens there."""
    given = context.environ().get("DOCKER_HOST", "")
    return given if given.startswith("unix://") else "unix:///var/run/docker.sock"


def _check(name: str) -> None:
    if name != DEFAULT:
        raise NotFound(
            f'context "{name}": context not found', "rcrun works on this host only: default"
        )


@command("ls")
@option("--format", "form", metavar="FORMAT", help="table, json, table TEMPLATE, or a Go template")
@option("-q", "--quiet", is_flag=True, help="Print names only")
def list_contexts(form: str | None, quiet: bool) -> None:
    """List the one engine that there is."""
    if quiet:
        output.put(DEFAULT)
        return
    row = {
        "Name": DEFAULT if form and not form.startswith("table") else f"{DEFAULT} *",
        "Description": "This host",
        "DockerEndpoint": _endpoint(),
        "Error": "",
        "Current": True,
    }
    output.Listing(COLUMNS, SHOWN).print([row], form)


@command("show")
def show_context() -> None:
    """Print the name of the one engine."""
    output.put(DEFAULT)


@command("use")
@argument("name")
def use_context(name: str) -> None:
    """Have commands go to this engine; there is no other than default."""
    _check(name)
    output.put(name)


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@argument("names", nargs=-1)
def inspect_context(names: tuple[str, ...], form: str | None) -> int:
    """Print what docker would tell of the one engine."""
    return output.inspect_each(names or (DEFAULT,), _told, form)


def _told(name: str) -> dict[str, Any]:
    _check(name)
    return {
        "Name": name,
        "Metadata": {},
        "Endpoints": {"docker": {"Host": _endpoint(), "SkipTLSVerify": False}},
        "TLSMaterial": {},
        "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
    }
