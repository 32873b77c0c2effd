"""Options that reach further than one place of config.json: ids of its own, users of the host, an init, what goes before. Pure."""

from __future__ import annotations

from rcrun.engine import config_ids
from rcrun.engine.config_accounts import accounts_of
from rcrun.errors import InvalidInput
from rcrun.formats.volume import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User
    from rcrun.formats.spec import Mount, Spec

INIT_PLACE = "/run/.rcrun-init"


def add(
    options: Options,
    image: ContainerConfig,
    facts: Facts,
    user: User,
    config: Spec,
    record: dict[str, Any],
) -> None:
    """Into config.json and container.json, which have everything else already."""
    _add_ids(options, facts, config, record)
    if options.get("device") or options.get("gpus"):
        from rcrun.engine.config_devices import add_devices

        add_devices(config, options, facts)
    if options.get("init_path"):
        _add_init(options, facts, config, record)
    if options.get("sdnotify"):
        record["notify"] = _notify_mode(str(options["sdnotify"]), record)
    if options.get("pod"):
        record.update(options["pod"])  # as engine/podmember.py has made it
    if options.get("requires"):
        names = [name for text in options["requires"] for name in text.split(",") if name]
        record["requires"] = [facts.donor(name).id for name in names]
    for key in ("pidfile", "conmon_pidfile"):
        if options.get(key):
            record[key] = absolute(str(options[key]), facts.cwd)
    if options.get("cgroups") not in (None, "", "enabled"):
        record["cgroups"] = options["cgroups"]
        if options["cgroups"] == "disabled":
            _refuse_limits(config)
    if options.get("root_emulation"):
        from rcrun.engine.config_emulation import emulates

        word, joins_users = str(options["root_emulation"]), "user" in record.get("joins", ())
        if emulates(word, facts.identity, user.uid, joins_users=joins_users):
            record["root_emulation"] = True
    if options.get("rmi"):
        record["remove_image"] = True
    accounts = accounts_of(options, facts, user)
    if accounts:
        record["accounts"] = accounts


def _mount(source: str, destination: str, *words: str) -> Mount:
    options = ["bind", *words, "nosuid", "rprivate"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


def _add_ids(options: Options, facts: Facts, config: Spec, record: dict[str, Any]) -> None:
    """Which ids of the host are its alone, and whether its files must be given to them."""
    word = str(options.get("userns") or "")
    linux = config["linux"]
    if not linux.get("uidMappings") or word.startswith(("container:", "ns:")):
        return
    maps = tuple(
        [(row["containerID"], row["hostID"], row["size"]) for row in linux[key]]
        for key in ("uidMappings", "gidMappings")
    )
    if word.startswith("auto"):
        for which, rows in zip(("uid", "gid"), maps, strict=True):
            record.setdefault("own_ids", {})[which] = [[row[1], row[2]] for row in rows]
    asked = any(options.get(key) for key in config_ids.EXPLICIT)
    if (asked or word.partition(":")[0] in ("auto", "nomap")) and config_ids.is_shifted(
        (maps[0], maps[1]), word, facts.identity
    ):
        record["shifted"] = True


def _add_init(options: Options, facts: Facts, config: Spec, record: dict[str, Any]) -> None:
    """A program of the host as its first process, which is told the command as catatonit and tini are."""
    if not options.get("init"):
        raise InvalidInput("--init-path needs --init")
    path = absolute(str(options["init_path"]), facts.cwd)
    if facts.stat(path) is None:
        raise InvalidInput(f'invalid --init-path "{options["init_path"]}": it does not exist')
    config["mounts"].append(_mount(path, INIT_PLACE, "ro", "nodev"))
    config["process"]["args"] = [INIT_PLACE, "--", *config["process"]["args"]]
    record["init"] = False


def _notify_mode(word: str, record: dict[str, Any]) -> str:
    mode = "ignore" if word == "none" else word
    if mode not in ("container", "conmon", "healthy", "ignore"):
        raise InvalidInput(
            f'invalid --sdnotify "{word}"', "use container, conmon, healthy or ignore"
        )
    if mode == "healthy" and not record.get("healthcheck"):
        raise InvalidInput(
            "--sdnotify healthy needs a health check, and the image has none",
            "--health-cmd COMMAND",
        )
    return mode


def _refuse_limits(config: Spec) -> None:
    from rcrun.runtime.plan_resources import controllers

    asked = controllers(config["linux"].get("resources") or {})
    if asked:
        raise InvalidInput(f"conflicting options: --cgroups disabled and a limit of {asked[0]}")


# ---- /etc/hosts


def hosts_text(options: Options, facts: Facts, ours: str) -> str:
    """--hosts-file: what /etc/hosts begins with, before our own lines."""
    word = str(options["hosts_file"])
    if options.get("no_hosts"):
        raise InvalidInput("conflicting options: --hosts-file and --no-hosts")
    if word == "none":
        return ours
    if word == "image":
        base = facts.image_file("/etc/hosts") or b""
    else:
        base = facts.read(absolute(word, facts.cwd))
    text = base.decode("utf-8", "replace")
    return (text if text.endswith("\n") or not text else f"{text}\n") + ours
