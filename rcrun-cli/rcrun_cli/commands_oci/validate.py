"""rcrun-oci validate."""

from __future__ import annotations

import sys

from rcrun_cli.declare import argument, command, option


@command()
@option("-f", "--config", default="config.json", metavar="FILE", help="Its configuration")
@argument("bundle", default=".", metavar="[BUNDLE]")
def validate(bundle: str, config: str) -> int:
    """Check a bundle: print each fault with its place in config.json, end with 1 if there is one."""
    from rcrun.formats.visible import visible
    from rcrun.runtime.checking import bundle_faults

    faults = bundle_faults(bundle, config)
    sys.stdout.write("".join(f"{visible(fault)}\n" for fault in faults))
    return 1 if faults else 0
