"""The shim's report in words: what failed, why, and what to do about it.

WORDS has one sentence a record, with the record's own words in it; `_HINTS` the known causes, first
match wins. What the host forbids is in hints_host.py, and its facts are an argument.
"""

from __future__ import annotations

import errno
import os

from rcrun.errors import CannotInvoke, CommandNotFound, HasEnded, StepFailed
from rcrun.runtime.hints_words import FIELDS, WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.kernel.shim import Plan, Report
    from rcrun.runtime.hints_host import HostFacts

# The C library's own spelling where callers of a runtime search for it.
_VERBATIM = frozenset(("exec", "cwd", "mount"))
_MAY_BE_APPARMOR = frozenset(
    (
        "uidmap",
        "gidmap",
        "propagation",
        "root-bind",
        "root-overlay",
        "mount",
        "loopback",
        "hostname",
    )
)


def error_for(plan: Plan, report: Report, facts: HostFacts | None = None) -> StepFailed:
    """The error to raise for what the shim reported about this plan."""
    record = list(plan[report.step]) if 0 <= report.step < len(plan) else _cloned(plan, report)
    step = record[0]
    if _has_ended(record, plan, report):
        return HasEnded(
            "container not running: it has ended meanwhile",
            step=step, call=report.call, errno=report.errno,
        )  # fmt: skip
    if facts is None:
        from rcrun.runtime.hints_host import HostFacts

        facts = HostFacts()
    message, hint = _words(record, plan, report, facts)
    kind = _kind(step, report)
    path = record[report.word] if 0 < report.word < len(record) else ""
    return kind(message, hint, step=step, call=report.call, errno=report.errno, path=path)


def _has_ended(record: Sequence[str], plan: Plan, report: Report) -> bool:
    """Its init is gone, or went before our process was made or had become the command.

    A pid namespace without its init makes no process, and ends those that it has.
    """
    if record[0] == "join-pid":
        return report.errno == errno.ESRCH
    if report.call == "connect" and ["session", "attach"] in plan:
        return report.errno in (errno.ENOENT, errno.ECONNREFUSED)
    if not any(each[0] == "join-pid" for each in plan):
        return False
    if record[0] == "cgroup":
        return report.errno in (errno.ENOENT, errno.ENODEV)
    return (report.call, report.errno) in _OF_THE_END


_OF_THE_END = (
    ("clone3", errno.ENOMEM),
    ("clone3", errno.ENODEV),  # into a cgroup that was removed
    ("recvmsg", errno.ECONNRESET),
    ("sync_send", errno.EPIPE),
)


def _kind(step: str, report: Report) -> type[StepFailed]:
    """Docker's exit statuses: 127 for what is not there, 126 for what cannot be run."""
    if step not in ("exec", "cwd"):
        return StepFailed
    missing = report.errno in (errno.ENOENT, errno.ENOTDIR)
    return CommandNotFound if missing else CannotInvoke


def _words(
    record: Sequence[str], plan: Plan, report: Report, facts: HostFacts
) -> tuple[str, str | None]:
    step = record[0]
    if report.call == "plan" and 0 < report.word < len(record):
        # numbers are handed on as config.json has them; for bundles the schema words it (bundle.malformed)
        what = f'in "{FIELDS[step]}"' if step in FIELDS else f"a value of {step}"
        return f'"{record[report.word]}" cannot be {what}', "check it: rcrun-oci validate BUNDLE"
    if report.call == "plan":
        return f"this is a bug in rcrun: the shim refuses the record {' '.join(record)!r}", None
    if is_of_client(report):
        return _client_words(report)
    if step == "hook":
        return _hook_words(record, report), None
    if step == "scope":
        return _scope_words(report)
    if step in ("helper", "helper-else"):
        return _helper_words(record, report), _helper_hint(record, report)
    if step == "exec" and report.errno == errno.ENOENT and "/" not in record[1]:
        return f'"{record[1]}": executable file not found in $PATH', _exec_hint(record, report)
    reason = _reason(step, report)
    if _is_no_plain_place(record, report):
        reason = "it must be mounted on ordinary directory, and this is a symbolic link"
    message = f"{_sentence(record, report)}: {reason}"
    return message, _hint(record, plan, report, facts)


# What went wrong for the attach client, by the call: the container had started.
_CLIENT_WORDS = {
    "monitor": (
        "the container's monitor was killed, and the container with it",
        "see what it wrote: rcrun logs",
    ),
    "write": ("cannot write {text}: {reason}", "the container goes on; see rcrun ps"),
}


