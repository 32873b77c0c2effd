"""`rcrun attach`."""

from __future__ import annotations

from rcrun.engine import attach as engine
from rcrun.engine.launch import Foreground
from rcrun.storage.containers import find
from rcrun_cli import choosing, context
from rcrun_cli.declare import argument, command, option


@command()
@option("--detach-keys", metavar="KEYS", help="The keys that leave the container, as ctrl-p,ctrl-q")
@option("--no-stdin", is_flag=True, help="Do not pass standard input on")
@option("--sig-proxy", is_flag=True, default=True, help="Pass signals on to the container")
@choosing.choosing("latest")
@argument("container", required=False)
def attach(
    container: str | None, detach_keys: str | None, no_stdin: bool, sig_proxy: bool, latest: bool
) -> None:
    """Join the streams of a running container."""
    whole = context.engine()
    found = find(whole.store, choosing.one("attach", container, latest))
    stdin = found.record.get("stdin_open") and not no_stdin
    if detach_keys is None:
        detach_keys = whole.setting("engine", "detach_keys")
    engine.attach(
        whole,
        found,
        Foreground(
            "ioe" if stdin else "oe",
            context.detach_keys(detach_keys),
            # As with docker: who leaves a terminal, by closing its window, leaves the container alone.
            sig_proxy=sig_proxy and not found.record.get("tty"),
        ),
    )
