"""Files of Quadlet with a systemd that runs: units made without root and by the generator, started, seen, stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from accounts import bin_dir, user_bus

pytestmark = [
    pytest.mark.requires("systemd", "userns", "overlay", "subids"),
    pytest.mark.parametrize("delegated_account", ["systemd"], indirect=True),
]
FILES = {
    "job.container": "[Container]\nImage=busybox\nNetwork=none\nVolume=data.volume:/data\nEnvironment='A=b c'\n"
    'Exec=sh -c "echo \\"$$A\\" from %n >/data/said"\n[Service]\nType=oneshot\nRemainAfterExit=yes\n'
    "[Install]\nWantedBy=default.target\n",
    "data.volume": "[Volume]\nUser=root\nGroup=root\nLabel=a=b\n",
    "t@.container": "[Container]\nImage=busybox\nNetwork=none\nVolume=data.volume:/data\n"
    "Exec=touch /data/%i\n[Service]\nType=oneshot\n",
    "bad.container": "[Container]\nImage=busybox\nNetwrk=none\n",
}
LOOP = ("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")


class User:
    """rcrun and systemctl of one user, as typed in a login."""

    def __init__(self, account, rcrun):
        self.account, self.rcrun = account, rcrun
        self.runtime = user_bus(account.uid).parent
        self.folder = account.new_dir("quadlets")
        runroot = rcrun("info", "--format", "{{.Store.RunRoot}}").out.strip()
        self.env = {
            "XDG_RUNTIME_DIR": str(self.runtime), "RCRUN_RUNROOT": runroot, "XDG_CONFIG_HOME": str(self.folder),
        }  # fmt: skip

    def __call__(self, *words):
        return self.rcrun(*words, env=self.env, cwd=self.folder)

    def systemctl(self, *words):
        return self.account.run("systemctl", "--user", *words)

    def state(self, unit):
        return self.systemctl("show", "-P", "ActiveState", unit).out.strip()

    def story(self, unit):
        """What systemd tells of it, for a failure."""
        command = [
            "journalctl",
            "-q",
            "-o",
            "short-monotonic",
            f"USER_UNIT={unit}.service",
            "+",
            f"_SYSTEMD_USER_UNIT={unit}.service",
        ]
        journal = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return self.systemctl("show", unit).out + journal

    def said(self, unit):
        subprocess.run(["journalctl", "--sync"], check=True)
        command = ["journalctl", "-q", "-o", "cat", f"_SYSTEMD_USER_UNIT={unit}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def volume(self, name):
        mountpoint = self("volume", "inspect", "-f", "{{.Mountpoint}}", name).check().out.strip()
        return Path(mountpoint)

    def clean(self):
        self.systemctl("stop", "job", "data-volume", "t@7", "container-web", "web", "app")
        self.systemctl("reset-failed")
        self.systemctl("stop", "site-pod", "server")
        self("pod", "rm", "-f", "-a", "-t", "0")
        self("rm", "-f", "-a")
        self("volume", "rm", "-f", "systemd-data")
        shutil.rmtree(self.runtime / "systemd/user", ignore_errors=True)
        self.systemctl("daemon-reload")


@pytest.fixture
def user(delegated_account, shared_stores):
    made = User(delegated_account, shared_stores(delegated_account))
    yield made
    made.clean()


def test_without_a_generator(user):
    app = user.account.new_dir("of") / "app"
    app.mkdir()
    app.chmod(0o755)
    for name, text in FILES.items():
        (app / name).write_text(text)
    done = user("quadlet", "install", str(app)).check()
    assert sorted(done.out.split()) == sorted(f"{user.folder}/containers/systemd/{name}" for name in FILES)  # fmt: skip
    assert 'bad.container: there is no key "Netwrk" in [Container]: is it "Network"?' in done.err
    user.systemctl("start", "job.service", "t@7.service").check()
    assert (user.volume("systemd-data") / "said").read_text() == "b c from job.service\n"
    assert (user.volume("systemd-data") / "7").exists()
    assert (user.state("job"), user.state("data-volume"), user.state("t@7")) == ("active", "active", "inactive")  # fmt: skip
    listed = user("quadlet", "list", "--format", "{{.Name}} {{.UnitName}} {{.App}} {{.Status}}").out
    assert "job.container job.service app active/exited" in listed.split("\n")
    assert user.systemctl("start", "bad").status != 0
    assert 'there is no key "Netwrk"' in user.systemctl("status", "bad").out
    # what [Install] says is enabled, and is started by the unit that makes the units at a login
    user.systemctl("stop", "job").check()
    user("quadlet", "reload", "--start").check()
    wait_for(lambda: user.state("job") == "active")

    got = user("quadlet", "rm", "job.container")
    assert (got.status, "stop it, or: rcrun quadlet rm --force job.container" in got.err) == (1, True)  # fmt: skip
    user("quadlet", "rm", "--force", "app").check()
    assert "could not be found" in user.systemctl("status", "job").err


def wait_for(fact, seconds=60.0):
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.05)


def test_generators(user):
    """Root installs them: systemd runs them at each reload, for the host and for each user."""

    def root(*words):
        return subprocess.run([bin_dir() / "rcrun", *words], check=True, capture_output=True, text=True).stdout  # fmt: skip

    theirs = user.runtime / "containers/systemd"
    ours = Path("/run/containers/systemd")
    store = user.account.new_dir("roots-store")
    text = "[Container]\nRootfs=/\nNetwork=none\nPodmanArgs=--read-only\nGlobalArgs=--root {}\nExec=true\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"  # fmt: skip
    folders = []
    try:
        root("setup", "quadlet", "--force")
        for folder, root_dir in ((theirs, user.rcrun.store_dir), (ours, store)):
            folders.append(folder)
            user.account.prepare("mkdir", "-p", str(folder))
            (folder / "one.container").write_text(text.format(root_dir))
        (ours / "one.container").write_text("[Container]\nImage=none.image\n")
        user.systemctl("daemon-reload").check()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        user.systemctl("cat", "one.service").check()
        assert user.systemctl("show", "-P", "SourcePath", "one").out.strip() == f"{theirs}/one.container"  # fmt: skip
        refused = subprocess.run(["systemctl", "start", "one"], capture_output=True, check=False)
        assert refused.returncode != 0
        subprocess.run(["journalctl", "--sync"], check=True)
        log = subprocess.run(["journalctl", "-q", "-o", "cat", "-u", "one"], capture_output=True, text=True, check=True)  # fmt: skip
        assert 'there is no file "none.image"' in log.stdout
        kernel = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
        assert 'one.container: there is no file "none.image"' in kernel
    finally:
        root("setup", "quadlet", "--remove")
        for folder in folders:
            shutil.rmtree(folder)
        user.systemctl("daemon-reload")
        subprocess.run(["systemctl", "reset-failed", "one"], check=False, capture_output=True)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert not os.path.lexists("/etc/systemd/user-generators/rcrun-systemd-generator")


def test_generated_units(user):
    """`generate systemd`: systemd sees the container's end and its exit code."""
    user("create", "--name", "web", "--network", "none", "busybox", *LOOP).check()
    user.env["XDG_CONFIG_HOME"] = str(user.runtime)
    units = user.runtime / "systemd/user"
    user.account.prepare("mkdir", "-p", str(units))
    os.chown(units, user.account.uid, user.account.gid)
    got = user.rcrun("generate", "systemd", "--files", "--name", "-t", "5", "--restart-policy", "no", "--format", "json",
                     "web", env=user.env, cwd=units).check()  # fmt: skip
    assert json.loads(got.out) == {"container-web": f"{units}/container-web.service"}
    user.systemctl("daemon-reload").check()
    user.systemctl("start", "container-web").check()
    wait_for(lambda: user("ps", "--format", "{{.Names}}").out == "web\n")
    assert user.state("container-web") == "active"
    user("stop", "web").check()
    wait_for(lambda: user.state("container-web") != "active")
    assert user.systemctl("show", "-P", "ExecMainStatus", "container-web").out == "3\n"


