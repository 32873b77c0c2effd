"""The texts that people meet first. A change of wording shows here."""

from __future__ import annotations

import errno

import pytest

from rcrun.errors import CannotInvoke, CommandNotFound, StepFailed
from rcrun.kernel.shim import Report
from rcrun.runtime.hints import error_for, is_of_client
from rcrun.runtime.hints_host import HostFacts

# A host that forbids nothing.
FACTS = HostFacts(lambda name: "", granted="", shim="/opt/rcrun-shim")


def told(
    record: list[str],
    error: int,
    *,
    call: str = "",
    word: int = 0,
    child: int = -1,
    said: str = "",
) -> StepFailed:
    plan = [["plan", "1"], ["session", "container"], record]
    report = Report(2, error, word, child, call, said)
    return error_for(plan, report, FACTS)


@pytest.mark.parametrize(
    ("record", "error", "more", "message", "hint"),
    [
        # --- bridges
        (
            ["room", "7", "8"],
            errno.ESRCH,
            {"call": "open", "word": 1},
            'cannot enter the namespace of the bridges ("7"): no such process',
            "its holder was killed: try again",
        ),
        (
            ["interface", "v1", "br0", "eth0", "02:42:0a:59:00:02", "0", "10.89.0.2/24"],
            errno.EEXIST,
            {"call": "RTM_NEWLINK", "word": 3},
            'cannot make the interface "eth0" on the bridge "br0": file exists',
            "another interface of the container has that name",
        ),
        (
            ["interface", "v1", "br0", "eth0", "02:42:0a:59:00:02", "0", "0.0.0.0/0>10.0.0.1>100"],
            errno.ENETUNREACH,
            {"call": "RTM_NEWROUTE", "word": 6},
            'cannot make the interface "eth0" on the bridge "br0" ("0.0.0.0/0>10.0.0.1>100"): network is unreachable',
            None,
        ),
        (
            ["netfilter", "00"],
            errno.ENOENT,
            {"call": "NFNL_MSG_BATCH"},
            "cannot set the rules of the networks: no such file or directory",
            "load the modules: sudo modprobe -a nf_tables nft_masq nft_chain_nat nft_socket",
        ),
        (
            ["bridge", "br0", "02:42:0a:59:00:02", "0"],
            errno.EOPNOTSUPP,
            {"call": "RTM_NEWLINK", "word": 1},
            'cannot make the bridge "br0": operation not supported',
            "load the module: sudo modprobe bridge",
        ),
        (
            ["link-kind", "veth"],
            errno.EOPNOTSUPP,
            {"call": "RTM_NEWLINK", "word": 1},
            "this kernel makes no veth interfaces, by which containers are on bridges: operation not supported",
            "load the module: sudo modprobe veth; or: --network private",
        ),
        # --- the file system
        (
            ["root-overlay", "/u", "/w", "userxattr", "/l"],
            errno.EPERM,
            {"call": "mount"},
            "cannot mount the overlay that makes the root file system: operation not permitted",
            "this kernel lets no user mount an overlay (Linux 5.11 does); install fuse-overlayfs",
        ),
        (
            ["root-overlay", "/u", "/w", "userxattr", "/l"],
            errno.EINVAL,
            {"call": "mount"},
            "cannot mount the overlay that makes the root file system: invalid argument",
            "the store's file system cannot hold an overlay (NFS and overlay itself cannot): "
            "put the store elsewhere with --root",
        ),
        (
            ["root-overlay", "/u", "/w", "userxattr", "/l"],
            errno.ENOENT,
            {"call": "open", "word": 4},
            'cannot mount the overlay that makes the root file system ("/l"): '
            "no such file or directory",
            None,
        ),
        (
            ["root-bind", "/b/rootfs"],
            errno.ENOENT,
            {"call": "mount", "word": 1},
            'cannot use "/b/rootfs" as root file system: no such file or directory',
            'the bundle has no such directory; see "root.path" in config.json',
        ),
        (
            ["bind", "/no/where", "/data", "rec"],
            errno.ENOENT,
            {"call": "open_tree", "word": 1},
            'cannot bind mount "/no/where" on "/data": no such file or directory',
            "create the source first, or correct its path",
        ),
        (
            ["mount", "proc", "proc", "/proc", "", ""],
            errno.EPERM,
            {"call": "mount", "word": 3},
            'cannot mount proc on "/proc": Operation not permitted',
            "the namespace that it shows must belong to the container",
        ),
        (
            ["device", "/dev/fuse", "c", "10", "229", "666", "0", "0"],
            errno.ENODEV,
            {"call": "open_tree", "word": 1},
            'cannot make the device "/dev/fuse": no such device',
            "what the host has there is another device",
        ),
        (
            ["sysctl", "net/ipv4/x", "1"],
            errno.ENOENT,
            {"call": "openat2", "word": 1},
            'cannot set the sysctl "net/ipv4/x" to "1": no such file or directory',
            "this kernel does not have it",
        ),
        # --- limits and identity
        (
            ["cgroup", "/sys/fs/cgroup/a"],
            errno.EACCES,
            {"call": "open"},
            'cannot enter the cgroup "/sys/fs/cgroup/a": permission denied',
            "the cgroup is not delegated to you; log in with systemd, or run it with: "
            "systemd-run --user --scope -p Delegate=yes",
        ),
        (
            ["scope", "7"],
            errno.EREMOTEIO,
            {"call": "scope", "said": "systemd refuses it: no\nlog in"},
            "systemd refuses it: no",
            "log in",
        ),
        (
            ["scope", "7"],
            errno.ECONNRESET,
            {"call": "recv"},
            "cannot put the container into a scope of systemd: connection reset by peer",
            None,
        ),
        (
            ["rlimit", "RLIMIT_NOFILE", "5", "1048576"],
            errno.EPERM,
            {"call": "setrlimit", "word": 1},
            "cannot set RLIMIT_NOFILE to 5:1048576: operation not permitted",
            "a user cannot raise a hard limit; see: ulimit -Ha",
        ),
        (
            ["user", "70000", "0"],
            errno.EINVAL,
            {"call": "setresuid", "word": 1},
            "cannot become user 70000, group 0: invalid argument",
            "the id is not mapped in the container's user namespace; to map more: "
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
        ),
        (
            ["seccomp", "7", ""],
            errno.EACCES,
            {"call": "seccomp"},
            "cannot load the seccomp filter: permission denied",
            "set process.noNewPrivileges, or keep CAP_SYS_ADMIN until the filter is loaded",
        ),
        (
            ["seccomp", "7", ""],
            errno.EINVAL,
            {"call": "seccomp"},
            "cannot load the seccomp filter: invalid argument",
            "this kernel does not know one of the filter's flags or actions",
        ),
        # --- the network
        (
            ["helper", "/run/pasta.pid", "/usr/bin/pasta", "--config-net"],
            errno.EIO,
            {"child": 1, "said": "Failed to open() /dev/net/tun: No such file or directory\n"},
            "cannot set up the network: pasta: Failed to open() /dev/net/tun: "
            "No such file or directory",
            "the network needs that device: sudo modprobe tun; sudo chmod 666 /dev/net/tun",
        ),
        (
            ["helper", "/run/pasta.pid", "/usr/bin/pasta"],
            errno.EIO,
            {"child": 1, "said": "Couldn't get any nameserver address\n"},
            "cannot set up the network: pasta: Couldn't get any nameserver address",
            "without a network of its own: --network=host or --network=none",
        ),
        (
            ["helper", "/run/pasta.pid", "/bin/sh", "-c", "script", "/ns", "/usr/bin/pasta", "-q"],
            errno.EIO,
            {"child": 1, "said": "No external routable interface for IPv4\n"},
            "cannot set up the network: pasta: No external routable interface for IPv4",
            "without a network of its own: --network=host or --network=none",
        ),
        (
            ["helper-else", "warning", "/run/pasta.pid", "/usr/bin/slirp4netns", "@PID@"],
            errno.EIO,
            {"child": 137, "said": ""},
            "cannot set up the network: slirp4netns: exit status 137",
            "without a network of its own: --network=host or --network=none",
        ),
        # --- hooks
        (
            ["hook", "createRuntime", "1", "0", "/h", "1", "h"],
            errno.EIO,
            {"child": 3, "said": "no luck\n"},
            'error running createRuntime hook #1: "/h": exit status 3, stderr: no luck',
            None,
        ),
        (
            ["hook", "prestart", "0", "5", "/h", "1", "h"],
            errno.ETIMEDOUT,
            {"call": "waitpid"},
            'error running prestart hook #0: "/h": it did not end within 5 seconds',
            None,
        ),
        # --- the others
        (
            ["frobnicate", "x"],
            errno.EINVAL,
            {"call": "plan"},
            "this is a bug in rcrun: the shim refuses the record 'frobnicate x'",
            None,
        ),
        (
            ["oom-score", "1.5"],
            errno.EINVAL,
            {"call": "plan", "word": 1},
            '"1.5" cannot be in "process.oomScoreAdj"',
            "check it: rcrun-oci validate BUNDLE",
        ),
        (
            ["console-socket", "/c.sock"],
            errno.ECONNREFUSED,
            {"call": "connect"},
            'cannot use the console socket "/c.sock": connection refused',
            "nobody listens there",
        ),
    ],
)  # fmt: skip
def test_texts(record: list[str], error: int, more: dict, message: str, hint: str | None) -> None:  # type: ignore[type-arg]
    failed = told(record, error, **more)
    assert (failed.message, failed.hint) == (message, hint)
    assert type(failed) is StepFailed
    assert failed.status == 125


