"""The options of `pod create`: those of the pod itself; those that `create` has too are declared as there."""

from __future__ import annotations

from rcrun_cli import options_around, options_inside
from rcrun_cli.declare import option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rcrun_cli.declare import Handler

    Declared = Callable[[Handler], Handler]

# As `create` declares them.
SHARED = (
    "add_host", "blkio_weight", "blkio_weight_device", "cgroup_parent", "cpu_shares", "cpus", "cpuset_cpus",
    "cpuset_mems", "device", "device_read_bps", "device_write_bps", "dns", "dns_option", "dns_search", "gidmap",
    "gpus", "hostname", "hosts_file", "ip", "ip6", "label", "label_file", "mac_address", "memory", "memory_swap",
    "network", "network_alias", "no_hostname", "no_hosts", "pid", "publish", "restart", "security_opt", "shm_size",
    "shm_size_systemd", "subgidname", "subuidname", "sysctl", "uidmap", "userns", "uts", "volume", "volumes_from",
)  # fmt: skip
OWN = (
    option("-n", "--name", metavar="NAME", help="Name; one is made up if nothing is said"),
    option("--exit-policy", type=["continue", "stop"], metavar="POLICY", help="When the last container has ended: continue (if nothing is said), or stop the pod"),
    option("--infra", is_flag=True, default=True, help="Make an infra container, which has the namespaces that the others share"),
    option("--infra-command", metavar="COMMAND", help="The command of an infra container with an image"),
    option("--infra-conmon-pidfile", metavar="FILE", help="Write the pid of the infra container's monitor to a file"),
    option("--infra-image", metavar="IMAGE", help="Make the infra container of this image; it needs none"),
    option("--infra-name", metavar="NAME", help="The name of the infra container"),
    option("--pod-id-file", metavar="FILE", help="Write the pod's id to a file that must not exist"),
    option("--replace", is_flag=True, help="Remove the pod that has the name"),
    option("--share", metavar="NAMESPACE,…", help="What is shared: cgroup ipc net pid uts, or none; +pid: more than ipc,net,uts"),
    option("--share-parent", is_flag=True, default=True, help="The cgroups of its containers are below the pod's"),
)  # fmt: skip


# What `pod clone` has.
_CLONED = ("name", "infra_command", "infra_conmon_pidfile", "infra_name")
_NOT_CLONED = (
    "add_host", "dns", "dns_option", "dns_search", "hosts_file", "ip", "ip6", "mac_address", "network",
    "network_alias", "no_hostname", "no_hosts", "publish",
)  # fmt: skip


def _name_of(declare: Declared) -> str:
    """By what it records: a name is the option's keyword."""

    def handler() -> None:
        """Nothing: it takes the record."""

    declare(handler)
    return str(handler.__dict__["recorded_params"][0].name)


def create_options(handler: Handler) -> Handler:
    return _declared(handler, OWN, SHARED)


def clone_options(handler: Handler) -> Handler:
    """Podman's: what a pod is to have in another way than the one that it is made after."""
    own = [declare for declare in OWN if _name_of(declare) in _CLONED]
    return _declared(handler, own, [name for name in SHARED if name not in _NOT_CLONED])


def _declared(handler: Handler, own: Iterable[Declared], shared: Iterable[str]) -> Handler:
    every: Iterable[Declared] = (
        *options_around.NETWORK,
        *options_around.RECORD,
        *options_inside.PROCESS,
        *options_inside.FILES,
        *options_inside.ISOLATION,
        *options_inside.LIMITS,
    )
    names = set(shared)
    for declare in (*own, *(each for each in every if _name_of(each) in names)):
        handler = declare(handler)
    return handler
