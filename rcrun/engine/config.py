"""Options + image + facts → config.json and container.json, and what must be made before the start. Pure.

`build` is the whole of it. Effects (claiming the name, making directories and volumes, writing the
files) belong to engine/run.py.
"""

from __future__ import annotations

from rcrun.engine import config_life, config_linux, config_mounts, config_network, config_process
from rcrun.engine import options as run_options
from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.config_join import Joined
    from rcrun.engine.config_mounts import Mounts
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User
    from rcrun.formats.spec import Spec

# Nothing newer is used, and a runtime refuses a version that it does not know.
OCI_VERSION = "1.1.0"


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


# Options that need more than their own place in config.json.
_BESIDE = (
    "userns", "uidmap", "gidmap", "subuidname", "subgidname", "init_path", "requires", "pidfile", "conmon_pidfile",
    "rmi", "cgroups", "hostuser", "passwd_entry", "group_entry", "sdnotify", "device", "gpus",
    "root_emulation", "pod",
)  # fmt: skip
_MODES = ("pid", "ipc", "uts", "cgroupns")


def _may_be_init(words: tuple[list[str], list[str]]) -> bool:
    """Worth a closer look (config_systemd.py)."""
    return any(word.endswith(("/init", "systemd")) for word in [*words[0], *words[1]][:3])


def _joined(options: Options, facts: Facts) -> Joined | None:
    from_others = [str(options.get(key) or "") for key in (*_MODES, "network", "userns")]
    if not any(word.startswith(("container:", "ns:")) for word in from_others):
        return None
    from rcrun.engine import config_join

    return config_join.find(options, facts)


def build(options: Options, args: Sequence[str], image: ImageFacts, facts: Facts) -> Built:
    """InvalidInput names the option that is wrong."""
    options = run_options.plain(options)
    run_options.check(options)
    options = config_network.with_default(options, facts)
    warnings = run_options.warnings_of(options)
    joined = _joined(options, facts)
    if joined is not None:
        options = {**options, **joined.plain}
    joins_user = joined is not None and "user" in joined
    network = config_network.network_record(
        options, image.config, facts, warnings, joins_user=joins_user
    )
    userns = config_linux.user_namespace_word(options, facts) if joined is None else ""
    options = {**options, "network": network["mode"], "userns": userns}
    user = config_process.find_user(options, image.config, facts)
    hostname = host_name(options, facts, joined)
    if options.get("host_address"):
        network["host_address"] = options["host_address"]
    if network["mode"] in (config_network.BRIDGE, "none"):  # who may join a network later
        names = config_network.own_names(options, facts, hostname)
        network["own_names"] = " ".join(dict.fromkeys(names))
    files = config_network.bound_files(options, facts, hostname)
    mounts = config_mounts.mounts(options, image.config, facts, user, files, joined)
    config = _config(options, args, image, facts, user, hostname, mounts, joined)
    words = config_process.command_words(options, args, image.config)
    container = container_record(options, image, facts, network, mounts, words)
    if joined is not None:
        container["joins"] = joined.record()
        container.update(joined.words())
    if any(options.get(key) for key in _BESIDE):
        from rcrun.engine import config_beside

        config_beside.add(options, image.config, facts, user, config, container)
    if options.get("systemd") or _may_be_init(words):
        from rcrun.engine import config_systemd

        if config_systemd.is_asked(options, [*words[0], *words[1]]):
            config_systemd.add(options, image.config, facts, config, container)
    if options.get("log_opt"):
        from rcrun.engine.config_log import add_attributes

        add_attributes(container, config["process"]["env"])
    return Built(config, container, files, mounts, warnings + mounts.warnings)


