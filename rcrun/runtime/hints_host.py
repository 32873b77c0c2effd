"""What the host forbids, and the command that allows it. Its facts are an argument, so every text is tested anywhere."""

from __future__ import annotations

import errno
import os

from rcrun.files import read_text
from rcrun.kernel.shim import shim_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIRST_SUBID, SUBIDS = 100_000, 65_536
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"


class HostFacts:
    """`sysctl`: a value by its name, "" for one that this kernel lacks; `granted`: /etc/subuid and /etc/subgid."""

    __slots__ = ("granted", "shim", "sysctl")

    def __init__(
        self,
        sysctl: Callable[[str], str] | None = None,
        granted: str | None = None,
        shim: str = "",
    ) -> None:
        self.sysctl = sysctl or read_sysctl
        self.shim = shim or os.path.realpath(shim_path())
        if granted is None:
            granted = read_text("/etc/subuid") + "\n" + read_text("/etc/subgid")
        self.granted = granted

    @property
    def is_confined(self) -> bool:
        """Ubuntu lets only programs with an AppArmor profile make user namespaces."""
        return self.sysctl(_APPARMOR) == "1"

    def apparmor_hint(self) -> str:
        """A profile for the one file that needs it; to lift the restriction would lift it for every program."""
        return (
            f"{_APPARMOR} is 1 and no profile allows rcrun-shim; run: "
            "printf 'abi <abi/4.0>,\\nprofile rcrun-shim %s flags=(unconfined) { userns, }\\n' "
            f"'{self.shim}' | sudo tee /etc/apparmor.d/rcrun-shim && "
            "sudo apparmor_parser -r /etc/apparmor.d/rcrun-shim"
        )

    def subids_command(self) -> str:
        """A range that nobody has: two users with the same ids could change each other's files."""
        first = max(FIRST_SUBID, *_ends(self.granted), 0)
        ids = f"{first}-{first + SUBIDS - 1}"
        return f"sudo usermod --add-subuids {ids} --add-subgids {ids} $USER"


def _ends(granted: str) -> list[int]:
    rows = [line.split(":") for line in granted.splitlines()]
    return [
        int(row[1]) + int(row[2])
        for row in rows
        if len(row) == 3 and row[1].isdecimal() and row[2].isdecimal()
    ]


def read_sysctl(name: str) -> str:
    return read_text(f"/proc/sys/{name.replace('.', '/')}").strip()


def user_namespace_hint(error: int, facts: HostFacts) -> str | None:
    if facts.sysctl("user.max_user_namespaces") == "0":
        return "user.max_user_namespaces is 0; run: sudo sysctl -w user.max_user_namespaces=15000"
    if error == errno.EPERM and facts.sysctl("kernel.unprivileged_userns_clone") == "0":
        return (
            "kernel.unprivileged_userns_clone is 0; run: "
            "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        )
    if error in (errno.EPERM, errno.EACCES) and facts.is_confined:
        return facts.apparmor_hint()
    if error == errno.EPERM:
        return (
            "this process may make no user namespace: a container's seccomp filter or a chroot forbids it; "
            "start the outer container with --security-opt seccomp=unconfined"
        )
    if error in (errno.ENOSPC, errno.EUSERS):
        return "too many namespaces exist or are nested; see: sysctl user"
    if error == errno.EINVAL:
        return "this kernel was built without user namespaces (CONFIG_USER_NS)"
    return None


def map_hint(
    record: Sequence[str], error: int, facts: HostFacts, *, said_by_tool: bool
) -> str | None:
    """Of `uidmap` and `gidmap`."""
    tool = record[1]
    if tool and error == errno.ENOENT and not said_by_tool:
        return "install newuidmap and newgidmap: sudo apt-get install uidmap"
    if tool:
        file = "subuid" if record[0] == "uidmap" else "subgid"
        return f"the ids must be yours in /etc/{file}; to get some: {facts.subids_command()}"
    if error in (errno.EPERM, errno.EACCES) and facts.is_confined:
        return facts.apparmor_hint()
    if error == errno.EPERM:
        return (
            "without newuidmap only your own id can be mapped; to have more: "
            f"{facts.subids_command()}"
        )
    return None


def single_id_hint(why: str, facts: HostFacts) -> str:
    """What gives more than one id, by identity's reason for having one; empty where nothing does."""
    if "is not installed" in why:
        return "run: sudo apt-get install uidmap"
    if "no subordinate ids" in why:
        return f"to have more, run: {facts.subids_command()}"
    return ""
