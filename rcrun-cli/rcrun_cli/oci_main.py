"""`python -IS …/rcrun_cli/oci_main.py ARGUMENTS`: rcrun-oci without its launcher, for the shim's call back."""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    gc.disable()  # as the launcher has it
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # rcrun is beside rcrun_cli, or in a checkout one level up
    sys.path[0:1] = [here] if os.path.isdir(f"{here}/rcrun") else [here, os.path.dirname(here)]
    from rcrun_cli.oci import entry

    entry(["rcrun-oci", *sys.argv[1:]])
