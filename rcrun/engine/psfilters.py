"""`ps --filter`: every kind that docker and podman have. Values of one key are alternatives, keys must all hold."""

from __future__ import annotations

from rcrun.engine import ps
from rcrun.errors import InvalidInput, NotFound
from rcrun.storage.containers import find, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.ps import Seen
    from rcrun.paths import Store

    Test = Callable[[Seen], bool]

STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
# Podman's words for some of them.
_SAME_STATUS = {
    "initialized": "created",
    "stopped": "exited",
    "stopping": "running",
    "unknown": "dead",
}
HEALTHS = ("starting", "healthy", "unhealthy", "none")
POLICIES = ("no", "always", "on-failure", "unless-stopped")
# All values of these must hold, not one of them.
_CUMULATIVE = ("label", "label!", "annotation", "annotation!")
# Those that ask for containers that do not run.
_ANY_STATE = ("status", "exited")


class Filters:
    """What was asked for, checked; `any_state` says that containers which do not run are meant, too."""

    __slots__ = ("any_state", "tests")

    def __init__(self, store: Store, words: Sequence[str]) -> None:
        asked: dict[str, list[Test]] = {}
        self.any_state = False
        for word in words:
            key, value = _split(word)
            asked.setdefault(key, []).append(_FILTERS[key](store, value))
            self.any_state = self.any_state or key in _ANY_STATE
        self.tests = [(all if key in _CUMULATIVE else any, tests) for key, tests in asked.items()]

    def pass_(self, seen: Seen) -> bool:
        return all(of(test(seen) for test in tests) for of, tests in self.tests)


