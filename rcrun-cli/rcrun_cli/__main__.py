"""`python -BIS …/rcrun_cli/__main__.py ARGUMENTS`: rcrun without its launcher, for the shim's call back."""

from __future__ import annotations

import os
import sys


def _package_dirs() -> list[str]:
    """Where rcrun_cli is, and rcrun, which in a checkout is one level up."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [here] if os.path.isdir(f"{here}/rcrun") else [here, os.path.dirname(here)]


if __name__ == "__main__":
    sys.path[:0] = _package_dirs()
    from rcrun_cli.program import entry

    first = sys.argv[1:2]
    if first and first[0].startswith("--argv0="):  # as the launcher has it
        entry([first[0][8:], *sys.argv[2:]])
    entry(["rcrun", *sys.argv[1:]])
