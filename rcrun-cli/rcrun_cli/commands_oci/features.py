"""rcrun-oci features."""

from __future__ import annotations

import sys

from rcrun_cli.declare import command


@command()
def features() -> None:
    """Print what this runtime supports, as JSON (features.md)."""
    import json

    from rcrun.runtime.features import features as supported

    sys.stdout.write(json.dumps(supported(), indent=4) + "\n")
