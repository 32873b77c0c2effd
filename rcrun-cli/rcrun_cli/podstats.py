"""`rcrun pod stats`: the table of `stats` with the pod before each container."""

from __future__ import annotations

import sys
import time

from rcrun.engine.stats import Watched
from rcrun.storage import pods
from rcrun_cli import context, output
from rcrun_cli.commands import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.storage.pods import Pod

COLUMNS = {
    **stats.COLUMNS, "Pod": "POD", "CID": "CID", "CPU": "CPU %", "MemUsage": "MEM USAGE/ LIMIT", "Mem": "MEM %",
    "MemUsageBytes": "MEM USAGE/ LIMIT", "NetIO": "NET IO", "BlockIO": "BLOCK IO",
}  # fmt: skip
SHOWN = ("Pod", "CID", "Name", "CPU", "MemUsage", "Mem", "NetIO", "BlockIO", "PIDS")
_JSON = (
    "CPU",
    "MemUsage",
    "MemUsageBytes",
    "Mem",
    "NetIO",
    "BlockIO",
    "PIDS",
    "Pod",
    "CID",
    "Name",
)
_SECONDS = 5.0


def show(chosen: Sequence[Pod], form: str | None, *, clears: bool, once: bool) -> None:
    """Every five seconds, the first time after one; of the pods that are there at each look, where none is named."""
    watched = Watched(context.store(), ())
    watched.sample()
    time.sleep(1.0)
    while True:
        rows = [row for row in (_row(each, chosen) for each in watched.sample()) if row]
        if clears:
            sys.stdout.write("\033[H\033[J")
        if form == "json":
            from rcrun.formats.template.values import json_text

            output.put(json_text([{key: row[key] for key in _JSON} for row in rows]))
        else:
            output.Listing(COLUMNS, SHOWN).print(rows, form)
        sys.stdout.flush()
        if once or (chosen and not rows):
            return
        time.sleep(_SECONDS)


def _row(sampled: Any, chosen: Sequence[Pod]) -> Mapping[str, Any]:
    """Nothing for a container of no pod that was asked for."""
    sample, percent = sampled
    pod_id = pods.pod_id_of(sample.container)
    if not pod_id or (chosen and pod_id not in {pod.id for pod in chosen}):
        return {}
    row = stats.row_of(sample, percent, False)
    return {
        **row,
        "Pod": pod_id[:12],
        "CID": row["ID"],
        "CPU": row["CPUPerc"],
        "Mem": row["MemPerc"],
    }