def _config(
    options: Options,
    args: Sequence[str],
    image: ImageFacts,
    facts: Facts,
    user: User,
    hostname: str,
    mounts: Mounts,
    joined: Joined | None,
) -> Spec:
    security = config_process.security(options, facts.stat)
    allowed = config_process.allowed(options, facts.held)
    seccomp = config_process.seccomp(security, allowed, facts)
    linux = config_linux.linux(options, facts, user, security, seccomp, joined)
    config: Spec = {
        "ociVersion": OCI_VERSION,
        "process": config_process.process(
            options, args, image.config, facts, user, hostname, security
        ),
        "root": {"path": "rootfs", "readonly": bool(options.get("read_only"))},
        "mounts": mounts.documents,
        "linux": linux,
    }
    if options.get("uts") != "host" and (joined is None or "uts" not in joined):
        config["hostname"] = hostname
        if options.get("domainname"):
            config["domainname"] = options["domainname"]
    if options.get("annotation"):
        config["annotations"] = run_options.pairs(options["annotation"], "--annotation")
    if config_process.KEEP_GROUPS in (options.get("group_add") or ()):
        config.setdefault("annotations", {})["run.oci.keep_original_groups"] = "1"
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
        "stop_signal": config_life.stop_signal(options, image.config),
        "stop_timeout": config_life.stop_timeout(options),
        "labels": labels(options, image.config, facts),
        "network": network,
        "log": config_life.log_record(options),
        "mounts": mounts.records,
        "launched": 0,
        "boot": "",
        "error": "",
        "restart_count": 0,
        **config_life.timeout_record(options),
        **config_life.restart_record(options),
        **config_life.health_record(options, image.config),
        **_asked_records(options, image.config),
        **config_life.asked(options),
    }


_KEPT = ("pid", "uts", "cgroupns", "create_command")
_KEPT_NUMBERS = ("pids_default",)  # of containers.conf


def _asked_records(options: Options, image: ContainerConfig) -> dict[str, Any]:
    """What inspect tells of the request, where config.json has the result alone."""
    user = options.get("user")
    return {
        "user": str(image.get("User") or "" if user is None else user),
        "exposed": sorted(config_network.exposed(options, image)),
        "userns": options.get("userns") or "",
        "volumes_from": list(options.get("volumes_from") or ()),
        "ipc": options.get("ipc") or "private",
        "env_shown": config_process.shown_variables(options, image),
        **{key: options[key] for key in _KEPT if options.get(key)},
        **{key: options[key] for key in _KEPT_NUMBERS if options.get(key) is not None},
    }


def _rootfs(facts: Facts, removed: bool) -> dict[str, Any]:
    """volatile skips the syncs of an upper that nobody will read after a crash."""
    return {"kind": "overlay", "lowers": facts.lowers, "volatile": removed, "driver": "overlay"}


def labels(options: Options, image: ContainerConfig, facts: Facts) -> dict[str, str]:
    """Image, the unit of systemd that we run in, then --label-file, then --label."""
    found = dict(image.get("Labels") or {})
    if facts.environ.get("PODMAN_SYSTEMD_UNIT"):  # for auto-update, as podman has it
        found["PODMAN_SYSTEMD_UNIT"] = facts.environ["PODMAN_SYSTEMD_UNIT"]
    found.update(run_options.labels(options, facts.read))
    return found


def host_name(options: Options, facts: Facts, joined: Joined | None = None) -> str:
    """--hostname; with the host's network or uts namespace the host's; else the beginning of the id."""
    given = options.get("hostname")
    if joined is not None and not given:
        from rcrun.engine.config_join import network_host_name

        given = network_host_name(joined)
    if options.get("uts") == "host":
        if given or options.get("domainname"):
            raise InvalidInput("conflicting options: --hostname or --domainname and --uts host")
        return facts.hostname
    if given:
        if len(given) > 64 or any(c.isspace() or c == "/" for c in given):
            raise InvalidInput(
                f'invalid --hostname "{given}": it has at most 64 letters, none of them a blank or a slash'
            )
        return str(given)
    if options.get("network") == "host":
        return facts.hostname
    if options.get("hostname_from_name"):
        kept = "".join([c for c in facts.name if c.isalnum() or c in "-."])
        return kept[:63] or facts.container_id[:12]
    return facts.container_id[:12]
