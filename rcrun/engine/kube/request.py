"""What `kube play` was asked for beside the documents, and what it says that it did."""

from __future__ import annotations

from rcrun.engine.kube.around import SECCOMP_ROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rcrun.engine.access import Access
    from rcrun.engine.pull import Progress
    from rcrun.storage.pods import Pod


class Request:
    """`build` makes an image of a Containerfile's path; `builds`: None where it is missing here, True always, False never."""

    __slots__ = (
        "access", "annotations", "build", "builds", "cgroups", "config_maps", "context_dir", "ips", "log_driver", "log_opts", "macs",
        "networks", "no_hostname", "no_hosts", "pod_prefix", "progress", "publish", "publish_all", "replace",
        "seccomp_root", "start", "userns",
    )  # fmt: skip

    def __init__(self) -> None:
        self.access: Access | None = None
        self.annotations: Mapping[str, str] = {}
        self.build: Callable[[str, str], None] = lambda image, file: None
        self.builds: bool | None = None
        self.cgroups = ""  # split in a unit of systemd, whose group then has all containers
        self.config_maps: Sequence[str] = ()
        self.context_dir = ""
        self.ips: Sequence[str] = ()
        self.log_driver = ""
        self.log_opts: Sequence[str] = ()
        self.macs: Sequence[str] = ()
        self.networks: Sequence[str] = ()
        self.no_hostname = False
        self.no_hosts = False
        self.pod_prefix = True
        self.progress: Progress | None = None
        self.publish: Sequence[str] = ()
        self.publish_all = False
        self.replace = False
        self.seccomp_root = SECCOMP_ROOT
        self.start = True
        self.userns = ""


class Played:
    """A pod with the ids of its containers that are no init containers; `awaited` has not started before it is healthy, or says so."""

    __slots__ = ("awaited", "containers", "pod")

    def __init__(self, pod: Pod, containers: Sequence[str], awaited: Sequence[str]) -> None:
        self.pod = pod
        self.containers = list(containers)
        self.awaited = list(awaited)


class Report:
    __slots__ = ("pods", "secrets", "volumes")

    def __init__(self) -> None:
        self.pods: list[Played] = []
        self.secrets: list[str] = []  # ids
        self.volumes: list[str] = []
