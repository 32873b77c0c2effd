"""`rcrun __compress`: called by the monitor after a rotation of the log."""

from __future__ import annotations

from rcrun_cli.declare import argument, command


@command("__compress")
@argument("path")
def compress(path: str) -> None:
    """Compress the log that was rotated last."""
    from rcrun.engine.logcompress import compress as pack

    pack(path)