def _cloned(plan: Plan, report: Report) -> list[str]:
    """A clone that failed is what makes the namespaces, whichever record the shim was at."""
    made = [list(record) for record in plan if record[0] == "unshare"]
    return made[0] if made and report.call in ("clone3", "unshare") else ["plan"]


def is_of_client(report: Report) -> bool:
    """Whether it came from the attach client, about what happened after the launch."""
    return report.step < 0 and report.call in _CLIENT_WORDS


def _client_words(report: Report) -> tuple[str, str]:
    message, hint = _CLIENT_WORDS[report.call]
    return message.format(text=report.text, reason=_reason("", report)), hint


def _sentence(record: Sequence[str], report: Report) -> str:
    template = WORDS.get(record[0], "cannot start the container")
    sentence = template.format(*record, *[""] * 4)
    named = record[report.word] if 0 < report.word < len(record) else ""
    if named and f"{{{report.word}}}" not in template:
        sentence += f' ("{named}")'
    return sentence


def _reason(step: str, report: Report) -> str:
    if report.child_status >= 0:
        return _last_words(report)
    if report.errno == errno.EUSERS:
        return "too many nested user namespaces"
    text = os.strerror(report.errno)
    return text if step in _VERBATIM else text[:1].lower() + text[1:]


def _is_no_plain_place(record: Sequence[str], report: Report) -> bool:
    """The shim mounts procfs and sysfs where their name says, or not at all."""
    if (report.call, report.errno) != ("openat2", errno.ELOOP):
        return False
    if record[0] == "bind":
        return record[1].startswith(("/proc", "/sys"))
    return record[0] == "mount" and record[1] in ("proc", "sysfs")


def _last_words(report: Report) -> str:
    """What a child said, in one line, or its status."""
    said = "; ".join(line.strip() for line in report.text.splitlines() if line.strip())
    return said or f"exit status {report.child_status}"


def _hook_words(record: Sequence[str], report: Report) -> str:
    _, kind, index, _, path = record[:5]
    if report.child_status >= 0:
        said = _last_words(report)
        reason = f"exit status {report.child_status}"
        reason = reason if said == reason else f"{reason}, stderr: {said}"
    elif report.errno == errno.ETIMEDOUT:
        reason = f"it did not end within {record[3]} seconds"
    else:
        text = os.strerror(report.errno)
        reason = text[:1].lower() + text[1:]
    return f'error running {kind} hook #{index}: "{path}": {reason}'


def _scope_words(report: Report) -> tuple[str, str | None]:
    """An error of ours that has come all the way through the shim (rcrun.runtime.scopes)."""
    message, _, hint = report.text.partition("\n")
    if not message:
        return f"cannot put the container into a scope of systemd: {_reason('', report)}", None
    return message, hint or None


_HELPERS = ("pasta", "slirp4netns")
_LISTENS = "cannot listen on "
# Programs of ours: what they say is the whole sentence.
_OWN_HELPERS = ("movedevices.py", "resctrl.py")


def _is_own(record: Sequence[str]) -> bool:
    return any(os.path.basename(word) in _OWN_HELPERS for word in record)


def _helper_words(record: Sequence[str], report: Report) -> str:
    """Named by the program that matters: for root a shell starts it."""
    if _is_own(record):
        return _last_words(report)
    program = next((word for word in record if os.path.basename(word) in _HELPERS), record[2])
    if "Failed to bind any port for '-" in report.text:
        return f"cannot publish {_refused_port(report.text)}: port is already allocated"
    if report.text.startswith(_LISTENS) and report.text.rstrip().endswith(
        ": Address already in use"
    ):
        place = report.text[len(_LISTENS) :].rpartition(": ")[
            0
        ]  # by the proxy; somebody was faster, too
        return f"cannot publish {place}: port is already allocated"
    if report.child_status >= 0:
        return f"cannot set up the network: {os.path.basename(program)}: {_last_words(report)}"
    return f'cannot set up the network: cannot run "{program}": {_reason("", report)}'


def _refused_port(text: str) -> str:
    """`127.0.0.1:80/tcp` of pasta's `-t 127.0.0.1/80:8080`: somebody was faster than it."""
    option, _, spec = text.partition("for '-")[2].partition("'")[0].partition(" ")
    address, _, ports = spec.rpartition("/")
    port = f"{ports.partition(':')[0]}/{'udp' if option == 'u' else 'tcp'}"
    return f"{address}:{port}" if address else port


