"""The container's network as container.json keeps it; the texts of its /etc/hosts and /etc/resolv.conf. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig

NETWORKS = ("none", "host", "pasta", "slirp4netns")
_DEFAULT_NETWORKS = ("", "default", "private")
BRIDGE = "bridge"
VARIABLE = "RCRUN_NETWORK"
_OF_BRIDGES = ("ip", "ip6", "mac_address")


def network_record(
    options: Options,
    image: ContainerConfig,
    facts: Facts,
    warnings: list[str],
    *,
    joins_user: bool = False,
) -> dict[str, Any]:
    """`joins_user`: its user namespace is another container's, in which the interfaces of bridges cannot be made."""
    mode, _, rest = _asked_network(options).partition(":")
    if mode in ("container", "ns") and rest:
        return _joined_record(mode, rest, facts)
    is_chosen = mode not in _DEFAULT_NETWORKS
    if not is_chosen:
        preferred = str(options.get("preferred_network") or "")
        mode = default_network(mode, facts, joins_user=joins_user, preferred=preferred)
    if mode not in NETWORKS:
        from rcrun.engine.config_bridge import bridge_record

        if joins_user:
            raise InvalidInput(
                f"conflicting options: --network {mode}, and a user namespace that is another container's",
                "share that one's network: --network container:NAME; or use --network pasta or none",
            )
        asked = options if is_chosen else {**options, "network": mode}
        is_chosen = is_chosen or any(options.get(key) for key in _OF_BRIDGES)
        return bridge_record(asked, facts, ports(options, image), is_chosen=is_chosen)
    for key in _OF_BRIDGES:
        if options.get(key):
            raise InvalidInput(
                f"conflicting options: --{key.replace('_', '-')} and --network {mode}",
                "make a network for it: rcrun network create NAME",
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


def _asked_network(options: Options) -> str:
    """The one that was asked for; several must all be networks that are shared."""
    asked = options.get("network") or ""
    words = [asked] if isinstance(asked, str) else list(asked)
    for word in words if len(words) > 1 else ():
        mode = word.partition(":")[0]
        if mode in (*NETWORKS, *_DEFAULT_NETWORKS, "container", "ns"):
            raise InvalidInput(
                f"conflicting options: --network {mode} and another --network",
                "several networks must all be networks of rcrun network create",
            )
    return str(words[0]) if words else ""


def _joined_record(mode: str, rest: str, facts: Facts) -> dict[str, Any]:
    """The network of another container, or of a namespace at a path, is there already."""
    where = {"container": facts.donor(rest).id} if mode == "container" else {"path": rest}
    return {"mode": mode, "chosen": True, "options": [], "ports": [], "aliases": [], **where}


def with_default(options: Options, facts: Facts) -> Options:
    """The network of the environment, where the options name none."""
    word = facts.environ.get(VARIABLE) or ""
    asked = options.get("network") or ""
    is_open = asked in ("", "default") or list(asked) in ([""], ["default"])
    return {**options, "network": word} if word and is_open else options


def default_network(word: str, facts: Facts, *, joins_user: bool, preferred: str = "") -> str:
    """The default bridge; one of its own for who asks for a private one, or cannot be on a bridge.

    That is pasta, and slirp4netns where there is no pasta; the start says what to install where there is neither.
    """
    if word != "private" and not joins_user and facts.has_bridges():
        return BRIDGE
    return own_network(facts.find_program, preferred)


def own_network(find_program: Callable[[str], str], preferred: str = "") -> str:
    """The one that is installed; of both pasta, unless a file prefers the other."""
    if preferred == "slirp4netns" and find_program(preferred):
        return preferred
    return "slirp4netns" if not find_program("pasta") and find_program("slirp4netns") else "pasta"


def ports(options: Options, image: ContainerConfig) -> list[dict[str, str | int]]:
    """-p, and for -P every exposed port that -p does not publish; two on the same place are refused."""
    if not options.get("publish") and not options.get("publish_all"):
        return []
    from rcrun.formats import port

    found = [each for text in options.get("publish") or () for each in port.parse(text)]
    if options.get("publish_all"):
        done = {f"{each.container_port}/{each.protocol}" for each in found}
        for word in sorted(exposed(options, image) - done, key=_port_order):
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


def exposed(options: Options, image: ContainerConfig) -> set[str]:
    words = [*(options.get("expose") or ()), *(image.get("ExposedPorts") or {})]
    if not words:
        return set()
    from rcrun.formats import port

    return {
        f"{number}/{protocol}" for word in words for number, protocol in port.parse_exposed(word)
    }


def bound_files(options: Options, facts: Facts, hostname: str) -> dict[str, str]:
    """The texts of the files that are bound into the container; the marker files are empty."""
    files = {"hostname": f"{hostname}\n", "containerenv": "", "dockerenv": ""}
    if options.get("no_hostname"):
        del files["hostname"]
    if options["network"] == "container":
        files.pop("hostname", None)
        return files  # the other one's are bound
    if options.get("hosts_file"):
        from rcrun.engine.config_beside import hosts_text

        files["hosts"] = hosts_text(options, facts, _hosts(options, facts, hostname))
    elif options.get("no_hosts"):
        if options.get("add_host"):
            raise InvalidInput("conflicting options: --no-hosts and --add-host")
    else:
        files["hosts"] = _hosts(options, facts, hostname)
    if "none" not in (options.get("dns") or ()):
        files["resolv.conf"] = _resolv(options, facts)
    return files


def _hosts(options: Options, facts: Facts, hostname: str) -> str:
    from rcrun.network import hosts

    mode = "none" if options["network"] == "ns" else options["network"]
    gateway = _address_of_host(mode, options, facts)
    address = "" if options.get("host_address") == "none" else gateway
    gateway = gateway if mode in ("none", "host") else gateway or hosts.OFFLINE
    added = [hosts.parse_added(text, gateway) for text in options.get("add_host") or ()]
    if mode == "host":
        return hosts.host_text(_host_file(facts, "/etc/hosts"), added, address)
    if mode == BRIDGE:  # its own lines come with its addresses, at each start
        return hosts.text([], host_address=address, added=added)
    names = own_names(options, facts, hostname)
    if mode == "none":
        return hosts.text(names, added=added)
    from rcrun.network.pasta import ADDRESS

    return hosts.text(names, address=ADDRESS, host_address=address, added=added)


def own_names(options: Options, facts: Facts, hostname: str) -> list[str]:
    names = [hostname, facts.name]
    if options.get("domainname"):
        names.insert(0, f"{hostname}.{options['domainname']}")
    return names


def _address_of_host(mode: str, options: Options, facts: Facts) -> str:
    if mode == "none":
        return ""
    if options.get("host_address") not in (None, "none"):
        return str(options["host_address"])
    return "127.0.0.1" if mode == "host" else facts.host_address()


def _resolv(options: Options, facts: Facts) -> str:
    from rcrun.network import resolv

    mode = options["network"]
    forwards = mode in ("pasta", "slirp4netns", BRIDGE)
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