@pytest.mark.parametrize(
    ("record", "error", "kind", "message", "hint"),
    [
        (
            ["exec", "frob"],
            errno.ENOENT,
            CommandNotFound,
            '"frob": executable file not found in $PATH',
            "no directory of the container's PATH has it; if it is elsewhere, give its whole path",
        ),
        (
            ["exec", "-it"],
            errno.ENOENT,
            CommandNotFound,
            '"-it": executable file not found in $PATH',
            "options of rcrun stand before the image; what stands after it is the command",
        ),
        (
            ["exec", "echo hello"],
            errno.ENOENT,
            CommandNotFound,
            '"echo hello": executable file not found in $PATH',
            "these are several words in one: leave the quotes out, or give them to a shell: sh -c",
        ),
        (
            ["exec", "/bin/frob"],
            errno.ENOENT,
            CommandNotFound,
            'cannot run "/bin/frob": No such file or directory',
            "the file, or the interpreter that its first line names, is missing in the container",
        ),
        (
            ["exec", "/etc/passwd"],
            errno.EACCES,
            CannotInvoke,
            'cannot run "/etc/passwd": Permission denied',
            "it is not executable, or its file system is mounted noexec",
        ),
        (
            ["exec", "/etc"],
            errno.EISDIR,
            CannotInvoke,
            'cannot run "/etc": Is a directory',
            "name a program: a directory cannot be run",
        ),
        (
            ["exec", "/bin/arm"],
            errno.ENOEXEC,
            CannotInvoke,
            'cannot run "/bin/arm": Exec format error',
            "it was built for another processor, or is a script without a first line #!…",
        ),
        (
            ["cwd", "/no"],
            errno.ENOENT,
            CommandNotFound,
            'cannot change to the working directory "/no": No such file or directory',
            None,
        ),
        (
            ["cwd", "/root"],
            errno.EACCES,
            CannotInvoke,
            'cannot change to the working directory "/root": Permission denied',
            None,
        ),
    ],
)
def test_commands(
    record: list[str], error: int, kind: type, message: str, hint: str | None
) -> None:
    failed = told(record, error, call="execve", word=1)
    assert (failed.message, failed.hint) == (message, hint)
    assert type(failed) is kind
    assert failed.status == (127 if kind is CommandNotFound else 126)
    assert failed.path == record[1]


