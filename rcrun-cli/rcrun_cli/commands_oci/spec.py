"""rcrun-oci spec."""

from __future__ import annotations

import os

from rcrun_cli.declare import command, option


@command()
@option("-b", "--bundle", default=".", metavar="DIR", help="Write it into this directory")
@option("-f", "--file", default="config.json", metavar="FILE", help="Under this name")
@option("--rootless", is_flag=True, help="For a user: with a user namespace that maps you to root")
def spec(bundle: str, file: str, rootless: bool) -> None:
    """Write a config.json to begin with."""
    import json

    from rcrun.errors import AlreadyExists
    from rcrun.formats.spec import default_spec

    document = default_spec(rootless=rootless, uid=os.geteuid(), gid=os.getegid())
    path = os.path.join(bundle, file)
    try:
        with open(path, "x", encoding="utf-8") as output:
            output.write(json.dumps(document, indent=4, sort_keys=True) + "\n")
    except FileExistsError:
        raise AlreadyExists(f'"{path}" exists; remove it first', f"rm {path}") from None
