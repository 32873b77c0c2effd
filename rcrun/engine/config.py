"""Options + image + facts → config.json and container.json, and what must be made before the start. Pure.

`build` is the whole of it. Effects (claiming the name, making directories and volumes, writing the
files) belong to engine/run.py.
"""

from __future__ import annotations

from rcrun.engine import config_linux, config_mounts, config_process
from rcrun.engine import options as run_options
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User
    from rcrun.formats.spec import Spec

# Nothing newer is used, and a runtime refuses a version that it does not know.
OCI_VERSION = "1.1.0"
DEFAULT_STOP_SIGNAL = 15
DEFAULT_STOP_TIMEOUT = 10
NETWORKS = ("none", "host", "pasta", "slirp4netns")
_DEFAULT_NETWORKS = ("", "default", "bridge", "private")
# Drivers that other engines have for a file on disk; ours is the file of docs/plan.md.
_FILE_LOGS = ("", "k8s-file", "json-file", "local")


class ImageFacts:
    """What a container keeps of its image; all None with --rootfs and --bundle."""

    __slots__ = ("config", "config_digest", "digest", "reference")

    def __init__(
        self,
        config: ContainerConfig,
        reference: str | None = None,
        config_digest: str | None = None,
        digest: str | None = None,
    ) -> None:
        self.config = config
        self.reference = reference
        self.config_digest = config_digest
        self.digest = digest


class Built:
    """`config` is config.json, `container` is container.json, `files` name → text of the container's directory.

    `mounts` tells which volumes and directories must be there before the start; `warnings` are for people.
    """

    __slots__ = ("config", "container", "files", "mounts", "warnings")

    def __init__(
        self,
        config: Spec,
        container: dict[str, Any],
        files: dict[str, str],
        mounts: Mounts,
        warnings: list[str],
    ) -> None:
        self.config = config
        self.container = container
        self.files = files
        self.mounts = mounts
        self.warnings = warnings


def build(options: Options, args: Sequence[str], image: ImageFacts, facts: Facts) -> Built:
    """InvalidInput names the option that is wrong."""
    run_options.check(options)
    warnings: list[str] = []
    network = network_record(options, image.config, facts, warnings)
    userns = config_linux.user_namespace_word(options, facts)
    options = {**options, "network": network["mode"], "userns": userns}
    user = config_process.find_user(options, image.config, facts)
    hostname = host_name(options, facts)
    files = bound_files(options, facts, hostname)
    mounts = config_mounts.mounts(options, image.config, facts, user, files)
    config = _config(options, args, image, facts, user, hostname, mounts)
    words = config_process.command_words(options, args, image.config)
    container = container_record(options, image, facts, network, mounts, words)
    return Built(config, container, files, mounts, warnings + mounts.warnings)


def _config(
    options: Options,
    args: Sequence[str],
    image: ImageFacts,
    facts: Facts,
    user: User,
    hostname: str,
    mounts: Mounts,
) -> Spec:
    security = config_process.security(options)
    allowed = config_process.allowed(options, facts.held)
    seccomp = config_process.seccomp(security, allowed, facts)
    linux = config_linux.linux(options, facts, user, security, seccomp)
    config: Spec = {
        "ociVersion": OCI_VERSION,
        "process": config_process.process(
            options, args, image.config, facts, user, hostname, security
        ),
        "root": {"path": "rootfs", "readonly": bool(options.get("read_only"))},
        "mounts": mounts.documents,
        "linux": linux,
    }
    if options.get("uts") != "host":
        config["hostname"] = hostname
        if options.get("domainname"):
            config["domainname"] = options["domainname"]
    if options.get("annotation"):
        config["annotations"] = run_options.pairs(options["annotation"], "--annotation")
    if options.get("device"):
        config_linux.add_devices(config, options, facts)
    return config


def container_record(
    options: Options,
    image: ImageFacts,
    facts: Facts,
    network: dict[str, Any],
    mounts: Mounts,
    words: tuple[list[str], list[str]],
) -> dict[str, Any]:
    """container.json; `words` are entrypoint and command."""
    removed = bool(options.get("rm"))
    return {
        "version": 1,
        "id": facts.container_id,
        "name": facts.name,
        "created": facts.created,
        "image": image.reference,
        "image_id": image.config_digest,
        "manifest_digest": image.digest,
        "entrypoint": words[0],
        "command": words[1],
        "rootfs": _rootfs(facts, removed),
        "tty": bool(options.get("tty")),
        "stdin_open": bool(options.get("interactive")),
        "auto_remove": removed,
        "init": bool(options.get("init")),
        "read_only": bool(options.get("read_only")),
        "privileged": bool(options.get("privileged")),
        "stop_signal": _stop_signal(options, image.config),
        "stop_timeout": _stop_timeout(options),
        "labels": labels(options, image.config, facts),
        "network": network,
        "log": log_record(options),
        "mounts": mounts.records,
        "launched": 0,
        "boot": "",
        "error": "",
        "restart_count": 0,
        **_asked_records(options, image.config),
    }


def _asked_records(options: Options, image: ContainerConfig) -> dict[str, Any]:
    """What inspect tells of the request, where config.json has the result alone."""
    user = options.get("user")
    return {
        "user": str(image.get("User") or "" if user is None else user),
        "exposed": sorted(_exposed(options, image)),
        "userns": options.get("userns") or "",
        "volumes_from": list(options.get("volumes_from") or ()),
    }


def _rootfs(facts: Facts, removed: bool) -> dict[str, Any]:
    """volatile skips the syncs of an upper that nobody will read after a crash."""
    return {"kind": "overlay", "lowers": facts.lowers, "volatile": removed, "driver": "overlay"}


def _stop_signal(options: Options, image: ContainerConfig) -> int:
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