def _split(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or key not in _FILTERS:
        raise InvalidInput(
            f'invalid filter "{word}"',
            f"filters are written KEY=VALUE; keys: {' '.join(sorted(_FILTERS))}",
        )
    return key, value


def _wrong(key: str, value: str, why: str) -> InvalidInput:
    return InvalidInput(f'invalid filter "{key}={value}": {why}')


def _boolean(key: str, value: str) -> bool:
    words = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if value.lower() not in words:
        raise _wrong(key, value, "it is true or false")
    return words[value.lower()]


def _regular(key: str, value: str) -> Callable[[str], object]:
    import re

    try:
        return re.compile(value).search
    except re.error as error:
        raise _wrong(key, value, str(error)) from error


def _id(_: Store, value: str) -> Test:
    """The beginning of an id, in any case, or a regular expression as podman takes it."""
    lower = value.lower()
    if lower.strip("0123456789abcdef"):
        search = _regular("id", value)
        return lambda seen: search(seen.container.id) is not None
    return lambda seen: seen.container.id.startswith(lower)


def _name(_: Store, value: str) -> Test:
    bare, slashed = _regular("name", value.removeprefix("/")), _regular("name", value)
    return lambda seen: bool(bare(seen.container.name) or slashed(f"/{seen.container.name}"))


def _labels(seen: Seen) -> Mapping[str, str]:
    return seen.container.record.get("labels") or {}


def _annotations(seen: Seen) -> Mapping[str, str]:
    return seen.container.config().get("annotations") or {}


def _pair(pairs_of: Callable[[Seen], Mapping[str, str]]) -> Callable[[Store, str], Test]:
    """A label or an annotation, with its value or not."""

    def make(_: Store, value: str) -> Test:
        key, equals, wanted = value.partition("=")

        def test(seen: Seen) -> bool:
            pairs = pairs_of(seen)
            return key in pairs and (not equals or pairs[key] == wanted)

        return test

    return make


def _without(make: Callable[[Store, str], Test]) -> Callable[[Store, str], Test]:
    def negated(store: Store, value: str) -> Test:
        test = make(store, value)
        return lambda seen: not test(seen)

    return negated


def _status(_: Store, value: str) -> Test:
    word = _SAME_STATUS.get(value, value)
    if word not in STATUSES:
        raise _wrong("status", value, f"statuses are {' '.join(STATUSES)}")
    return lambda seen: seen.status.word == word


def _exited(_: Store, value: str) -> Test:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise _wrong("exited", value, "an exit code is a number")
    return lambda seen: seen.status.word == "exited" and seen.status.exit_code == int(value)


def _ancestor(store: Store, value: str) -> Test:
    """The image that it was made of, or one which has all the layers of that one below its own."""
    record = _image_named(store, value)

    def test(seen: Seen) -> bool:
        mine = seen.container.record
        if _is_its_name(mine, value):
            return True
        return record is not None and (
            mine.get("image_id") == record[0] or _stands_on(store, mine, record[1])
        )

    return test


def _image_named(store: Store, value: str) -> tuple[str, list[str]] | None:
    """Its id, and the chain ids of its layers, bottom first."""
    from rcrun.storage import images

    try:
        image = images.find(store, value)
    except (InvalidInput, NotFound):
        return None  # removed since, or it never was here
    return image.config_digest, list(image.chain)


def _is_its_name(record: Mapping[str, Any], value: str) -> bool:
    from rcrun.formats.reference import parse

    digits = value.removeprefix("sha256:")
    image_id = str(record.get("image_id") or "").removeprefix("sha256:")
    if len(digits) >= 4 and image_id.startswith(digits):
        return True
    try:
        return str(parse(value)) == record.get("image")
    except InvalidInput:
        return False


def _stands_on(store: Store, record: Mapping[str, Any], chain: list[str]) -> bool:
    """The directory of a layer is named after all that is below it, so the top one tells."""
    if not chain:
        return False
    lowers = (record.get("rootfs") or {}).get("lowers") or []
    return any(chain[-1] in path.split("/") for path in lowers)


def _before(store: Store, value: str) -> Test:
    limit = str(find(store, value).record["created"])
    return lambda seen: str(seen.container.record["created"]) < limit


def _since(store: Store, value: str) -> Test:
    limit = str(find(store, value).record["created"])
    return lambda seen: str(seen.container.record["created"]) > limit


def _until(_: Store, value: str) -> Test:
    """Created before a time, or so long ago."""
    import time

    from rcrun.engine.images import until_seconds

    limit = until_seconds(value, time.time())
    return lambda seen: seconds_of(str(seen.container.record["created"])) < limit


def _volume(_: Store, value: str) -> Test:
    """By its name, its place in the container, or both as `NAME:PLACE`; of a bind mount by its source."""
    name, colon, place = value.partition(":")

    def test(seen: Seen) -> bool:
        mounts = seen.container.record.get("mounts") or []
        sources = [(m.get("name") or m.get("source"), m["destination"]) for m in mounts]
        if colon:
            return (name, place) in sources
        return any(value.rstrip("/") in (source, inside) for source, inside in sources)

    return test


def _network(store: Store, value: str) -> Test:
    """By name, docker's other name of the default one, or the beginning of an id."""
    from rcrun.engine.networks import has_id
    from rcrun.formats.networkflag import canonical

    def test(seen: Seen) -> bool:
        names = ps.network_names(seen.container)
        if value in names:
            return True
        if (seen.container.record.get("network") or {}).get("mode") != "bridge":
            return False
        return any(name == canonical(value) or has_id(store, name, value) for name in names)

    return test


def _ports(key: str) -> Callable[[Store, str], Test]:
    """`80`, `80/udp`, `8000-8010`: a port on the host where it is published now (publish), or in the container (expose)."""

    def make(_: Store, value: str) -> Test:
        text, _slash, protocol = value.partition("/")
        first, dash, last = text.partition("-")
        protocol = protocol or "tcp"
        numbers = (first, last) if dash else (first, first)
        if not all(n.isascii() and n.isdecimal() for n in numbers) or protocol not in (
            "tcp",
            "udp",
            "sctp",
        ):
            raise _wrong(key, value, "write PORT[-PORT][/tcp|udp|sctp]")
        low, high = int(numbers[0]), int(numbers[1])

        def test(seen: Seen) -> bool:
            return any(low <= number <= high and kind == protocol
                       for number, kind in _numbers(seen, key))  # fmt: skip

        return test

    return make


def _numbers(seen: Seen, key: str) -> list[tuple[int, str]]:
    record = seen.container.record
    network = record.get("network") or {}
    published = ps.published(seen.container)
    if key == "publish":
        return [(int(port["host_port"]), port["protocol"]) for port in published]
    ports = published or network.get("ports") or []
    exposed = [text.partition("/") for text in record.get("exposed") or []]
    found = [(int(number), protocol or "tcp") for number, _, protocol in exposed]
    return found + [(int(port["container_port"]), port["protocol"]) for port in ports]


def _health(_: Store, value: str) -> Test:
    if value not in HEALTHS:
        raise _wrong("health", value, f"it is one of {' '.join(HEALTHS)}")
    return lambda seen: (ps.health_word(seen) or "none") == value


def _restart_policy(_: Store, value: str) -> Test:
    value = "no" if value == "none" else value
    if value not in POLICIES:
        raise _wrong("restart-policy", value, f"policies are {' '.join(POLICIES)}")

    def test(seen: Seen) -> bool:
        policy = seen.container.record.get("restart_policy") or {}
        return (policy.get("name") or "no") == value

    return test


def _starts_on_boot(_: Store, value: str) -> Test:
    wanted = _boolean("should-start-on-boot", value)

    def test(seen: Seen) -> bool:
        policy = seen.container.record.get("restart_policy") or {}
        name = policy.get("name")
        stopped = name == "unless-stopped" and not seen.status.is_running
        return (name == "always" or (name == "unless-stopped" and not stopped)) is wanted

    return test


def _command(_: Store, value: str) -> Test:
    """The first word of what it runs, as a regular expression."""
    search = _regular("command", value)
    return lambda seen: search(ps.command_text(seen.container)) is not None


def _pod(_: Store, value: str) -> Test:
    """By name, or the beginning of the id."""

    def test(seen: Seen) -> bool:
        pod = seen.container.record.get("pod") or {}
        if not value or not isinstance(pod, dict):
            return False
        return value == pod.get("name") or str(pod.get("id") or "").startswith(value)

    return test


def _is_task(_: Store, value: str) -> Test:
    wanted = _boolean("is-task", value)
    return lambda seen: not wanted


_FILTERS: dict[str, Callable[[Store, str], Test]] = {
    "id": _id,
    "name": _name,
    "label": _pair(_labels),
    "label!": _without(_pair(_labels)),
    "annotation": _pair(_annotations),
    "annotation!": _without(_pair(_annotations)),
    "status": _status,
    "exited": _exited,
    "ancestor": _ancestor,
    "before": _before,
    "since": _since,
    "until": _until,
    "volume": _volume,
    "network": _network,
    "publish": _ports("publish"),
    "expose": _ports("expose"),
    "health": _health,
    "restart-policy": _restart_policy,
    "should-start-on-boot": _starts_on_boot,
    "command": _command,
    "pod": _pod,
    "is-task": _is_task,
}
