"""The options of `run` and `create` as a dict of the command's keyword arguments: defaults, contradictions, words."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Options = Mapping[str, Any]

# Known to docker or podman, and not to us yet: better refused by name than silently without effect.
NOT_YET = (
    "blkio_weight", "blkio_weight_device", "cgroup_parent", "cpu_rt_period", "cpu_rt_runtime",
    "device_cgroup_rule", "device_read_bps", "device_read_iops", "device_write_bps",
    "device_write_iops", "gidmap", "gpus", "health_cmd", "health_interval", "health_retries",
    "health_start_period", "health_timeout", "link", "pod",
    "storage_opt", "uidmap",
)  # fmt: skip
# Docker accepts them and they change nothing here.
WITHOUT_EFFECT = (
    "disable_content_trust",
    "no_healthcheck",
    "memory_swappiness",
    "oom_kill_disable",
)


def check(options: Options) -> None:
    """Contradictions between options, and options that are not there yet."""
    for key in NOT_YET:
        if options.get(key):
            raise InvalidInput(f"--{key.replace('_', '-')} is not supported yet")
    _check_pairs(options)
    if options.get("volume_driver"):
        from rcrun.formats.volumeoptions import check_driver

        check_driver(str(options["volume_driver"]))
    _check_restart(str(options.get("restart") or "no"), bool(options.get("rm")))
    for stream in options.get("attach") or ():
        if stream.lower() not in ("stdin", "stdout", "stderr"):
            raise InvalidInput(f'invalid --attach "{stream}": it is stdin, stdout or stderr')


_EXCLUSIVE = (
    ("attach", "detach"),
    ("rootfs", "bundle"),
    ("cpus", "cpu_quota"),
    ("cpus", "cpu_period"),
)


def _check_pairs(options: Options) -> None:
    for one, other in _EXCLUSIVE:
        if options.get(one) and options.get(other):
            raise InvalidInput(
                f"conflicting options: --{one.replace('_', '-')} and --{other.replace('_', '-')}"
            )


def _check_restart(word: str, removed: bool) -> None:
    policy, _, count = word.partition(":")
    if policy not in ("no", "always", "unless-stopped", "on-failure"):
        raise InvalidInput(f'invalid --restart "{word}": unknown policy "{policy}"')
    if count and (policy != "on-failure" or not count.isdigit()):
        raise InvalidInput(f'invalid --restart "{word}": only on-failure takes a count')
    if policy != "no":
        if removed:
            raise InvalidInput("conflicting options: --restart and --rm")
        raise InvalidInput(f"--restart {policy} is not supported yet")


def pairs(words: Iterable[str], flag: str, *, bare: bool = True) -> dict[str, str]:
    """`KEY=VALUE` words as a map; without `bare` the equals sign is required."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not (equals or bare):
            raise InvalidInput(f'invalid {flag} "{word}"', "write KEY=VALUE")
        _check_text(word, flag)
        found[key] = value
    return found


def _check_text(word: str, flag: str) -> None:
    """It goes into JSON, which has no other bytes."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f'invalid {flag} "{word}": it is not UTF-8') from None


def strings(value: object, what: str) -> list[str]:
    """A list of texts out of an image's configuration, where some tools wrote one text."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return list(value)
    raise InvalidInput(f'the image\'s configuration is damaged: "{what}" is not a list of texts')