def _stop_timeout(options: Options) -> int:
    given = options.get("stop_timeout")
    return DEFAULT_STOP_TIMEOUT if given is None else int(given)


def labels(options: Options, image: ContainerConfig, facts: Facts) -> dict[str, str]:
    """Image, then --label-file, then --label."""
    found = dict(image.get("Labels") or {})
    for path in options.get("label_file") or ():
        lines = facts.read(path).decode("utf-8-sig", "replace").splitlines()
        words = [line.lstrip() for line in lines]
        kept = [word for word in words if word and not word.startswith("#")]
        found.update(run_options.pairs(kept, f'--label-file "{path}"'))
    found.update(run_options.pairs(options.get("label") or (), "--label"))
    return found


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


# Network.


def network_record(
    options: Options, image: ContainerConfig, facts: Facts, warnings: list[str]
) -> dict[str, Any]:
    mode, _, rest = str(options.get("network") or "").partition(":")
    is_chosen = mode not in _DEFAULT_NETWORKS
    if not is_chosen:
        mode = default_network(facts)
    if mode not in NETWORKS:
        raise InvalidInput(
            f'--network "{options["network"]}" is not supported yet',
            f"use one of: {', '.join(NETWORKS)}",
        )
    published = ports(options, image)
    if published and mode in ("none", "host"):
        warnings.append(f"published ports have no effect with --network {mode}")
        published = []
    return {
        "mode": mode,
        "chosen": is_chosen,
        "options": [word for word in rest.split(",") if word],
        "ports": published,
        "aliases": list(options.get("network_alias") or ()),
    }


def default_network(facts: Facts) -> str:
    """pasta, and slirp4netns where there is no pasta; the start says what to install where there is neither."""
    if not facts.find_program("pasta") and facts.find_program("slirp4netns"):
        return "slirp4netns"
    return "pasta"


def ports(options: Options, image: ContainerConfig) -> list[dict[str, str | int]]:
    """-p, and for -P every exposed port that -p does not publish; two on the same place are refused."""
    if not options.get("publish") and not options.get("publish_all"):
        return []
    from rcrun.formats import port

    found = [each for text in options.get("publish") or () for each in port.parse(text)]
    if options.get("publish_all"):
        done = {f"{each.container_port}/{each.protocol}" for each in found}
        for word in sorted(_exposed(options, image) - done, key=_port_order):
            found += port.parse(word)
    taken = set()
    for each in found:
        place = (each.host_ip, each.host_port, each.protocol)
        if each.host_port and not each.host_last and place in taken:
            raise InvalidInput(f'--publish: host port "{each}" is published twice')
        taken.add(place)
    return [each.document() for each in found]


def _port_order(word: str) -> tuple[int, str]:
    number, _, protocol = word.partition("/")
    return int(number), protocol


def _exposed(options: Options, image: ContainerConfig) -> set[str]:
    words = [*(options.get("expose") or ()), *(image.get("ExposedPorts") or {})]
    if not words:
        return set()
    from rcrun.formats import port

    return {
        f"{number}/{protocol}" for word in words for number, protocol in port.parse_exposed(word)
    }


def host_name(options: Options, facts: Facts) -> str:
    """--hostname; with the host's network or uts namespace the host's; else the beginning of the id."""
    given = options.get("hostname")
    if options.get("uts") == "host":
        if given or options.get("domainname"):
            raise InvalidInput("conflicting options: --hostname or --domainname and --uts host")
        return facts.hostname
    if given:
        if len(given) > 64 or any(c.isspace() or c == "/" for c in given):
            raise InvalidInput(f'invalid --hostname "{given}"')
        return str(given)
    return facts.hostname if options.get("network") == "host" else facts.container_id[:12]


def bound_files(options: Options, facts: Facts, hostname: str) -> dict[str, str]:
    """The texts of the files that are bound into the container; the marker files are empty."""
    files = {"hostname": f"{hostname}\n", "containerenv": "", "dockerenv": ""}
    if not options.get("no_hosts"):
        files["hosts"] = _hosts(options, facts, hostname)
    if "none" not in (options.get("dns") or ()):
        files["resolv.conf"] = _resolv(options, facts)
    return files


def _hosts(options: Options, facts: Facts, hostname: str) -> str:
    from rcrun.network import hosts

    mode = options["network"]
    address = _address_of_host(mode, facts)
    gateway = address if mode in ("none", "host") else address or hosts.OFFLINE
    added = [hosts.parse_added(text, gateway) for text in options.get("add_host") or ()]
    if mode == "host":
        return hosts.host_text(_host_file(facts, "/etc/hosts"), added)
    names = [hostname, facts.name]
    if options.get("domainname"):
        names.insert(0, f"{hostname}.{options['domainname']}")
    if mode == "none":
        return hosts.text(names, added=added)
    from rcrun.network.pasta import ADDRESS

    return hosts.text(names, address=ADDRESS, host_address=address, added=added)


def _address_of_host(mode: str, facts: Facts) -> str:
    if mode == "none":
        return ""
    return "127.0.0.1" if mode == "host" else facts.host_address()


def _resolv(options: Options, facts: Facts) -> str:
    from rcrun.network import resolv

    mode = options["network"]
    forwards = mode in ("pasta", "slirp4netns")
    return resolv.text(
        _host_file(facts, "/etc/resolv.conf"),
        own_network=mode != "host",
        forwarder=resolv.forwarder(facts.host_address()) if forwards else "",
        servers=options.get("dns") or (),
        search=options.get("dns_search") or (),
        options=options.get("dns_option") or (),
    )


def _host_file(facts: Facts, path: str) -> str:
    return facts.read(path).decode("utf-8", "replace") if facts.stat(path) is not None else ""
