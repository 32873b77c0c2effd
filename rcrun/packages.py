"""Packages of others, found where only site looks, too: the launchers start with -S, which is quicker."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def installed(name: str) -> ModuleType:
    """The module; ImportError where it is not installed."""
    import sys
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        if "site" in sys.modules:
            raise
    import site

    site.main()
    return import_module(name)
