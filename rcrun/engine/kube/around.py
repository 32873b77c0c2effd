"""What documents do not say: the options of `kube play`, images and secrets that are here, the host. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from rcrun.engine.kube.objects import Keyed
    from rcrun.formats.image import ContainerConfig

SECCOMP_ROOT = "/var/lib/kubelet/seccomp"  # kubelet's


class Around:
    """`secret` gives what is in one of the store, None where there is none; `image` what its configuration says."""

    __slots__ = (
        "config_maps", "cwd", "exists", "image", "log_driver", "log_opts", "memory", "no_hosts", "pod_id",
        "pod_prefix", "processors", "publish_all", "seccomp_root", "secret",
    )  # fmt: skip

    def __init__(self) -> None:
        self.config_maps: Mapping[str, Keyed] = {}
        self.secret: Callable[[str], dict[str, bytes] | None] = lambda name: None
        self.image: Callable[[str], ContainerConfig] = lambda name: {}
        self.exists: Callable[[str], os.stat_result | None] = lambda path: None
        self.cwd = "/"
        self.pod_id = ""
        self.processors = 1
        self.memory = 1 << 30  # bytes
        self.seccomp_root = SECCOMP_ROOT
        self.log_driver = ""
        self.log_opts: list[str] = []
        self.pod_prefix = True
        self.publish_all = False
        self.no_hosts = False
