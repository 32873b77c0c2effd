"""What containers.conf says, for the engine; loaded where one of its files sets something."""

from __future__ import annotations

import os

from rcrun.engine.containersconf import files, load
from rcrun.errors import InvalidInput
from rcrun_cli.context import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.context import Context


def check_modules() -> None:
    """Before anything is done without them."""
    if settings.personality == "docker":
        raise InvalidInput(
            'option "--module" is not possible: docker reads no containers.conf',
            "give the options themselves",
        )
    files(os.environ, settings.modules)


def configure_by_files(context: Context) -> None:
    """A file that cannot be used is told by what would need it: `ps` and `stop` do not."""
    try:
        found = load(context.store.live_dir, context.environ, settings.modules)
    except InvalidInput as error:
        context.conf_fault = error
        return
    context.conf = found["values"]
    if not any(context.conf.values()):
        context.conf = {}
    engine = context.conf.get("engine") or {}
    network = context.conf.get("network") or {}
    context.store.default_subnet = network.get("default_subnet") or ""
    _set_environment(context, engine.get("env") or ())
    if not context.hooks_dirs:
        context.hooks_dirs = engine.get("hooks_dir") or ()
    if not context.cgroup_manager:
        context.cgroup_manager = _usable_manager(context, engine.get("cgroup_manager") or "")
    for key in found["unknown"] if settings.debug else ():
        context.warn(f"nothing here looks at {key}", None)


def _set_environment(context: Context, words: Sequence[str]) -> None:
    """Of rcrun and of what it starts, not of containers; what the caller has set stays."""
    for word in words:
        name, equals, value = word.partition("=")
        if name and equals and name not in os.environ:
            os.environ[name] = value
    context.environ = dict(os.environ)


def _usable_manager(context: Context, word: str) -> str:
    """A file may be for several hosts: without a systemd its word says nothing."""
    if word == "systemd":
        from rcrun.engine.cgroup import systemd_is_there

        return word if systemd_is_there(context) else ""
    return word
