"""`rcrun secret …`."""

from __future__ import annotations

import time

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.storage.secrets import Record

COLUMNS = {
    "ID": "ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "CreatedAt": "CREATED",
    "UpdatedAt": "UPDATED",
    "Labels": "LABELS",
}
SHOWN = ("ID", "Name", "Driver", "CreatedAt", "UpdatedAt")


@command("create")
@option("-d", "--driver", default="file", metavar="DRIVER", help="Only `file`")
@option("--driver-opts", multiple=True, metavar="KEY=VALUE", help="Kept for inspect")
@option("--env", "from_environment", is_flag=True, help="SOURCE is a variable of the environment")
@option("--ignore", is_flag=True, help="One that exists stays, and its id is printed")
@option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label")
@option("--replace", is_flag=True, help="Replace one that exists; containers keep what they have")
@argument("name")
@argument("source", metavar="FILE|-")
def create_secret(
    name: str,
    source: str,
    driver: str,
    driver_opts: tuple[str, ...],
    from_environment: bool,
    ignore: bool,
    labels: tuple[str, ...],
    replace: bool,
) -> None:
    """Keep a secret for containers, out of a file or standard input, and print its id."""
    from rcrun.engine import secrets
    from rcrun.engine.options import pairs
    from rcrun.errors import AlreadyExists
    from rcrun.formats.secretflag import check_name
    from rcrun.storage.secrets import load

    if ignore and replace:
        raise InvalidInput("conflicting options: --ignore and --replace")
    check_name(name)
    if source == "-" and not from_environment and output.is_terminal(0):
        raise InvalidInput("no secret on standard input", f"rcrun secret create {name} FILE")
    engine = context.engine()
    data = secrets.read_source(engine, source, from_environment=from_environment)
    try:
        record = secrets.create(
            engine,
            name,
            data,
            driver=driver,
            labels=pairs(labels, "--label"),
            driver_options=pairs(driver_opts, "--driver-opts"),
            replace=replace,
        )
    except AlreadyExists:
        if not ignore:
            raise
        record = load(engine.store, name)
    output.put(record["id"])


@command("ls")
@option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Show only what matches: id, label, name",
)
@table_options
@option("-q", "--quiet", is_flag=True, help="Print ids only")
def list_secrets(filters: tuple[str, ...], form: str | None, noheading: bool, quiet: bool) -> None:
    """List secrets."""
    from rcrun.engine.secrets import matching

    if not (form or quiet):
        form = context.docker_config().get("secretFormat")
    found = matching(context.store(), filters)
    if quiet and not form:
        for record in found:
            output.put(record["id"])
        return
    now = time.time()
    rows = [_row(record, now, form or "") for record in found]
    output.Listing(COLUMNS, SHOWN, heading=not noheading).print(rows, form)


def _row(record: Record, now: float, form: str) -> Mapping[str, Any]:
    from rcrun.storage.containers import seconds_of

    labels = record["labels"]
    row: dict[str, Any] = {
        "ID": record["id"],
        "Name": record["name"],
        "Driver": "file",
        "CreatedAt": output.ago(now - seconds_of(record["created"])),
        "UpdatedAt": output.ago(now - seconds_of(record["updated"])),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
    }
    if ".Label " in form:
        row["Label"] = lambda key: labels.get(key, "")
    return row


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("--pretty", is_flag=True, help="Print it for people")
@option("--showsecret", is_flag=True, help="Print the secret itself, too")
@argument("secrets", nargs=-1, required=True)
def inspect_secret(
    secrets: tuple[str, ...], form: str | None, pretty: bool, showsecret: bool
) -> int:
    """Print what is known of secrets, and the secret itself only when asked."""
    from rcrun.engine.secrets import inspect_object
    from rcrun.storage.secrets import load

    return output.inspect_each(
        secrets,
        lambda name: inspect_object(load(context.store(), name), show=showsecret),
        form,
        _print_pretty if pretty else output.print_inspected,
    )


def _print_pretty(secrets: Sequence[Mapping[str, Any]], form: str | None) -> None:
    for each in secrets:
        _print_one(each)


def _print_one(secret: Mapping[str, Any]) -> None:
    spec = secret["Spec"]
    output.put(f"ID:              {secret['ID']}")
    output.put(f"Name:            {spec['Name']}")
    output.put("Labels:")
    for key, value in sorted(spec["Labels"].items()):
        output.put(f" - {key}={value}")
    output.put(f"Driver:          {spec['Driver']['Name']}")
    output.put(f"Created at:      {secret['CreatedAt']}")
    output.put(f"Updated at:      {secret['UpdatedAt']}")
    if "SecretData" in secret:
        output.put(f"Secret:          {secret['SecretData']}")


@command("rm")
@option("-a", "--all", "everything", is_flag=True, help="Remove all secrets")
@option("-i", "--ignore", is_flag=True, help="A missing one is no error")
@argument("secrets", nargs=-1)
def remove_secrets(secrets: tuple[str, ...], everything: bool, ignore: bool) -> int:
    """Remove secrets; containers that have one keep their copy."""
    from rcrun.storage.secrets import every, remove

    store = context.store()
    if everything:
        secrets = tuple(record["id"] for record in every(store))
    elif not secrets:
        raise InvalidInput("rm needs at least one secret", "see rcrun secret rm --help")

    def removed(name: str) -> str:
        record = remove(store, name)
        return str(record["id"]) if output.trait("prints_secret_id") else name

    return output.each_removed(secrets, removed, missing_ok=ignore)


@command("exists", failure_status=125)
@argument("secret")
def exists_secret(secret: str) -> int:
    """Say nothing; the exit status is 0 if the secret is here, and 1 if it is not."""
    from rcrun.storage.secrets import load

    try:
        load(context.store(), secret)
    except NotFound:
        return 1
    return 0
