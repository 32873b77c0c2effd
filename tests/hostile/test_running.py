"""A container that runs changes what our next command would look at: it is never followed and never blocks."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time

import pytest

from hostile.conftest import MIGHTY, NO_NETWORK

SLEEP = ("busybox", "sleep", "100")
# Each is run by the container's root before the next commands come.
TRAPS = {
    "proc-tmpfs": "/attack mount none /proc tmpfs 0",
    "proc-fifo": "/attack mount none /proc tmpfs 0; mkdir -p /proc/self/fd /proc/1;"
    " /attack mkfifo /proc/self/setgroups /proc/self/status /proc/self/attr /proc/self/exe"
    " /proc/self/oom_score_adj /proc/sys /proc/self/cgroup",
    "proc-link": "/attack mount none /proc tmpfs 0; ln -s / /proc/self; mkdir -p /proc/1",
    "proc-umount": "umount -l /proc; rmdir /proc; mkfifo /proc",
    "pts-tmpfs": "/attack mount none /dev/pts tmpfs 0; mkfifo /dev/pts/ptmx",
    "pts-link": "/attack mount none /dev/pts tmpfs 0; ln -s /dev/null /dev/pts/ptmx",
    "pts-host": "/attack mount none /dev/pts tmpfs 0; ln -s /proc/1/root/dev/pts/ptmx /dev/pts/ptmx",
    "pts-file": "/attack mount none /dev/pts tmpfs 0; echo x > /dev/pts/ptmx",
    "ptmx-fifo": "rm -f /dev/ptmx; mkfifo /dev/ptmx",
    "console-link": "rm -f /dev/console; ln -s /etc/passwd /dev/console",
    "passwd-fifo": "rm /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group",
    "passwd-link": "rm /etc/passwd; ln -s /../../../../../../etc/passwd /etc/passwd",
    "passwd-loop": "rm /etc/passwd; ln -s passwd /etc/passwd",
    "passwd-directory": "rm /etc/passwd; mkdir /etc/passwd",
    "passwd-device": "rm /etc/passwd; mknod /etc/passwd c 1 5 || mount --bind /dev/zero /etc/passwd",
    "passwd-huge": "rm /etc/passwd; dd if=/dev/zero of=/etc/passwd bs=1M seek=4000 count=0 2>/dev/null",
    "passwd-garbage": "head -c 100000 /dev/urandom > /etc/passwd",
    "etc-link": "umount /etc/*; mv /etc /e; ln -s /proc/1/root/etc /etc",
    "etc-fifo": "umount /etc/*; mv /etc /e; mkfifo /etc",
    "root-moved": "mkdir /n; /attack mount none /n tmpfs 0; mkdir -p /n/o /n/proc",
    "bin-gone": "mv /bin /gone",
    "cwd-gone": "mkdir -p /w/x; cd /w/x; rm -rf /w",
}  # fmt: skip


@pytest.fixture
def trap(rcrun, attack):
    def make(name):
        rcrun("run", "-d", "--name", "web", *MIGHTY, *NO_NETWORK, *attack, *SLEEP).check()
        rcrun("exec", "web", "sh", "-c", TRAPS[name])
        return rcrun

    return make


def on_a_terminal(rcrun, *words, seconds=60):
    """What a command writes to a terminal of ours, and its status."""
    master, slave = pty.openpty()
    process = rcrun.popen(*words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    said = b""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            said += data
        return process.wait(max(0.1, until - time.monotonic())), said.decode("utf-8", "replace")
    finally:
        os.close(master)
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", TRAPS)
def test_trap(trap, name):
    rcrun = trap(name)
    account = rcrun.account
    host_only = account.name if account.name != "root" else "daemon"
    results = [
        rcrun("exec", "web", "true", timeout=60),
        rcrun("exec", "-u", "1000", "web", "true", timeout=60),
        rcrun("exec", "-u", "guest", "web", "true", timeout=60),
        rcrun("exec", "-u", host_only, "-w", "/proc/self/cwd", "web", "true", timeout=60),
        rcrun("logs", "web", timeout=60),
        rcrun("inspect", "web", timeout=60),
        rcrun("top", "web", timeout=60),
        rcrun("ps", "-a", "-s", timeout=60),
    ]
    assert results[3].status != 0, "a user of the host alone"
    results[5].check()
    results[7].check()
    status, said = on_a_terminal(rcrun, "exec", "-it", "-u", "root", "web", "true")
    for text in [result.err for result in results] + [said]:
        assert "bug" not in text
        assert "Traceback" not in text
    assert status in (0, 1, 125, 126, 127)
    rcrun("stop", "-t", "0", "web", timeout=60).check()
    for words in (("start", "web"), ("start", "-a", "web"), ("logs", "web")):
        got = rcrun(*words, timeout=60) if "-a" not in words else rcrun("stop", "-t", "0", "web")
        assert "bug" not in got.err
    assert "bug" not in rcrun("rm", "-f", "web").check().err


def test_terminal_of_exec_is_the_container_s_own(trap):
    """A ptmx that is a link to somewhere gives no terminal, and a word about it."""
    rcrun = trap("pts-link")
    status, said = on_a_terminal(rcrun, "exec", "-it", "web", "tty")
    assert status != 0
    assert "terminal" in said or "console" in said


def test_single_id_exec_meets_a_fifo(single_rcrun, attack_program):
    """Where setgroups is denied for good its file tells so: a fifo in its place must not hold us up."""
    account = single_rcrun.account
    path = account.new_dir("attack") / "attack"
    path.write_bytes(attack_program.read_bytes())
    path.chmod(0o755)
    single_rcrun(
        "run", "-d", "--name", "web", *MIGHTY, *NO_NETWORK, "-v", f"{path}:/attack:ro", *SLEEP
    ).check()
    single_rcrun("exec", "web", "sh", "-c", TRAPS["proc-fifo"]).check()
    got = single_rcrun("exec", "web", "true", timeout=60)
    assert "bug" not in got.err


# ---- /proc that is none


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "none", "sub"])
def test_sysctls_and_labels_go_to_procfs_or_nowhere(hostile_bundle, kind):
    """A configuration with something else at /proc, where a write would reach a file of somebody's choice."""
    bundle = hostile_bundle
    fake = bundle.make_dir("fake")
    target = bundle.put("fake/sys/net/ipv4/ip_forward", "untouched")
    bundle.put("fake/self/attr/exec", "untouched")
    bundle.put("fake/self/oom_score_adj", "untouched")
    bundle.config["mounts"] = bundle.config["mounts"][1:]
    if kind == "tmpfs":
        bundle.mount("/proc", "tmpfs", "tmpfs")
    elif kind == "bind":
        bundle.mount("/proc", "bind", str(fake), "rbind")
    elif kind == "sub":
        bundle.mount("/proc", "proc", "proc")
        bundle.mount("/proc/sys", "bind", str(fake / "sys"), "rbind")
    bundle.linux(sysctl={"net.ipv4.ip_forward": "1"})
    bundle.process(oomScoreAdj=500)
    got = bundle.args("true").run()
    assert got.status != 0
    assert target.read_text() == "untouched"
    assert (fake / "self/oom_score_adj").read_text() == "untouched"