@pytest.mark.parametrize("way", ["--new", "--name"])
def test_generated_units_of_a_pod(user, way):
    """The pod's unit starts those of its containers, and they go down with it."""
    user("pod", "create", "--network", "none", "box").check()
    user("create", "--pod", "box", "--name", "web", "--stop-signal", "KILL", "busybox", "sleep", "1000").check()  # fmt: skip
    user.env["XDG_CONFIG_HOME"] = str(user.runtime)
    units = user.runtime / "systemd/user"
    user.account.prepare("mkdir", "-p", str(units))
    os.chown(units, user.account.uid, user.account.gid)
    user.rcrun("generate", "systemd", "--files", "--name", way, "box", env=user.env, cwd=units).check()  # fmt: skip
    if way == "--new":
        user("pod", "rm", "-f", "box").check()
    user.systemctl("daemon-reload").check()
    user.systemctl("start", "pod-box").check()
    wait_for(lambda: user("ps", "--format", "{{.Names}}").out.split()[:1] == ["web"])
    wait_for(lambda: user.state("container-web") == "active")
    assert user.state("pod-box") == "active"
    user.systemctl("stop", "pod-box").check()
    wait_for(lambda: user.state("container-web") != "active")
    wait_for(lambda: not user("ps", "-q").out)
    assert user("pod", "exists", "box").status == (1 if way == "--new" else 0)
    user("pod", "rm", "-f", "--ignore", "box").check()


