"""`--health-*` and an image's HEALTHCHECK → docker's object of a health check. Pure."""

from __future__ import annotations

from rcrun.engine import options as run_options
from rcrun.errors import InvalidInput
from rcrun.formats import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.options import Options

OPTIONS = (
    "health_cmd", "health_interval", "health_retries", "health_start_interval", "health_start_period",
    "health_timeout", "health_on_failure",
)  # fmt: skip
ACTIONS = ("none", "kill", "restart", "stop")
_TIMES = {
    "health_interval": "Interval",
    "health_timeout": "Timeout",
    "health_start_period": "StartPeriod",
    "health_start_interval": "StartInterval",
}
_SHORTEST = 1_000_000  # nanoseconds, docker's


def health_record(options: Options, image: Any) -> dict[str, Any]:
    """`healthcheck` and `health_on_failure` of container.json; nothing where neither asks for checks."""
    given = [name for name in OPTIONS if options.get(name) is not None]
    if options.get("no_healthcheck"):
        if given:
            raise InvalidInput(
                f"conflicting options: --no-healthcheck and --{given[0].replace('_', '-')}"
            )
        return {"healthcheck": {"Test": ["NONE"]}}
    check = {**_of_image(image), **_asked(options)}
    action = str(options.get("health_on_failure") or "none")
    if action not in ACTIONS:
        raise InvalidInput(
            f'invalid --health-on-failure "{action}"', f"it is one of {', '.join(ACTIONS)}"
        )
    if action == "restart" and options.get("restart") not in (None, "", "no"):
        raise InvalidInput("conflicting options: --health-on-failure restart and --restart")
    if not check.get("Test"):
        if given:
            raise InvalidInput(
                f"--{given[0].replace('_', '-')} needs a health check, and the image has none",
                "give one with --health-cmd COMMAND",
            )
        return {}
    return {"healthcheck": check, **({} if action == "none" else {"health_on_failure": action})}


def _of_image(image: Any) -> dict[str, Any]:
    """As the image has it; what is damaged is an error that names it."""
    if not isinstance(image, dict):
        return {}
    check = {**image, "Test": run_options.strings(image.get("Test"), "Healthcheck.Test")}
    numbers = [check.get(name, 0) for name in (*_TIMES.values(), "Retries")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise InvalidInput(
            'the image\'s configuration is damaged: a time of "Healthcheck" is no number'
        )
    if check["Test"] and check["Test"][0] not in ("NONE", "CMD", "CMD-SHELL"):
        check["Test"] = ["CMD", *check["Test"]]  # as the OCI form of some builders has it
    return {key: value for key, value in check.items() if value}


def _asked(options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    command = options.get("health_cmd")
    if command:
        found["Test"] = _test_of(str(command))
    for name, key in _TIMES.items():
        if options.get(name) is not None:
            found[key] = _time_of(name, str(options[name]))
    retries = options.get("health_retries")
    if retries is not None:
        if not str(retries).isdigit():
            raise InvalidInput(f'invalid --health-retries "{retries}": it is a number')
        found["Retries"] = int(retries)
    return found


def _test_of(command: str) -> list[str]:
    """Docker's is a line for the shell; podman also takes a list in JSON, and `none`."""
    if command == "none":
        return ["NONE"]
    if command.startswith("["):
        from rcrun.files import parse_json

        try:
            words = parse_json(command)
        except ValueError:
            words = None
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return words if words[0] in ("NONE", "CMD", "CMD-SHELL") else ["CMD", *words]
    return ["CMD-SHELL", command]


def _time_of(name: str, text: str) -> int:
    flag = f"--{name.replace('_', '-')}"
    if name == "health_interval" and text == "disable":
        return -1  # podman's: only `healthcheck run` checks
    try:
        value = duration.parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{flag}: {error.message}", error.hint) from error
    if value < 0 or 0 < value < _SHORTEST:
        raise InvalidInput(f'invalid {flag} "{text}": it cannot be less than 1ms')
    return value
