"""The commands of docker and podman that rcrun does not have: said as such, with what does the job meanwhile."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


# By the words behind `rcrun`; a group stands for what is in it.
ABSENT: dict[str, str] = {
    "checkpoint": "",
    "config": "",
    "container checkpoint": "",
    "container runlabel": "an image must not say what runs on the host: look at it with rcrun inspect, and type the command",
    "context create": "rcrun works on this host only",
    "context export": "rcrun works on this host only",
    "context import": "rcrun works on this host only",
    "context rm": "rcrun works on this host only",
    "context update": "rcrun works on this host only",
    "kube apply": "rcrun speaks to no cluster: rcrun kube generate NAME | kubectl apply -f -",
    "machine": "there is no virtual machine: rcrun works on this host",
    "node": "",
    "plugin": "",
    "scout": "",
    "service": "",
    "stack": "",
    "swarm": "",
    "trust": "",
    "volume mount": "the files are in the folder that rcrun volume inspect -f {{.Mountpoint}} NAME prints",
    "volume reload": "",
    "volume unmount": "",
    "volume update": "",
}


def absence(words: Sequence[str]) -> tuple[str, str] | None:
    """What to say of these words, if docker or podman would understand them, and the hint; the last may be an option."""
    if words[-1].startswith("-"):
        from rcrun_cli.refused import refusal

        return refusal(words[:-1], words[-1])
    name = " ".join(words)
    if name not in ABSENT:
        return None
    return f'there is no command "{name}" yet', ABSENT[name]