def _helper_hint(record: Sequence[str], report: Report) -> str | None:
    if _is_own(record):
        return None
    if "/dev/net/tun" in report.text:
        return "the network needs that device: sudo modprobe tun; sudo chmod 666 /dev/net/tun"
    if _is_port_taken(report):
        return "somebody else has it since a moment: try again, or publish another one"
    return "without a network of its own: --network=host or --network=none"


def _is_port_taken(report: Report) -> bool:
    """Before the start it was free."""
    words = report.text.rstrip()
    return "Failed to bind any port for '-" in words or (
        words.startswith(_LISTENS) and words.endswith(": Address already in use")
    )


def _hint(record: Sequence[str], plan: Plan, report: Report, facts: HostFacts) -> str | None:
    from rcrun.runtime.hints_host import limit_hint, map_hint, user_namespace_hint

    step, error = record[0], report.errno
    if step in ("unshare", "plan", "session") and "user" in _unshared(plan):
        hint = user_namespace_hint(error, facts)
        if hint:
            return hint
    if step == "remove-tree" and error in (errno.EACCES, errno.EPERM, errno.ENOTEMPTY):
        from rcrun.storage.trees import stuck_hint

        return stuck_hint(record[1])
    if step in ("uidmap", "gidmap"):
        return map_hint(record, error, facts, said_by_tool=report.child_status >= 0)
    if step in _MAY_BE_APPARMOR and error in (errno.EPERM, errno.EACCES) and facts.is_confined:
        return facts.apparmor_hint()
    if step in ("exec", "cwd"):
        return _exec_hint(record, report)
    if (step, error) == ("mount", errno.EPERM) and record[1] in _OVER_ALL:
        return _covered_hint(record, plan)
    if (step, error) == ("user", errno.EINVAL):
        more = facts.subids_command()
        return f"the id is not mapped in the container's user namespace; to map more: {more}"
    known = _HINTS.get((step, error)) or _HINTS.get((step, 0)) or limit_hint(error)
    return known or (DOCTOR if step in _OF_THE_HOST and error != errno.ENOENT else None)


# What fails here fails for every container: the host forbids it, and nothing above knows why.
DOCTOR = "run: rcrun doctor"
_OF_THE_HOST = frozenset(
    ("unshare", "propagation", "root-overlay", "root-fuse", "pivot", "loopback")
)


# Who mounts one sees all of it, so the kernel wants to see all of one in the mounts that are there.
_OVER_ALL = {"proc": "pid", "sysfs": "network"}


def _covered_hint(record: Sequence[str], plan: Plan) -> str:
    if _OVER_ALL[record[1]] not in _unshared(plan):
        return _HINTS["mount", errno.EPERM]
    return (
        f"a container around us covers parts of its /{record[1].removesuffix('fs')}; "
        "start that one with --security-opt unmask=ALL (docker: systempaths=unconfined)"
    )


def _unshared(plan: Plan) -> list[str]:
    return [kind for record in plan if record[0] == "unshare" for kind in record[1].split(",")]


def _exec_hint(record: Sequence[str], report: Report) -> str | None:
    error, name = report.errno, record[1]
    if record[0] == "cwd":
        return None
    if error == errno.ENOENT and "/" not in name:
        return _missing_hint(name)
    if error == errno.ENOENT:
        return "the file, or the interpreter that its first line names, is missing in the container"
    if error == errno.EACCES:
        return "it is not executable, or its file system is mounted noexec"
    if error == errno.EISDIR:
        return "name a program: a directory cannot be run"
    if error == errno.ENOEXEC:
        return "it was built for another processor, or is a script without a first line #!…"
    return None


def _missing_hint(name: str) -> str:
    if name.startswith("-"):
        return "options of rcrun stand before the image; what stands after it is the command"
    if " " in name:
        return (
            "these are several words in one: leave the quotes out, or give them to a shell: sh -c"
        )
    return "no directory of the container's PATH has it; if it is elsewhere, give its whole path"


