"""What the tries of all probes take: who asks, where, and how to try a step in namespaces."""

from __future__ import annotations

import os

from rcrun.kernel.identity import namespace_records, single
from rcrun.runtime.hints_host import HostFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rcrun.engine.context import Context
    from rcrun.errors import RcrunError
    from rcrun.kernel.identity import Identity

    Try = Callable[["Here"], "Finding"]
    from rcrun.engine.doctor.finding import Finding


class Here:
    """This call of doctor on this host."""

    __slots__ = ("context", "facts", "home", "uid", "user")

    def __init__(self, context: Context, home: str) -> None:
        self.context = context
        self.facts = HostFacts()
        self.home = home
        self.uid = os.geteuid()
        self.user = user_name(self.uid)

    @property
    def environ(self) -> Mapping[str, str]:
        return self.context.environ

    def program(self, name: str) -> str:
        from rcrun.paths import find_program

        return find_program(name, self.environ.get("PATH", ""))

    def one_id(self) -> Identity:
        """What needs no tool and no file of root's; root itself needs no namespace of users."""
        own = self.context.identity
        return own if own.kind == "root" else single(own.uid, own.gid, "")

    def failure(
        self, kinds: str, steps: Sequence[list[str]], identity: Identity | None = None
    ) -> RcrunError | None:
        """What the kernel says to these steps in new namespaces, in the words that every launch has."""
        from rcrun.kernel.shim import launch
        from rcrun.runtime.hints import error_for

        who = identity or self.context.identity
        types = kinds if who.kind == "root" else f"user,{kinds}"
        plan = [
            ["plan", "1"],
            ["session", "work"],
            *namespace_records(who),
            ["unshare", types],
            ["propagation", "rprivate"],
            *steps,
        ]
        report = launch(plan)
        return None if report is None else error_for(plan, report, self.facts)


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
