"""The options of `run` and `create` as a dict of the command's keyword arguments: defaults, contradictions, words."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Options = Mapping[str, Any]

_WINDOWS = ("it is for Windows containers", "leave it out")
_REAL_TIME = (
    "cgroup v2 has no control of real-time processes",
    "see --cpus; or --ulimit rtprio=99 --cap-add SYS_NICE",
)
# What will not be: the reason, and what does the job.
REFUSED = {
    "cpu_count": _WINDOWS,
    "cpu_percent": _WINDOWS,
    "cpu_rt_period": _REAL_TIME,
    "cpu_rt_runtime": _REAL_TIME,
    "decryption_key": ("rcrun cannot decrypt images", "skopeo copy --decryption-key KEY … oci:DIR"),
    "io_maxbandwidth": _WINDOWS,
    "io_maxiops": _WINDOWS,
    "link": (
        "docker has given links up, too",
        "share a network: --network container:NAME, and name the other with --add-host",
    ),
    "link_local_ip": ("networks here have no link-local addresses to give", "see --ip"),
    "rdt_class": ("classes of service are rcrun-oci's", "run a bundle with linux.intelRdt: rcrun-oci run"),
    "storage_opt": (
        "the size of a container's files cannot be limited here",
        "keep the store on a file system of that size: rcrun --root DIR",
    ),
    "use_api_socket": ("there is no daemon, and so no socket of one", "leave it out"),
}  # fmt: skip
# Version 2 of cgroups has no such control; docker says so and goes on.
_NO_SUCH_CONTROL = ("memory_swappiness", "kernel_memory", "oom_kill_disable")
_OWN_NAMES = ("", "rcrun", "rcrun-oci")
_OTHER_RUNTIMES = ("runc", "crun", "youki", "io.containerd.runc.v2", "krun")


def check(options: Options) -> None:
    """Contradictions between options, and options that will not be."""
    for key, (reason, hint) in REFUSED.items():
        if options.get(key):
            raise InvalidInput(f"--{key.replace('_', '-')} is not supported: {reason}", hint)
    _check_pairs(options)
    _check_words(options)
    if options.get("volume_driver"):
        from rcrun.formats.volumeoptions import check_driver

        check_driver(str(options["volume_driver"]))
    _check_restart(str(options.get("restart") or "no"), bool(options.get("rm")))
    for stream in options.get("attach") or ():
        if stream.lower() not in ("stdin", "stdout", "stderr"):
            raise InvalidInput(f'invalid --attach "{stream}": it is stdin, stdout or stderr')


def _check_words(options: Options) -> None:
    """Options of which one word means what we do anyway."""
    if options.get("isolation") not in (None, "", "default"):
        raise InvalidInput(
            f'invalid --isolation "{options["isolation"]}": only default is for Linux'
        )
    if options.get("seccomp_policy") == "image":
        raise InvalidInput(
            "--seccomp-policy image is not supported: an image could switch its own filter off",
            "--security-opt seccomp=FILE",
        )
    runtime = options.get("runtime") or ""
    if runtime not in _OWN_NAMES + _OTHER_RUNTIMES:
        hint = "--gpus all" if "nvidia" in runtime else "rcrun is its own runtime: leave it out"
        raise InvalidInput(f'--runtime "{runtime}" is not supported', hint)


def warnings_of(options: Options) -> list[str]:
    """What is taken and changes nothing, where one could think that it does."""
    found = []
    for key in _NO_SUCH_CONTROL:
        if options.get(key) not in (None, False, "", -1):
            found.append(f"--{key.replace('_', '-')} has no effect: cgroup v2 has no such control")
    if options.get("runtime") in _OTHER_RUNTIMES:
        found.append(f"--runtime {options['runtime']} has no effect: rcrun is its own runtime")
    return found


_EXCLUSIVE = (
    ("env_host", "unsetenv_all"),
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
    if word == "no":
        return
    from rcrun.engine.restart import parse_policy

    if parse_policy(word)["name"] != "no" and removed:
        raise InvalidInput("conflicting options: --restart and --rm")


def plain(options: Options) -> Options:
    """One --network is a text, as most of what looks at it expects; several are what they are."""
    asked = options.get("network") or ""
    if isinstance(asked, str) or len(asked) > 1:
        return options
    return {**options, "network": asked[0]}


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


def labels(options: Options, read: Callable[[str], bytes]) -> dict[str, str]:
    """Those of the files of --label-file, and over them those of --label."""
    found: dict[str, str] = {}
    for path in options.get("label_file") or ():
        words = [line.lstrip() for line in read(path).decode("utf-8-sig", "replace").splitlines()]
        kept = [word for word in words if word and not word.startswith("#")]
        found.update(pairs(kept, f'--label-file "{path}"'))
    found.update(pairs(options.get("label") or (), "--label"))
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
