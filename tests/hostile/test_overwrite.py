"""A container can write none of our programs, through whichever process of ours it can see."""

from __future__ import annotations

import subprocess
import time

import pytest

from hostile.conftest import NO_NETWORK

pytestmark = pytest.mark.usefixtures("untouched")

SCRIPTS = ["/proc/self/exe", "/script"]


@pytest.fixture
def self_exe(hostile_bundle):
    """A bundle whose command is our own program, or a script that has it as interpreter."""
    hostile_bundle.put("rootfs/script", "#!/proc/self/exe\n", 0o755)
    return hostile_bundle


@pytest.mark.parametrize("command", SCRIPTS)
def test_entrypoint_that_is_our_own_program(self_exe, command):
    self_exe.process(args=[command])
    got = self_exe.run()
    assert got.status != 0


@pytest.mark.parametrize("command", SCRIPTS)
def test_exec_of_our_own_program(self_exe, command):
    self_exe.args("sleep", "100").started()
    assert self_exe.runtime("exec", self_exe.id, command).status != 0


def test_libraries_of_the_image_are_not_loaded_by_our_program(self_exe):
    """LD_PRELOAD in the container's environment, with /proc/self/exe as its command."""
    self_exe.process(args=["/proc/self/exe"], env=["LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/"])
    got = self_exe.run()
    assert got.status != 0
    assert "evil" not in got.err


@pytest.mark.parametrize("command", SCRIPTS)
@pytest.mark.parametrize("init", [(), ("--init",)])
def test_rcrun_with_our_own_program_as_entrypoint(rcrun, make_image, command, init):
    from hostile.conftest import layer

    script = layer(("script", b"0", b"#!/proc/self/exe\n"))
    make_image("selfexe", {"Entrypoint": [command]}, [script])
    got = rcrun("run", "--rm", *NO_NETWORK, *init, "selfexe")
    assert got.status != 0


@pytest.mark.parametrize("init", [(), ("--init",)])
def test_program_of_init_and_of_exec(rcrun, attack, init):
    """All the while processes are exec'ed into the container, one in it holds and writes what it can."""
    hunter = rcrun.popen(
        "run", "--rm", "--name", "hunter", *init, *NO_NETWORK, *attack, "busybox",
        "/attack", "hunt", "1",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with hunter:
        assert hunter.stdout.readline() == b"ready\n"
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            rcrun("exec", "hunter", "/proc/self/exe")
            rcrun("exec", "hunter", "true")
        said = hunter.stdout.read().decode()
    # Files of the container's own image may be written.
    assert [line for line in said.splitlines() if "memfd" in line or "shim" in line] == []
    assert said.endswith("over\n")


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_program_of_a_created_container(hostile_bundle, new_bundle, attack_program):
    """Another container in the same pid namespace looks at an init that waits for its start."""
    hostile_bundle.args("sleep", "100").started()
    pid = hostile_bundle.state()["pid"]
    second = new_bundle()
    second.config = hostile_bundle.config | {"process": {**second.config["process"]}}
    second.config["linux"] = {
        "namespaces": [
            *(one for one in second.config["linux"]["namespaces"] if one["type"] != "pid"),
            {"type": "pid", "path": f"/proc/{pid}/ns/pid"},
        ]
    }
    second.args("true")
    assert second.create().status == 0, second.said()
    got = hostile_bundle.runtime(
        "exec", hostile_bundle.id, "/attack", "overwrite", *(f"/proc/{n}/exe" for n in range(1, 8))
    )
    assert "done" not in got.out
    second.runtime("start", second.id).check()


@pytest.mark.parametrize("init", [(), ("--init",)])
def test_nobody_looks_into_a_process_that_enters(rcrun, attack, secret, init):
    """Until it has become the command its descriptors, its root and its directory are closed to the container."""
    watcher = rcrun.popen(
        "run", "--rm", "--name", "watcher", *init, *NO_NETWORK, *attack, "busybox",
        "/attack", "watch", "0.8", str(secret).lstrip("/"),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with watcher:
        assert watcher.stdout.readline() == b"ready\n"
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            rcrun("exec", "watcher", "true")
        assert watcher.stdout.read() == b"over\n"