# By (step, errno); errno 0: whatever the error.
_HINTS = {
    ("bind", errno.ENOENT): "create the source first, or correct its path",
    ("root-bind", errno.ENOENT): 'the bundle has no such directory; see "root.path" in config.json',
    ("root-overlay", errno.EPERM): (
        "this kernel lets no user mount an overlay (Linux 5.11 does); install fuse-overlayfs"
    ),
    ("root-overlay", errno.ENODEV): "load the module: sudo modprobe overlay; or install fuse-overlayfs",
    ("root-overlay", errno.EINVAL): (
        "the store's file system cannot hold an overlay (NFS and overlay itself cannot): "
        "put the store elsewhere with --root"
    ),
    ("root-overlay", errno.EBUSY): "another container or mount uses the same upper directory",
    ("root-fuse", errno.ENOENT): "install fuse-overlayfs: sudo apt-get install fuse-overlayfs",
    ("cgroup", errno.EACCES): (
        "the cgroup is not delegated to you; log in with systemd, or run it with: "
        "systemd-run --user --scope -p Delegate=yes"
    ),
    ("cgroup", errno.ENOENT): "it was removed meanwhile",
    ("cgroup", errno.EBUSY): "processes must be in a leaf: its subtree_control has controllers",
    ("device", errno.ENODEV): "what the host has there is another device",
    ("mount", errno.EPERM): "the namespace that it shows must belong to the container",
    ("mount", errno.ENODEV): "this kernel does not have that file system",
    ("mount", errno.EBUSY): "something is mounted there already",
    ("remount", errno.EINVAL): "nothing is mounted exactly there",
    ("rlimit", errno.EPERM): "a user cannot raise a hard limit; see: ulimit -Ha",
    ("sysctl", errno.ENOENT): "this kernel does not have it",
    ("sysctl", errno.EXDEV): 'the container needs a proc mount on "/proc"',
    ("oom-score", errno.EINVAL): "it is from -1000 to 1000",
    ("affinity", errno.EINVAL): "this host, or the container's cgroup, has none of these processors",
    ("time-offset", errno.ERANGE): "neither clock may be set before the start of the host, or beyond 146 years; nanosecs is below 1000000000",
    ("time-offset", errno.EINVAL): "nanosecs is below 1000000000",
    ("join", errno.EINVAL): "that file is no namespace of this type",
    ("join", errno.ENOENT): "the process that it is of has ended, or nothing holds the namespace any more",
    ("join", errno.EPERM): "the namespace belongs to somebody else, whom this process is not root of",
    ("oom-score", errno.EACCES): "a user cannot lower it",
    ("scheduler", errno.EINVAL): "this kernel lacks the policy or a flag, or does not take them with these numbers",
    ("scheduler", errno.EPERM): "real-time policies need CAP_SYS_NICE on the host",
    ("io-priority", errno.EPERM): "real-time I/O needs CAP_SYS_NICE on the host",
    ("memory-policy", errno.EINVAL): "the kernel does not know that mode with these flags, or none of the nodes; see: numactl -H",
    ("memory-policy", errno.ENOSYS): "this kernel was built without memory policies (CONFIG_NUMA)",
    ("seccomp", errno.EINVAL): "this kernel does not know one of the filter's flags or actions",
    ("seccomp", errno.EACCES): "set process.noNewPrivileges, or keep CAP_SYS_ADMIN until the filter is loaded",
    ("emulate-root", errno.EINVAL): "it takes Linux 5.5 or newer: --root-emulation off",
    ("emulate-root", errno.ENOSYS): "this kernel has no seccomp filters, or the processor is not known to rcrun: --root-emulation off",
    ("seccomp", errno.ENOSYS): "this kernel was built without seccomp filters",
    ("apparmor", errno.ENOENT): "load the profile first; see: sudo aa-status",
    ("room", errno.ESRCH): "its holder was killed: try again",
    ("room", errno.ENOENT): "its holder was killed: try again",
    ("enter", errno.ESRCH): "its holder was killed: try again, or for containers that run: rcrun network reload -a",
    ("enter", errno.ENOENT): "its holder was killed: try again, or for containers that run: rcrun network reload -a",
    ("interface", errno.EEXIST): "another interface of the container has that name",
    ("interface", errno.ENODEV): "the bridge was removed meanwhile: try again",
    ("connect", errno.EEXIST): "another interface of the container has that name",
    ("connect", errno.EACCES): "it was alone, and the bridges have been made anew since then: rcrun restart it",
    ("bridge", errno.EOPNOTSUPP): "load the module: sudo modprobe bridge",
    ("link-kind", errno.EOPNOTSUPP): "load the module: sudo modprobe veth; or: --network private",
    ("interface", errno.EOPNOTSUPP): "load the module: sudo modprobe veth",
    ("netfilter", 0): "load the modules: sudo modprobe -a nf_tables nft_masq nft_chain_nat nft_socket",
    ("console-socket", errno.ENOENT): "nobody listens there",
    ("console-socket", errno.ECONNREFUSED): "nobody listens there",
}  # fmt: skip