SERVICES = {
    "web.container": "[Container]\nImage=busybox\nNetwork=none\nStopTimeout=2\nMemory=20m\nReloadCmd=sh -c \"echo again >/proc/1/fd/1\"\n"
    "Exec=sh -c 'trap \"exit 0\" TERM; echo up; while :; do sleep 0.05; done'\n[Service]\nRestart=always\nRestartSec=0\n",
    "app.container": "[Container]\nImage=localhost/app\nNetwork=none\nNotify=healthy\nHealthCmd=test -e /good\n"
    "HealthInterval=300ms\nHealthRetries=3\nHealthOnFailure=kill\nAutoUpdate=local\nExec=sleep 1000\nStopTimeout=0\n",
}  # fmt: skip


def test_services(user):
    """A container that systemd watches, reloads, limits and restarts; one that is not updated to what is sick."""

    def make(files, label):
        user("run", "--name", "base", "--network", "none", "busybox", "touch", *files).check()
        user("commit", "-q", "-c", f"LABEL number={label}", "base", "localhost/app").check()
        user("rm", "base").check()

    make(["/good"], "1")
    for name, text in SERVICES.items():
        (user.folder / name).write_text(text)
        user("quadlet", "install", "--reload-systemd=false", name).check()
    user("quadlet", "reload").check()
    user.systemctl("start", "web", "app").check()
    user.systemctl("reload", "web").check()
    group = user.systemctl("show", "-P", "ControlGroup", "web").out.strip()
    [limit] = Path(f"/sys/fs/cgroup{group}").glob("*.scope/memory.max")
    assert limit.read_text() == f"{20 << 20}\n"
    monitor = user("inspect", "-f", "{{.State.ConmonPid}}", "systemd-web").check().out
    assert user.systemctl("show", "-P", "MainPID", "web").out == monitor
    said = user.said("web.service").splitlines()  # and the id that run -d prints
    assert [line for line in said if len(line) < 64] == ["up", "again"]
    user("kill", "systemd-web").check()
    wait_for(lambda: user.systemctl("show", "-P", "NRestarts", "web").out == "1\n")
    wait_for(lambda: user.state("web") == "active")
    wait_for(lambda: user.said("web.service").splitlines().count("up") == 2)  # the trap is set
    user.systemctl("stop", "web").check()
    assert user.systemctl("show", "-P", "Result", "web").out == "success\n", user.story("web")
    assert user("ps", "-a", "--format", "{{.Names}}").out == "systemd-app\n"

    make(["/sick"], "2")
    done = user("auto-update", "--format", "{{.ContainerName}} {{.Updated}}")
    assert (done.status, done.out.split("\n")[0]) == (1, "systemd-app rolled back")
    assert user("ps", "--format", '{{.Names}} {{.Label "number"}}').out == "systemd-app 1\n"
    user("rmi", "-f", "localhost/app")


KUBE = """
kind: Pod
metadata: {name: box}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  containers:
  - {name: one, image: busybox, imagePullPolicy: Never, command: [sh, -c, LOOP, "0"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: two, image: busybox, imagePullPolicy: Never, command: [sh, -c, LOOP, "3"], volumeMounts: [{name: v, mountPath: /v}]}
  volumes: [{name: v, hostPath: {path: ./shared, type: DirectoryOrCreate}}]
"""


