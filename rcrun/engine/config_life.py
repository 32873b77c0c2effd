"""How a container ends and what is kept of its output: stop signal, log driver. Pure."""

from __future__ import annotations

from rcrun.engine import options as run_options
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig

# What inspect shows as it was asked for.
_SHOWN = (
    "add_host", "cap_add", "cap_drop", "cgroup_parent", "device", "device_cgroup_rule", "dns", "dns_option",
    "dns_search", "group_add", "publish_all", "security_opt", "shm_size", "storage_opt", "tmpfs",
)  # fmt: skip
DEFAULT_STOP_SIGNAL = 15
DEFAULT_STOP_TIMEOUT = 10
# Drivers that other engines have for a file on disk; ours is the file of docs/plan.md.
_FILE_LOGS = ("", "k8s-file", "json-file", "local")


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


def log_record(options: Options) -> dict[str, Any]:
    driver = options.get("log_driver") or ""
    if driver == "none":
        return {"driver": "none", "max_size": 0, "max_files": 0}
    if driver not in _FILE_LOGS:
        raise InvalidInput(f'--log-driver "{driver}" is not supported', "use k8s-file or none")
    given = run_options.pairs(options.get("log_opt") or (), "--log-opt", bare=False)
    record: dict[str, Any] = {"driver": "k8s-file", "max_size": 0, "max_files": 1}
    for key, value in given.items():
        if key == "max-size":
            from rcrun.formats import size

            record["max_size"] = 0 if value == "-1" else size.parse(value)
        elif key == "max-file":
            if not value.isdigit() or not 1 <= int(value) <= 1000:
                raise InvalidInput(f'invalid --log-opt "max-file={value}": it is 1 to 1000')
            record["max_files"] = int(value)
        elif key not in ("tag", "labels", "env", "mode", "max-buffer-size", "compress"):
            raise InvalidInput(f'unknown --log-opt "{key}"', "use max-size or max-file")
    return record
