"""The commands of docker and podman that rcrun does not have: said as such, with what does the job meanwhile."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_COPY_OUT = (
    "skopeo reads the store: "
    "skopeo copy oci:$HOME/.local/share/rcrun:docker.io/library/NAME:TAG docker-archive:FILE:NAME:TAG"
)

# By the words behind `rcrun`; a group stands for what is in it.
ABSENT: dict[str, str] = {
    "build": "build with another tool and fetch the result: rcrun pull oci-archive:FILE, or rcrun load -i FILE",
    "builder": "",
    "buildx": "build with another tool and fetch the result: rcrun pull oci-archive:FILE, or rcrun load -i FILE",
    "checkpoint": "",
    "compose": "start each service with rcrun run",
    "config": "",
    "container checkpoint": "",
    "container stats": "see rcrun top NAME",
    "container update": "",
    "context": "rcrun works on this host only",
    "events": "to wait for the end of a container: rcrun wait NAME",
    "generate": "",
    "healthcheck": "",
    "image build": "",
    "image push": _COPY_OUT,
    "init": "",
    "kube": "",
    "machine": "there is no virtual machine: rcrun works on this host",
    "manifest": "",
    "mount": "",
    "node": "",
    "play": "",
    "plugin": "",
    "pod": "",
    "push": _COPY_OUT,
    "scout": "",
    "search": "search with a browser",
    "service": "",
    "stack": "",
    "stats": "see rcrun top NAME",
    "swarm": "",
    "system events": "",
    "system prune": "see rcrun container prune, and rcrun image prune",
    "trust": "",
    "update": "",
    "volume mount": "the files are in the folder that rcrun volume inspect -f {{.Mountpoint}} NAME prints",
    "volume reload": "",
    "volume unmount": "",
    "volume update": "",
}


def absence(words: Sequence[str]) -> tuple[str, str] | None:
    """What to say of these words, if docker or podman would understand them, and the hint."""
    name = " ".join(words)
    if name not in ABSENT:
        return None
    return f'there is no command "{name}" yet', ABSENT[name]
