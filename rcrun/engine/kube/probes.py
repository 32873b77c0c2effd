"""Probes → the one health check that a container has. Pure."""

from __future__ import annotations

from rcrun.formats.kube import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.formats.kube.value import Value

_PERIOD, _FAILURES, _TIMEOUT = 10, 3, 1  # Kubernetes's
_LONGEST = 2**31 - 1


def health_options(container: Value, restart: str) -> dict[str, Any]:
    """Of the liveness probe, whose failures end the container if it is to be started again; else of another one.

    While a start-up probe may fail, failures do not count; a readiness probe only tells.
    """
    live, start, ready = (
        container.field(f"{name}Probe") for name in ("liveness", "startup", "readiness")
    )
    for each in (live, start, ready):
        fields.look(each, fields.PROBE)
    checked = [each for each in (live, start, ready) if _command(each, container)]
    if not checked:
        return {}
    probe = checked[0]
    if probe is not ready and ready.is_there:
        ready.note("it is left out: a container has one health check, which is the other probe's")
    if probe is live and start.is_there and _command(start, container) != _command(live, container):
        start.note("only its times count: what is checked is the liveness probe's")
    options: dict[str, Any] = {
        "health_cmd": _command(probe, container),
        "health_interval": f"{_number(probe, 'periodSeconds', _PERIOD)}s",
        "health_retries": str(_number(probe, "failureThreshold", _FAILURES)),
        "health_timeout": f"{_number(probe, 'timeoutSeconds', _TIMEOUT)}s",
        "health_start_period": f"{_grace(probe, start)}s",
    }
    if start.is_there:
        options["health_start_interval"] = f"{_number(start, 'periodSeconds', _PERIOD)}s"
    if probe is not ready and restart != "no":
        options["health_on_failure"] = "kill"  # the restart policy then starts it again
    return options


def _grace(probe: Value, start: Value) -> int:
    """Seconds in which failures do not count."""
    delay = probe.field("initialDelaySeconds").number(0, _LONGEST) or 0
    if not start.is_there:
        return delay
    tries = _number(start, "failureThreshold", _FAILURES) * _number(start, "periodSeconds", _PERIOD)
    return max(delay, tries + (start.field("initialDelaySeconds").number(0, _LONGEST) or 0))


def _number(probe: Value, name: str, default: int) -> int:
    return probe.field(name).number(0, _LONGEST) or default


def _command(probe: Value, container: Value) -> str:
    """Empty where nothing is checked that can be."""
    if probe.field("exec").is_there:
        from rcrun.files import dump_json

        words = probe.field("exec").field("command").texts()
        if not words:
            raise probe.field("exec").field("command").fault("it is not given")
        return dump_json(["CMD", *words])
    if probe.field("httpGet").is_there:
        return _http(probe.field("httpGet"), container)
    if probe.field("tcpSocket").is_there:
        value = probe.field("tcpSocket")
        host = _quoted(value.field("host").text("localhost"))
        return f"nc -z {host} {_port(value.field('port'), container)} || exit 1"
    return ""


def _http(value: Value, container: Value) -> str:
    """Whichever program the image has."""
    scheme = value.field("scheme").one_of(("HTTP", "HTTPS"), "HTTP").lower()
    host, path = value.field("host").text("localhost"), value.field("path").text("/")
    slash = "" if path.startswith("/") else "/"
    url = _quoted(f"{scheme}://{host}:{_port(value.field('port'), container)}{slash}{path}")
    headers = [
        _quoted(f"{row.field('name').required()}: {row.field('value').text()}")
        for row in value.field("httpHeaders").rows()
    ]
    curl = " ".join(
        ["curl", "-f", "-s", "-k", "-o", "/dev/null", *(f"-H {h}" for h in headers), url]
    )
    wget = " ".join(["wget", "-q", "-O", "/dev/null", *(f"--header {h}" for h in headers), url])
    return f"if command -v curl >/dev/null; then {curl}; else {wget}; fi || exit 1"


def _port(value: Value, container: Value) -> int:
    """By number, or by the name that one of the container's ports has."""
    if isinstance(value.data, str) and not value.data.isdecimal():
        for port in container.field("ports").rows():
            if port.field("name").text() == value.data:
                return port.field("containerPort").number(1, 65535) or 0
        raise value.fault(f'the container has no port "{value.text()}"')
    if isinstance(value.data, str) and len(value.data) < 6:
        return value._child(int(value.data), value.place).number(1, 65535) or 0
    number = value.number(1, 65535)
    if number is None:
        raise value.fault("it is not given")
    return number


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
