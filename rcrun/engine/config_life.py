"""How a container ends and what is kept of its output: stop signal, log driver. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig

# What inspect shows as it was asked for.
_SHOWN = (
    "add_host", "cap_add", "cap_drop", "cgroup_parent", "device", "device_cgroup_rule", "dns", "dns_option",
    "dns_search", "group_add", "mount", "publish_all", "security_opt", "shm_size", "storage_opt", "tmpfs",
)  # fmt: skip
DEFAULT_STOP_SIGNAL = 15
DEFAULT_STOP_TIMEOUT = 10


def stop_signal(options: Options, image: ContainerConfig) -> int:
    given, of_image = options.get("stop_signal"), image.get("StopSignal")
    if not given and not of_image:
        return DEFAULT_STOP_SIGNAL
    from rcrun.formats import signals

    try:
        return signals.parse(str(given or of_image))
    except InvalidInput as error:
        if given:
            raise InvalidInput(f"--stop-signal: {error.message}", error.hint) from error
        return DEFAULT_STOP_SIGNAL  # the image's fault must not keep its user from running it


def asked(options: Options) -> dict[str, Any]:
    """The member `asked` of the record: of the options that only their results are kept of, those that were given."""
    found = {name: options[name] for name in _SHOWN if options.get(name)}
    return {"asked": found} if found else {}


def stop_timeout(options: Options) -> int:
    given = options.get("stop_timeout")
    return DEFAULT_STOP_TIMEOUT if given is None else int(given)


def timeout_record(options: Options) -> dict[str, Any]:
    """How long it may run, as podman has it; nothing where that has no end."""
    given = options.get("timeout")
    if not given:
        return {}
    if not 0 < int(given) < 1 << 31:
        raise InvalidInput(f'invalid --timeout "{given}"', "write seconds; 0: no end")
    return {"timeout": int(given)}


def restart_record(options: Options) -> dict[str, Any]:
    """Nothing for a container that stays as it ends."""
    word = options.get("restart") or "no"
    if word == "no":
        return {}
    from rcrun.engine.restart import parse_policy

    policy = parse_policy(str(word))
    return {} if policy["name"] == "no" else {"restart_policy": policy}


def health_record(options: Options, image: ContainerConfig) -> dict[str, Any]:
    """Nothing for most."""
    check: Any = image.get("Healthcheck")
    asked = check or options.get("no_healthcheck")
    if not asked and not any(name.startswith("health_") and options[name] for name in options):
        return {}
    from rcrun.engine.config_health import health_record as asked_for

    return asked_for(options, check)


def log_record(options: Options) -> dict[str, Any]:
    """The plain file unless something else is asked for."""
    if not options.get("log_driver") and not options.get("log_opt"):
        return {"driver": "k8s-file", "max_size": 0, "max_files": 1}
    from rcrun.engine.config_log import log_record as asked_record

    return asked_record(options)