def test_every_record_of_the_plan_has_words() -> None:
    """docs/plan.md names the records; none of them may end in a KeyError or without its own sentence."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs/plan.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    records = [
        words.strip("`").split()[0] for row in rows for words in row.strip().split(" / ") if words
    ]
    assert len(records) > 60
    for name in records:
        failed = told([name, "a", "b", "0", "/p", "0"], errno.EIO, call="call")
        assert failed.message
        assert "{" not in failed.message


def test_a_report_without_a_record() -> None:
    failed = error_for([["plan", "1"]], Report(-1, errno.ENOMEM, 0, -1, "fork", ""))
    assert failed.message == "cannot start the container: cannot allocate memory"


@pytest.mark.parametrize(
    ("call", "text", "message"),
    [
        ("monitor", "", "the container's monitor was killed, and the container with it"),
        ("write", "standard output", "cannot write standard output: broken pipe"),
    ],
)
def test_what_the_attach_client_met_after_the_launch(call: str, text: str, message: str) -> None:
    report = Report(-1, errno.EPIPE, 0, -1, call, text)
    assert is_of_client(report)
    assert error_for([["plan", "1"]], report).message == message
    assert not is_of_client(Report(0, errno.EPIPE, 0, -1, call, text))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (["mount", "proc", "proc", "/proc", "", ""], 'cannot mount proc on "/proc"'),
        (["bind", "/sys", "/sys", "rec"], 'cannot bind mount "/sys" on "/sys"'),
    ],
)
def test_proc_on_a_link(record: list[str], message: str) -> None:
    error = told(record, errno.ELOOP, call="openat2", word=3 if record[0] == "mount" else 2)
    assert error.message == (
        f"{message}: it must be mounted on ordinary directory, and this is a symbolic link"
    )