def test_sysctl_paths(hostile_bundle):
    for key in (
        "../../tmp/x",
        "net/../../x",
        "net.ipv4.../../x",
        "kernel.core_pattern",
        "",
        "net.",
    ):
        hostile_bundle.linux(sysctl={key: "1"})
        assert hostile_bundle.args("true").run().status != 0, key


def test_oom_score_of_exec_meets_another_proc(hostile_bundle):
    hostile_bundle.config["process"]["capabilities"] = {
        name: ["CAP_SYS_ADMIN"] for name in ("bounding", "effective", "permitted")
    }
    hostile_bundle.make_dir("rootfs/proc")
    hostile_bundle.args("sleep", "100").started()
    hostile_bundle.runtime(
        "exec", hostile_bundle.id, "/attack", "mount", "none", "/proc", "tmpfs", "0"
    ).check()
    document = {**hostile_bundle.config["process"], "args": ["/init", "true"], "oomScoreAdj": 700}
    path = hostile_bundle.put("process.json", json.dumps(document))
    got = hostile_bundle.runtime("exec", "-p", str(path), hostile_bundle.id)
    assert got.status != 0
    assert "OOM" in got.err


# ---- terminals


def test_no_input_is_pushed_into_the_users_terminal(rcrun, attack):
    """TIOCSTI: the container has a terminal of its own, or none that controls it."""
    for options in (("-it",), ("-i",), ()):
        status, said = on_a_terminal(
            rcrun, "run", "--rm", *options, *NO_NETWORK, *attack, "busybox",
            "/attack", "tiocsti", "/dev/tty", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2",
        )  # fmt: skip
        assert status in (0, 1), said
        if "-it" not in options:
            assert "TIOCSTI: done" not in said, options


