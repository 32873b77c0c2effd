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


# Of docker's config.json: who we are at registries, and what means nothing here.
_NO_SETTINGS = frozenset(
    (
        "aliases", "auths", "cliPluginsExtraDirs", "credHelpers", "credsStore", "currentContext", "experimental", "features",
        "plugins",
    )
)  # fmt: skip
_OF_IDS = ("userns", "uidmap", "gidmap", "subuidname", "subgidname")


class Settings:
    """Filled once, by main, before the command runs."""

    __slots__ = (
        "additional", "cgroup_manager", "config_dir", "debug", "docker", "entered", "hooks_dirs", "host", "log_level",
        "modules", "mounts_file", "personality", "phases", "root", "runroot",
    )  # fmt: skip

    def __init__(self) -> None:
        self.additional: tuple[str, ...] = ()
        self.cgroup_manager = ""
        self.config_dir: str | None = None
        self.debug = False
        self.docker: Mapping[str, Any] | None = None  # docker's config.json, once somebody asked
        self.entered = (0.0, 0.0)  # the clock and our processor time when our first line ran
        self.host = ""  # the socket that --host names
        self.hooks_dirs: tuple[str, ...] = ()
        self.log_level = "info"
        self.modules: tuple[str, ...] = ()
        self.mounts_file = ""
        self.personality = "rcrun"
        self.phases: Phases | None = None
        self.root: str | None = None
        self.runroot: str | None = None


settings = Settings()


def configure(options: dict[str, Any]) -> None:
    """Take the global options."""
    settings.host = options.get("host") or ""
    _refuse_remote(settings.host)
    _refuse_context(options.get("context"))
    if options["noout"] or options["out"]:
        _redirect("/dev/null" if options["noout"] else options["out"])
    settings.root = options["root"]
    settings.runroot = options["runroot"]
    settings.config_dir = options["config"]
    settings.additional = options["additional_store"]
    settings.hooks_dirs = options["hooks_dir"]
    settings.mounts_file = options["default_mounts_file"] or ""
    settings.modules = options["module"]
    if settings.modules:
        from rcrun_cli.configured import check_modules

        check_modules()
    settings.cgroup_manager = options["cgroup_manager"] or _manager_of(os.environ)
    settings.log_level = options["log_level"]
    settings.debug = bool(options["debug"]) or settings.log_level in ("debug", "trace")
    if settings.debug:
        from rcrun_cli.phases import Phases

        settings.phases = Phases(*settings.entered)


def take_host_options(options: dict[str, Any]) -> None:
    """Those of the global ones that podman takes behind a command, too."""
    settings.hooks_dirs = options.pop("hooks_dir") or settings.hooks_dirs
    settings.mounts_file = options.pop("default_mounts_file") or settings.mounts_file


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


def _refuse_remote(host: str) -> None:
    """There is no daemon to talk to; acting here on what was meant for another host would be worse."""
    if host and "://" in host and not host.startswith(("unix://", "fd://")):
        from rcrun.errors import InvalidInput

        raise InvalidInput(
            f'cannot use the engine at "{host}": rcrun has no daemon, it works on this host only',
            "log in there and run the same command: ssh HOST rcrun …",
        )


def _refuse_context(name: str | None) -> None:
    if name and name != "default":
        from rcrun.errors import InvalidInput

        raise InvalidInput(
            f'cannot use the context "{name}": rcrun has no daemon, it works on this host only',
            "log in there and run the same command: ssh HOST rcrun …",
        )


def environ() -> dict[str, str]:
    return dict(os.environ)


def default_platform() -> str:
    """Of the commands that docker gives it to: run, create, pull, import, build."""
    return "" if settings.personality == "podman" else os.environ.get("DOCKER_DEFAULT_PLATFORM", "")


def userns_of(options: Mapping[str, Any]) -> str | None:
    """--userns of a container or pod that is made; PODMAN_USERNS where no option says anything of ids."""
    given: str | None = options.get("userns")
    if settings.personality == "docker" or any(options.get(key) for key in _OF_IDS):
        return given
    return os.environ.get("PODMAN_USERNS") or given


def docker_config() -> Mapping[str, Any]:
    """What docker's config.json says besides who we are at registries: one open, and mostly nothing.

    As podman nothing: it reads credentials there and no more.
    """
    if settings.docker is None:
        settings.docker = {} if settings.personality == "podman" else _read_docker_config()
    return settings.docker


def detach_keys(given: str | None) -> str | None:
    """The keys that leave a container: those of the command line, else those of docker's config.json."""
    if given is not None or "detachKeys" not in docker_config():
        return given
    from rcrun_cli.dockerdefaults import detach_keys

    return detach_keys()


def docker_config_path() -> str:
    folder = settings.config_dir or os.environ.get("DOCKER_CONFIG")
    return f"{folder or home_dir(environ()) + '/.docker'}/config.json"


def _read_docker_config() -> Mapping[str, Any]:
    from rcrun.files import parse_json, read_bytes

    path = docker_config_path()
    fault, document = "", None
    try:
        data = read_bytes(path)
        document = parse_json(data) if data else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
    except ValueError as error:
        fault = f"it is not valid JSON: {error}"
    if type(document) is dict and document.keys() <= _NO_SETTINGS:
        return {}
    from rcrun_cli.dockerdefaults import told

    return told(path, document, fault)


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
    made.hooks_dirs = [os.path.abspath(path) for path in settings.hooks_dirs]
    made.mounts_file = settings.mounts_file
    if settings.modules or (
        settings.personality != "docker" and paths.containers_conf(made.environ)
    ):
        from rcrun_cli.configured import configure_by_files

        configure_by_files(made)
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
    words += [f"--hooks-dir={os.path.abspath(path)}" for path in settings.hooks_dirs]
    if settings.debug:
        words.append("--debug")
    return words
