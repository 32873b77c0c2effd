"""`rcrun network …`: networks that containers share."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option, table_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "CreatedAt": "CREATED AT",
    "Internal": "INTERNAL",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Labels": "LABELS",
}
SHOWN = ("ID", "Name", "Driver", "Scope")
PODMAN_SHOWN = ("ID", "Name", "Driver")


@command("create")
@option("-d", "--driver", default="bridge", metavar="DRIVER", help="Only `bridge`")
@option(
    "--subnet",
    "subnets",
    multiple=True,
    metavar="SUBNET",
    help="As 10.89.5.0/24; a free one if nothing is said",
)
@option(
    "--gateway",
    "gateways",
    multiple=True,
    metavar="ADDRESS",
    help="The bridge's own address in a subnet",
)
@option(
    "--ip-range",
    "ip_ranges",
    multiple=True,
    metavar="RANGE",
    help="Which addresses containers get: a subnet or FIRST-LAST",
)
@option(
    "--ipv4",
    "ipv4",
    type=["true", "false"],
    default="true",
    metavar="BOOL",
    hidden=True,
    help="Have IPv4",
)
@option("--ipv6", is_flag=True, help="Have IPv6, too")
@option("--internal", is_flag=True, help="No way out of the network")
@option("--disable-dns", is_flag=True, help="Containers do not find each other by name")
@option(
    "--dns", multiple=True, metavar="ADDRESS", help="Name server for what is not in the network"
)
@option(
    "-o",
    "--opt",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="mtu, isolate, metric, no_default_route, com.docker.network.…",
)
@option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label")
@option(
    "--route",
    "routes",
    multiple=True,
    metavar="DESTINATION,GATEWAY[,METRIC]",
    help="A route that containers get",
)
@option("--interface-name", metavar="NAME", help="Name of the bridge")
@option("--ignore", is_flag=True, help="One that exists is no error")
@option("--attachable", is_flag=True, hidden=True, help="For scripts: every network is")
@option("--scope", metavar="SCOPE", hidden=True, help="Only `local`")
@option("--ipam-driver", metavar="DRIVER", hidden=True, help="Only `default` and `host-local`")
@option(
    "--ipam-opt", multiple=True, metavar="KEY=VALUE", hidden=True, help="Refused: there are none"
)
@option("--aux-address", multiple=True, metavar="NAME=ADDRESS", hidden=True, help="Refused")
@argument("name", required=False)
def create_network(name: str | None, **given: Any) -> None:
    """Make a network that containers share."""
    from rcrun.engine.networkcreate import Wanted, create
    from rcrun.engine.options import pairs

    _refuse(given)
    wanted = Wanted(name or "")
    wanted.driver = given["driver"]
    wanted.subnets = _several(given["subnets"])
    wanted.gateways = _several(given["gateways"])
    wanted.ip_ranges = _several(given["ip_ranges"])
    wanted.ipv4 = given["ipv4"] == "true"
    wanted.ipv6 = given["ipv6"]
    wanted.internal = given["internal"]
    wanted.dns_enabled = not given["disable_dns"]
    wanted.dns = _several(given["dns"])
    wanted.options = pairs(given["options"], "--opt")
    wanted.labels = pairs(given["labels"], "--label")
    wanted.routes = given["routes"]
    wanted.interface = given["interface_name"] or ""
    wanted.ignore = given["ignore"]
    made = create(context.engine(), wanted)
    output.put(made["name"] if context.settings.personality == "podman" else made["id"])


def _several(words: tuple[str, ...]) -> list[str]:
    """Several in one word, with commas, are several."""
    return [each for word in words for each in word.split(",") if each]


def _refuse(given: dict[str, Any]) -> None:
    if given["scope"] not in (None, "", "local"):
        raise InvalidInput(f'scope "{given["scope"]}" is not supported', "it is local")
    if given["ipam_driver"] not in (None, "", "default", "host-local"):
        raise InvalidInput(f'ipam driver "{given["ipam_driver"]}" is not supported')
    for key in ("ipam_opt", "aux_address"):
        if given[key]:
            raise InvalidInput(f"--{key.replace('_', '-')} is not supported")


@command("ls")
@option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Show only what matches: driver, id, label, name, dangling, type, until",
)
@table_options
@option("--no-trunc", is_flag=True, help="Print whole ids")
@option("-q", "--quiet", is_flag=True, help="Print ids only")
def list_networks(
    filters: tuple[str, ...], form: str | None, noheading: bool, no_trunc: bool, quiet: bool
) -> None:
    """List networks."""
    from rcrun.engine import networks

    store = context.engine().store
    if not (form or quiet):
        form = context.docker_config().get("networksFormat")
    podman = context.settings.personality == "podman"
    found = networks.matching(store, filters)
    if podman:
        found.sort(key=lambda each: networks.shown_name(each["name"], "podman"))
    else:
        found += networks.built_in(filters)
    if quiet and not form:
        for each in found:
            output.put(
                networks.shown_name(each["name"], "podman") if podman else _id(each, no_trunc)
            )
        return
    if form == "json" and podman:
        output.print_inspected([networks.podman_object(store, each) for each in found], None)
        return
    rows = [_row(each, no_trunc, form or "") for each in found]
    shown = PODMAN_SHOWN if podman else SHOWN
    if noheading and not form:
        output.print_table([], [[str(row[name]) for name in shown] for row in rows])
        return
    output.Listing(COLUMNS, shown).print(rows, form)


def _id(network: dict[str, Any], no_trunc: bool) -> str:
    return str(network["id"]) if no_trunc else str(network["id"])[:12]


def _row(network: dict[str, Any], no_trunc: bool, form: str) -> dict[str, Any]:
    from rcrun.engine.networks import shown_name

    labels = network.get("labels") or {}
    subnets = [row["subnet"] for row in network["subnets"]]
    row: dict[str, Any] = {
        "ID": _id(network, no_trunc),
        "Name": shown_name(network["name"], context.settings.personality),
        "Driver": network["driver"],
        "Scope": "local",
        "CreatedAt": network["created"],
        "Internal": "true" if network["internal"] else "false",
        "IPv4": "true" if any(":" not in each for each in subnets) else "false",
        "IPv6": "true" if network["ipv6_enabled"] else "false",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
    }
    if ".Label " in form:
        row["Label"] = lambda key: labels.get(key, "")
    return row


@command("inspect")
@option("-f", "--format", "form", metavar="FORMAT", help="json, or a Go template")
@option("-v", "--verbose", is_flag=True, hidden=True, help="For scripts: it has no effect")
@argument("networks", nargs=-1, required=True)
def inspect_network(networks: tuple[str, ...], form: str | None, verbose: bool) -> int:
    """Print all that is known of networks."""
    from rcrun.engine.inspect_kinds import object_of

    engine, podman = context.engine(), context.settings.personality == "podman"
    return output.inspect_each(
        networks, lambda name: object_of(engine, name, "network", podman=podman), form
    )


@command("rm")
@option(
    "-f",
    "--force",
    is_flag=True,
    help="A missing one is no error; as podman, remove its containers first",
)
@option(
    "-t",
    "--time",
    "seconds",
    type=int,
    metavar="SECONDS",
    help="With -f: wait so long for containers to stop",
)
@argument("networks", nargs=-1, required=True)
def remove_networks(networks: tuple[str, ...], force: bool, seconds: int | None) -> int:
    """Remove networks that no container uses."""
    from rcrun.engine.networkrm import remove

    engine = context.engine()
    podman = context.settings.personality == "podman"

    def removed(name: str) -> str:
        remove(engine, name, with_users=force and podman, seconds=seconds)
        return name

    return output.each_removed(networks, removed, missing_ok=force)


@command("prune")
@option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches: label, until",
)
@option("-f", "--force", is_flag=True, help="Do not ask")
def prune_networks(filters: tuple[str, ...], force: bool) -> int:
    """Remove the networks that no container uses."""
    from rcrun.engine.networkrm import prune
    from rcrun_cli.dockerdefaults import prune_filters

    warning = "This will remove all custom networks not used by at least one container."
    if not force and not output.confirmed(warning):
        return 0
    removed = prune(context.engine(), prune_filters(filters))
    if removed and context.settings.personality != "podman":
        output.put("Deleted Networks:")
    for name in removed:
        output.put(name)
    if removed and context.settings.personality != "podman":
        output.put("")
    return 0


@command("exists", failure_status=125)
@argument("network")
def exists_network(network: str) -> int:
    """Tell by the exit status whether a network is here: 0, or 1."""
    from rcrun.engine.networks import find

    try:
        find(context.store(), network)
    except NotFound:
        return 1
    return 0


@command("connect")
@option("--ip", metavar="ADDRESS", help="Its IPv4 address there")
@option("--ip6", metavar="ADDRESS", help="Its IPv6 address there")
@option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name there")
@option("--mac-address", metavar="MAC", help="Its hardware address there")
@option(
    "--driver-opt",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    hidden=True,
    help="com.docker.network.endpoint.ifname",
)
@argument("network")
@argument("container")
def connect_network(
    network: str,
    container: str,
    ip: str | None,
    ip6: str | None,
    aliases: tuple[str, ...],
    mac_address: str | None,
    options: tuple[str, ...],
) -> None:
    """Connect a container to a network; at once if it runs."""
    from rcrun.engine.networkchange import connect

    asked = {"ip": ip, "ip6": ip6, "mac": mac_address}
    connect(context.engine(), network, container, asked, aliases, options)


@command("disconnect")
@option("-f", "--force", is_flag=True, help="A container that is not there is no error")
@argument("network")
@argument("container")
def disconnect_network(network: str, container: str, force: bool) -> None:
    """Take a container off a network; at once if it runs."""
    from rcrun.engine.networkchange import disconnect

    disconnect(context.engine(), network, container, force=force)


@command("reload")
@option("-a", "--all", "everything", is_flag=True, help="All containers that run")
@argument("containers", nargs=-1)
def reload_network(containers: tuple[str, ...], everything: bool) -> int:
    """Make the networks of running containers again, where something of them was lost."""
    from rcrun.engine.networkchange import reload

    if not containers and not everything:
        raise InvalidInput("reload needs at least one container, or --all")
    status = 0
    for container_id, error in reload(context.engine(), containers, everything=everything):
        if error is None:
            output.put(container_id)
        else:
            output.complain(error.message, error.hint)
            status = int(output.trait("failure_status"))
    return status


@command("update")
@option("--dns-add", multiple=True, metavar="ADDRESS", help="One more name server")
@option("--dns-drop", multiple=True, metavar="ADDRESS", help="A name server less")
@argument("network")
def update_network(network: str, dns_add: tuple[str, ...], dns_drop: tuple[str, ...]) -> None:
    """Change the name servers of a network."""
    from rcrun.engine.networkchange import update

    update(context.engine(), network, add=_several(dns_add), drop=_several(dns_drop))
    output.put(network)
