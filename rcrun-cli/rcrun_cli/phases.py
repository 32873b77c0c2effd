"""What --debug prints: every plan for the shim, and how long each phase took. Loaded for --debug alone."""

from __future__ import annotations

import time

from rcrun.kernel import shim
from rcrun_cli.output import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.kernel.shim import Plan


class Phases:
    """A line a phase on stderr, at once: a foreground `run` becomes the shim and prints no more.

    `entered` is the clock when our first line ran. How long the interpreter took until then only its processor time
    tells, since nobody noted when it was started.
    """

    __slots__ = ("entered", "last")

    def __init__(self, entered: float, processor: float) -> None:
        self.entered = self.last = entered
        tell(f"phase interpreter: {processor * 1000:.1f} ms of the processor")
        self.mark("command line")
        shim.on_plan = self._show_plan

    def mark(self, phase: str) -> None:
        now = time.perf_counter()
        took, whole = (now - self.last) * 1000, (now - self.entered) * 1000
        tell(f"phase {phase}: {took:.1f} ms, {whole:.1f} in all")
        self.last = time.perf_counter()

    def _show_plan(self, plan: Plan) -> None:
        self.mark("plan")
        tell(f"plan for the shim:\n{shim.plan_text(plan)}")
        self.last = time.perf_counter()