def test_a_pod_of_kubernetes(user):
    """The service is there as long as the pod, hears how it ended, and takes it down."""
    loop = "trap 'exit 7' TERM; echo $0 runs; until [ -e /v/end ]; do sleep 0.05; done; exit $0"
    folder = user.account.new_dir("kube")
    (folder / "pod.yaml").write_text(KUBE.replace("LOOP", json.dumps(loop)))
    (folder / "box.kube").write_text(
        f"[Kube]\nYaml={folder}/pod.yaml\nNetwork=none\nExitCodePropagation=any\nSetWorkingDirectory=yaml\n"
    )
    user("quadlet", "install", str(folder / "box.kube")).check()
    try:
        user.systemctl("start", "box").check()
        wait_for(lambda: all(f"{code} runs" in user.said("box.service") for code in (0, 3)), 60)
        assert user.state("box") == "active"
        assert user("pod", "ps", "--format", "{{.Name}} {{.Status}}").out == "box Running\n"
        group = user.systemctl("show", "-P", "ControlGroup", "box").out.strip()
        pid = user("inspect", "-f", "{{.State.Pid}}", "box-one").out.strip()
        assert f"{group}/" in Path(f"/proc/{pid}/cgroup").read_text()
        (folder / "shared/end").write_text("")
        wait_for(lambda: user.state("box") == "failed", 60)
        assert user.systemctl("show", "-P", "ExecMainStatus", "box").out == "3\n"
        assert user("pod", "ps", "-q").out == ""
        (folder / "shared/end").unlink()
        user.systemctl("start", "box").check()
        wait_for(lambda: all(user.said("box.service").count(f"{n} runs") == 2 for n in (0, 3)))
        user.systemctl("stop", "box").check()
        assert user.state("box") == "inactive", user.systemctl("status", "box").out
        assert user("pod", "ps", "-q").out + user("ps", "-aq").out == ""
    finally:
        user.systemctl("stop", "box")
        user("pod", "rm", "-f", "-a")


POD = {
    "site.pod": "[Pod]\nPodName=site\nNetwork=none\nExitPolicy=continue\nStopTimeout=1\nPodmanArgs=--label a=b\n",
    "server.container": "[Container]\nImage=busybox\nPod=site.pod\nStopTimeout=0\nExec=sh -c 'hostname >/dev/shm/said; exec sleep 1000'\n",
    "later.container": "[Container]\nImage=busybox\nPod=site.pod\nStartWithPod=no\nExec=sh -c 'until grep . /dev/shm/said; do sleep 0.05; done'\n[Service]\nType=oneshot\n",
}  # fmt: skip


def test_a_pod(user):
    """Its unit is up as long as the infra container, and starts the container that belongs to it; both go down together."""
    for name, text in POD.items():
        (user.folder / name).write_text(text)
    user("quadlet", "install", *POD).check()
    user.systemctl("start", "site-pod").check()
    wait_for(lambda: user.state("server") == "active")
    listed = user("ps", "--pod", "--format", "{{.Names}} {{.PodName}}").check().out.split("\n")
    assert sorted(listed[:-1]) == ["site-infra site", "systemd-server site"]
    monitor = user("inspect", "-f", "{{.State.ConmonPid}}", "site-infra").check().out
    assert user.systemctl("show", "-P", "MainPID", "site-pod").out == monitor
    user.systemctl("start", "later").check()
    wait_for(lambda: "site" in user.said("later.service"))
    user.systemctl("stop", "site-pod").check()
    wait_for(lambda: user.state("server") in ("inactive", "failed"))  # it is killed at once
    assert user.systemctl("show", "-P", "Result", "site-pod").out == "success\n"
    wait_for(lambda: user("pod", "ps", "-q").out + user("ps", "-aq").out == "")
    user.systemctl("start", "site-pod").check()
    wait_for(lambda: user.state("server") == "active")
    user("kill", "site-infra").check()  # then systemd makes the pod anew
    wait_for(lambda: user.systemctl("show", "-P", "NRestarts", "site-pod").out != "0\n")
    wait_for(lambda: user.state("site-pod") == "active")


def test_limits_of_a_pod(user):
    """A slice of systemd holds all of its containers."""
    user("pod", "create", "--network", "none", "--memory", "60m", "--cpus", "0.5", "box").check()
    user("run", "-d", "--pod", "box", "--name", "one", "--stop-signal", "KILL", "busybox", "sleep", "1000").check()  # fmt: skip
    group = Path(user("pod", "inspect", "-f", "{{.CgroupPath}}", "box").check().out.strip())
    assert (group / "memory.max").read_text() == f"{60 << 20}\n"
    assert (group / "cpu.max").read_text().split()[0] == "50000"
    pid = user("inspect", "-f", "{{.State.Pid}}", "one").check().out.strip()
    assert str(group).removeprefix("/sys/fs/cgroup") in Path(f"/proc/{pid}/cgroup").read_text()
    user("pod", "rm", "-f", "-t", "0", "box").check()
    wait_for(lambda: not group.exists())
