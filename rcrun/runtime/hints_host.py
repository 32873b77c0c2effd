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
APPARMOR_FILE = "/etc/apparmor.d/rcrun-shim"
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"


class HostFacts:
    """`sysctl`: a value by its name, "" for one that this kernel lacks; `granted`: /etc/subuid and /etc/subgid."""

    __slots__ = ("granted", "installer", "shim", "sysctl")

    def __init__(
        self,
        sysctl: Callable[[str], str] | None = None,
        granted: str | None = None,
        shim: str = "",
        installer: str | None = None,
    ) -> None:
        self.sysctl = sysctl or read_sysctl
        self.shim = shim or os.path.realpath(shim_path())
        if granted is None:
            granted = read_text("/etc/subuid") + "\n" + read_text("/etc/subgid")
        self.granted = granted
        self.installer = find_installer() if installer is None else installer

    @property
    def is_confined(self) -> bool:
        """Ubuntu lets only programs with an AppArmor profile make user namespaces."""
        return self.sysctl(_APPARMOR) == "1"

    def apparmor_hint(self) -> str:
        return f"{_APPARMOR} is 1 and no profile allows rcrun-shim; run: {self.apparmor_command()}"

    def apparmor_command(self) -> str:
        """A profile for the one file that needs it; to lift the restriction would lift it for every program."""
        return (
            "printf 'abi <abi/4.0>,\\nprofile rcrun-shim %s flags=(unconfined) { userns, }\\n' "
            f"'{self.shim}' | sudo tee {APPARMOR_FILE} && sudo apparmor_parser -r {APPARMOR_FILE}"
        )

    def apparmor_profile(self) -> str:
        """The same as a file, which may be added to."""
        return (
            "# Lets rcrun make user namespaces; made by: rcrun setup apparmor\n"
            "abi <abi/4.0>,\n"
            f"profile rcrun-shim {self.shim} flags=(unconfined) {{\n"
            "  userns,\n"
            "  include if exists <local/rcrun-shim>\n"
            "}\n"
        )

    def install_command(self, package: str) -> str:
        """By Debian's name of the package; with the host's own tool and name."""
        words, names = INSTALLERS.get(self.installer, INSTALLERS["apt-get"])
        return f"sudo {words} {names.get(package, package)}"

    def subids_command(self) -> str:
        """A range that nobody has: two users with the same ids could change each other's files."""
        first = max(FIRST_SUBID, *_ends(self.granted), 0)
        ids = f"{first}-{first + SUBIDS - 1}"
        return f"sudo usermod --add-subuids {ids} --add-subgids {ids} $USER"


# What installs packages, in words for sudo, and the packages that have another name there than in Debian.
INSTALLERS: dict[str, tuple[str, dict[str, str]]] = {
    "apt-get": ("apt-get install", {}),
    "dnf": ("dnf install", {"uidmap": "shadow-utils", "libseccomp2": "libseccomp"}),
    "zypper": ("zypper install", {"uidmap": "shadow"}),
    "pacman": ("pacman -S", {"uidmap": "shadow", "libseccomp2": "libseccomp"}),
    "apk": ("apk add", {"uidmap": "shadow-uidmap", "libseccomp2": "libseccomp"}),
}


def find_installer() -> str:
    folders = ("/usr/bin", "/sbin", "/usr/sbin")
    return next((n for n in INSTALLERS if any(os.path.exists(f"{f}/{n}") for f in folders)), "")


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
        return f"install newuidmap and newgidmap: {facts.install_command('uidmap')}"
    if tool:
        return _ids_of_others_hint(record, facts)
    if error in (errno.EPERM, errno.EACCES) and facts.is_confined:
        return facts.apparmor_hint()
    if error == errno.EPERM:
        return (
            "without newuidmap only your own id can be mapped; to have more: "
            f"{facts.subids_command()}"
        )
    return None


def _ids_of_others_hint(record: Sequence[str], facts: HostFacts) -> str:
    """Who makes a container takes the ids that he has: this one was made when he had others."""
    file = "subuid" if record[0] == "uidmap" else "subgid"
    pairs = [row for row in zip(record[3::3], record[4::3], strict=False) if _are_numbers(row)]
    rows = [(int(first), int(count)) for first, count in pairs if int(count) > 1]
    if not rows:
        return f"the ids must be yours in /etc/{file}; to get some: {facts.subids_command()}"
    words = "".join(f" --add-{file}s {first}-{first + count - 1}" for first, count in rows)
    return (
        f"the ids must be yours in /etc/{file}, and a container keeps those that it was made with: "
        f"make it again, or give them back: sudo usermod{words} $USER"
    )


def _are_numbers(words: Sequence[str]) -> bool:
    return all(word.isdecimal() for word in words)


def limit_hint(error: int) -> str | None:
    """Of what a user may have only so much of."""
    if error == errno.EMFILE:
        return "too few open files are allowed; run: ulimit -n $(ulimit -Hn); for more: /etc/security/limits.conf"
    if error == errno.EAGAIN:
        return "you have as many processes as you may (ulimit -u); end some, or see: rcrun doctor"
    return None


def single_id_hint(why: str, facts: HostFacts) -> str:
    """What gives more than one id, by identity's reason for having one; empty where nothing does."""
    if "is not installed" in why:
        return f"run: {facts.install_command('uidmap')}"
    if "no subordinate ids" in why:
        return f"to have more, run: {facts.subids_command()}"
    tool = why.split('"')[1] if why.count('"') > 1 else ""
    if "neither set-user-ID" in why:
        return f"run: sudo chown root {tool} && sudo chmod u+s {tool}"
    if "mounted nosuid" in why:
        return f'run: sudo mount -o remount,suid "$(findmnt -no TARGET -T {tool})"'
    if "no_new_privs" in why:
        return "start rcrun outside of the sandbox that sets it: NoNewPrivileges= of systemd, no-new-privileges of docker"
    return ""
