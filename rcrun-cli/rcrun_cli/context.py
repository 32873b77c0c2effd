"""What the global options and the environment say; the one place of the command line that keeps them."""

from __future__ import annotations

import os

from rcrun import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.paths import Store
    from rcrun_cli.phases import Phases


class Settings:
    """Filled once, by main, before the command runs."""

    __slots__ = (
        "additional", "cgroup_manager", "config_dir", "debug", "entered", "log_level", "personality", "phases", "root",
        "runroot",
    )  # fmt: skip

    def __init__(self) -> None:
        self.additional: tuple[str, ...] = ()
        self.cgroup_manager = ""
        self.config_dir: str | None = None
        self.debug = False
        self.entered = (0.0, 0.0)  # the clock and our processor time when our first line ran
        self.log_level = "info"
        self.personality = "rcrun"
        self.phases: Phases | None = None
        self.root: str | None = None
        self.runroot: str | None = None


settings = Settings()


def configure(options: dict[str, Any]) -> None:
    """Take the global options."""
    _refuse_remote(options.get("host"))
    if options["noout"] or options["out"]:
        _redirect("/dev/null" if options["noout"] else options["out"])
    settings.root = options["root"]
    settings.runroot = options["runroot"]
    settings.config_dir = options["config"]
    settings.additional = options["additional_store"]
    settings.cgroup_manager = options["cgroup_manager"] or _manager_of(os.environ)
    settings.log_level = options["log_level"]
    settings.debug = bool(options["debug"]) or settings.log_level in ("debug", "trace")
    if settings.debug:
        from rcrun_cli.phases import Phases

        settings.phases = Phases(*settings.entered)


def _redirect(path: str) -> None:
    import sys

    try:
        sys.stdout = open(path, "w", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        from rcrun.errors import InvalidInput

        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot write "{path}": {reason}') from error


def _manager_of(variables: Mapping[str, str]) -> str:
    word = variables.get("RCRUN_CGROUP_MANAGER", "")
    if word not in ("", "systemd", "cgroupfs", "none"):
        from rcrun.errors import InvalidInput

        raise InvalidInput(
            f'invalid RCRUN_CGROUP_MANAGER "{word}"', "use systemd, cgroupfs or none"
        )
    return word


def finished() -> None:
    """The command has ended, and not by becoming the shim."""
    if settings.phases is not None:
        settings.phases.mark("command")


def _refuse_remote(host: str | None) -> None:
    """There is no daemon to talk to; acting here on what was meant for another host would be worse."""
    if host and "://" in host and not host.startswith(("unix://", "fd://")):
        from rcrun.errors import InvalidInput

        raise InvalidInput(
            f'cannot use the engine at "{host}": rcrun has no daemon, it works on this host only',
            "log in there and run the same command: ssh HOST rcrun …",
        )


def environ() -> dict[str, str]:
    return dict(os.environ)


def store() -> Store:
    """The store and the live state that this call works on."""
    variables = environ()
    root = settings.root or paths.default_store_dir(variables, home_dir(variables))
    live = settings.runroot or paths.live_dir_of(root, variables, os.geteuid())
    others = [*settings.additional, *variables.get("RCRUN_ADDITIONAL_STORES", "").split(":")]
    named = [os.path.abspath(path) for path in others if path]
    own_names = settings.personality == "podman"
    return paths.Store(os.path.abspath(root), os.path.abspath(live), named, _meanings(), own_names)


def _meanings() -> Callable[[str], list[str]] | None:
    """Short names by registries.conf; docker knows no other registry than its own."""
    if settings.personality == "docker":
        return None

    def meanings(text: str) -> list[str]:
        from rcrun.engine.access import meanings

        return meanings(environ(), text)

    return meanings


def home_dir(variables: dict[str, str]) -> str:
    """Root's own, where HOME is still a user's (`sudo -E`): what root makes there, the user could not use."""
    home = variables.get("HOME", "")
    if home.startswith("/") and (os.geteuid() != 0 or not _is_a_users(home)):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def _is_a_users(home: str) -> bool:
    try:
        return os.stat(home).st_uid != 0
    except OSError:
        return False


def engine() -> Context:
    """What the engine's verbs take first."""
    from rcrun.engine.context import Context
    from rcrun_cli.output import warn

    made = Context(store(), environ(), self_command(), warn)
    made.cgroup_manager = settings.cgroup_manager
    if settings.phases is not None:
        made.mark = settings.phases.mark
    return made


def self_command() -> list[str]:
    """The words that start this program again, whatever it was started as."""
    import sys

    folder = os.path.dirname(os.path.abspath(__file__))
    return [sys.executable, "-BIS", f"{folder}/__main__.py", *_repeated_options()]


def _repeated_options() -> list[str]:
    words = []
    if settings.personality != "rcrun":
        words.append(f"--argv0={settings.personality}")
    if settings.root:
        words.append(f"--root={os.path.abspath(settings.root)}")
    if settings.runroot:
        words.append(f"--runroot={os.path.abspath(settings.runroot)}")
    words += [f"--additional-store={os.path.abspath(path)}" for path in settings.additional]
    if settings.debug:
        words.append("--debug")
    return words