def test_oci_streams_that_are_the_users_terminal(hostile_bundle):
    """`rcrun-oci run` passes the caller's streams on: it controls no process of the container."""
    bundle = hostile_bundle
    bundle.process(args=["/attack", "tiocsti", "/proc/self/fd/0", "/dev/tty"])
    bundle.write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    got = bundle.account.run("script", "-qec", " ".join(words), "/dev/null")
    assert "TIOCSTI: done" not in got.out
    assert "TIOCSCTTY: done" not in got.out


# ---- garbage


def test_garbage_on_every_stream(rcrun, attack):
    script = "/attack garbage 3000000; /attack garbage 3000000 >&2; printf '\\033c\\000\\377'"
    got = rcrun("run", "--name", "web", *NO_NETWORK, *attack, "busybox", "sh", "-c", script).check()
    assert len(got.stdout) >= 3_000_000
    logged = rcrun("logs", "web").check()
    assert logged.stdout == got.stdout
    assert logged.stderr == got.stderr
    assert "bug" not in rcrun("inspect", "web").check().err


def test_names_of_processes_with_control_characters(rcrun):
    """`top` is a table."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *SLEEP).check()
    rcrun("exec", "-d", "web", "sh", "-c", "sleep 100; : '\x1b]0;owned\x07\x1b[2J\x9b2J'").check()
    got = rcrun("top", "web").check()
    assert "owned" in got.out
    assert not set("\x1b\x07\x9b") & set(got.out)


def test_a_stopped_or_traced_init_blocks_nobody(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *SLEEP).check()
    rcrun("kill", "-s", "STOP", "web").check()
    for words in (
        ("ps",),
        ("inspect", "web"),
        ("exec", "web", "true"),
        ("logs", "web"),
        ("top", "web"),
    ):
        rcrun(*words, timeout=60).check()
    assert rcrun("rm", "-f", "web", timeout=60).check().out == "web\n"


def test_init_that_ignores_everything(rcrun):
    script = "for s in $(seq 1 64); do trap '' $s 2>/dev/null; done; echo ready; while :; do sleep 1; done"
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    begun = time.monotonic()
    rcrun("stop", "-t", "1", "web").check()
    assert time.monotonic() - begun < 60


def test_fork_bomb_of_short_lives_is_gone_after_rm(rcrun):
    script = "i=0; while [ $i -lt 30 ]; do (trap '' TERM HUP; sleep 300) & i=$((i+1)); done; wait"
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", script).check()
    time.sleep(0.2)
    assert rcrun("rm", "-f", "web", timeout=60).check().out == "web\n"
    got = subprocess.run(
        ["pgrep", "-u", str(rcrun.account.uid), "-f", "^sleep 300$"],
        check=False,
        capture_output=True,
    )
    assert got.stdout == b""
