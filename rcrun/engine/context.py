"""What every verb of the engine works with: the store, who we are, the caller's environment, and how to start rcrun again."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store


class Context:
    """`launcher` are the words that start rcrun again with the same store: hidden commands come behind them."""

    __slots__ = ("_identity", "environ", "launcher", "store")

    def __init__(self, store: Store, environ: Mapping[str, str], launcher: Sequence[str]) -> None:
        self.store = store
        self.environ = environ
        self.launcher = list(launcher)
        self._identity: Identity | None = None

    @property
    def identity(self) -> Identity:
        if self._identity is None:
            from rcrun.kernel.identity import current

            self._identity = current(self.environ)
        return self._identity

    def tell(self, text: str) -> None:
        """A line for people, on standard error."""
        try:
            os.write(2, f"{text}\n".encode("utf-8", "surrogateescape"))
        except OSError:
            pass  # nobody reads it
