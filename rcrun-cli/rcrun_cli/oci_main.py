"""`python -BIS …/rcrun_cli/oci_main.py ARGUMENTS`: rcrun-oci for the shim's call back, and from the installed launcher."""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    gc.disable()  # as the launcher has it
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # rcrun is beside rcrun_cli, or in a checkout one level up
    sys.path[0:1] = [here] if os.path.isdir(f"{here}/rcrun") else [here, os.path.dirname(here)]
    words = sys.argv[1:]
    if words and words[0].startswith("--argv0="):  # from the front (docs/plan.md)
        del words[0]
    from rcrun_cli.oci import entry

    entry(["rcrun-oci", *words])
