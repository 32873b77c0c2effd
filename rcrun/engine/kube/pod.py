"""A pod's spec → what `pod create` is asked for, with its containers and volumes. Pure."""

from __future__ import annotations

from rcrun.engine.kube import annotations as podmans
from rcrun.engine.kube.container import RESTARTS, containers
from rcrun.engine.kube.volumes import pod_volumes
from rcrun.errors import InvalidInput
from rcrun.formats import port
from rcrun.formats.kube import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.kube.around import Around
    from rcrun.engine.kube.container import Wanted
    from rcrun.engine.kube.objects import PodDocument
    from rcrun.engine.kube.volumes import PodVolume
    from rcrun.formats.kube.value import Value

_LARGEST_PORT = 65535
_PROTOCOLS = ("TCP", "UDP", "SCTP")


class PodPlan:
    """`options` are those of `pod create`; `containers` begin with the init containers."""

    __slots__ = ("containers", "document", "options", "volumes")

    def __init__(
        self,
        document: PodDocument,
        options: dict[str, Any],
        containers: Sequence[Wanted],
        volumes: dict[str, PodVolume],
    ) -> None:
        self.document = document
        self.options = options
        self.containers = list(containers)
        self.volumes = volumes


def pod_plan(pod: PodDocument, around: Around) -> PodPlan:
    fields.look(pod.spec, fields.POD)
    restart = _restart(pod)
    volumes = pod_volumes(pod, around)
    found = containers(pod, around, volumes, restart)
    shared = _shared(pod, around)
    for wanted in found:
        wanted.options.update(_of_host(pod))
    return PodPlan(pod, shared, found, volumes)


def _restart(pod: PodDocument) -> str:
    """A job that says nothing ends when it has ended."""
    word = pod.spec.field("restartPolicy").one_of(("Always", "OnFailure", "Never"))
    return "no" if pod.kind == "Job" and not word else RESTARTS[word]


def _shared(pod: PodDocument, around: Around) -> dict[str, Any]:
    spec = pod.spec
    is_host = spec.field("hostNetwork").truth() or False
    share = ["ipc", "net", "uts", *(["pid"] if spec.field("shareProcessNamespace").truth() else [])]
    options: dict[str, Any] = {
        "name": pod.name,
        "label": [f"{key}={text}" for key, text in pod.labels.items()],
        "hostname": "" if is_host else spec.field("hostname").text() or pod.name,
        "share": ",".join(share),
        "publish": [] if is_host else ports(spec, publish_all=around.publish_all),
        "add_host": _aliases(spec.field("hostAliases"), around),
        "no_hosts": around.no_hosts,
        "userns": _user_namespace(pod),
        "sysctl": [
            f"{row.field('name').required()}={row.field('value').text()}"
            for row in spec.field("securityContext").field("sysctls").rows()
        ],
        **_names(spec),
    }
    if is_host:
        options["network"] = ["host"]
    return {key: value for key, value in options.items() if value}


def _user_namespace(pod: PodDocument) -> str:
    """`hostUsers: false` asks for ids that nobody else has."""
    given = podmans.user_namespace(pod)
    if not given and pod.spec.field("hostUsers").truth() is False:
        given = "auto"
    return "auto" if given == "private" else given


def _of_host(pod: PodDocument) -> dict[str, Any]:
    found = {}
    for key, option in (("hostPID", "pid"), ("hostIPC", "ipc")):
        if pod.spec.field(key).truth():
            found[option] = "host"
    return found


def _aliases(value: Value, around: Around) -> list[str]:
    found = [
        f"{name}:{row.field('ip').required()}"
        for row in value.rows()
        for name in row.field("hostnames").texts()
    ]
    if found and around.no_hosts:
        raise value.fault("with --no-hosts there is no file that has them")
    return found


def _names(spec: Value) -> dict[str, Any]:
    """What the resolver is told; `dnsPolicy: None` without name servers would leave it without any."""
    config = spec.field("dnsConfig")
    policy = spec.field("dnsPolicy")
    policy.one_of(("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"))
    servers = config.field("nameservers").texts()
    if policy.text() == "None" and not servers:
        raise policy.fault("None needs dnsConfig.nameservers")
    return {
        "dns": servers,
        "dns_search": config.field("searches").texts(),
        "dns_option": [_dns_option(row) for row in config.field("options").rows()],
    }


def _dns_option(row: Value) -> str:
    name, value = row.field("name").required(), row.field("value").text()
    return f"{name}:{value}" if value else name


def ports(spec: Value, *, publish_all: bool) -> list[str]:
    """`[IP:]HOST:CONTAINER/PROTOCOL`, of each that the host is to have."""
    found: dict[str, None] = {}
    for container in spec.field("containers").rows():
        for value in container.field("ports").rows():
            text = _port(value, publish_all)
            if text:
                found[text] = None
    return list(found)


def _port(value: Value, publish_all: bool) -> str:
    fields.look(value, fields.PORT)
    inside = value.field("containerPort").number(1, _LARGEST_PORT)
    outside = value.field("hostPort").number(0, _LARGEST_PORT)
    if inside is None and not outside:
        raise value.field("containerPort").fault("it is not given")
    if publish_all and not outside:
        outside = inside
    protocol = value.field("protocol").one_of(_PROTOCOLS, "TCP").lower()
    if not outside:
        return ""
    try:
        found = port.Port(value.field("hostIP").text(), outside, inside or outside, protocol)
        port.parse(str(found))
    except InvalidInput as error:
        raise value.fault(error.message, error.hint) from error
    return str(found)


def merged_ports(given: Sequence[str], written: Sequence[str]) -> list[str]:
    """What is typed takes the place of what the document says of the same port inside."""
    typed = {(each.container_port, each.protocol) for text in given for each in port.parse(text)}
    kept = [
        text
        for text in written
        if all((each.container_port, each.protocol) not in typed for each in port.parse(text))
    ]
    return [*given, *kept]
