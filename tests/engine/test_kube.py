"""`kube play`, `kube down` and `kube generate`: pods of documents, what they see, and that nothing is left."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

IMAGE = "image: busybox, imagePullPolicy: Never"
OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: colours}
data: {sky: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, labels: {a: b}}
---
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {tier: front}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  hostname: front
  initContainers:
  - name: setup
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c, "echo made by $(WHO) > /data/x; echo kept > /disk/y"]
    env: [{name: WHO, value: setup}]
    volumeMounts: [{name: scratch, mountPath: /data}, {name: disk, mountPath: /disk}]
  containers:
  - name: main
    image: busybox
    imagePullPolicy: Never
    command: [sh, -c]
    args: ["cat /data/x /config/sky /key/password /disk/y; echo $(POD) $(PASSWORD) $sky $(hostname) $(id -u); exec sleep 1000"]
    env:
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
    envFrom: [{configMapRef: {name: colours}}]
    securityContext: {runAsUser: 1000, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
    volumeMounts:
    - {name: scratch, mountPath: /data, readOnly: true}
    - {name: config, mountPath: /config}
    - {name: key, mountPath: /key}
    - {name: disk, mountPath: /disk}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 600}
  - name: side
    image: busybox
    imagePullPolicy: Never
    command: [httpd, -f, -p, "80", -h, /data]
    volumeMounts: [{name: scratch, mountPath: /data}]
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: config, configMap: {name: colours}}
  - {name: key, secret: {secretName: login}}
  - {name: disk, persistentVolumeClaim: {claimName: disk}}
"""


class Kube:
    """rcrun with documents in files of a folder, and without network where nothing else is said."""

    def __init__(self, rcrun: Any, folder: Path) -> None:
        self.rcrun, self.folder = rcrun, folder

    def __call__(self, *words: str, **more: Any) -> Any:
        return self.rcrun(*words, cwd=self.folder, **more)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def play(self, name: str, *words: str) -> Any:
        return self("kube", "play", "--network", "none", *words, name)

    def left(self) -> list[str]:
        lists = (("pod", "ps", "-q"), ("ps", "-aq"), ("volume", "ls", "-q"), ("secret", "ls", "-q"))
        return [line for words in lists for line in self(*words).check().out.split()]


@pytest.fixture
def kube(rcrun: Any) -> Any:
    made = Kube(rcrun, rcrun.account.new_dir("kube"))
    clean(made)
    yield made
    clean(made)


def clean(kube: Kube) -> None:
    kube("pod", "rm", "-f", "-a", "-t", "0")
    kube("rm", "-f", "-a")
    kube("volume", "prune", "-f", "-a")
    for name in kube("secret", "ls", "-q").out.split():
        kube("secret", "rm", name)


def until(fact: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)
    return found


def test_all_of_it(kube: Any) -> None:
    file = kube.write("web.yaml", OBJECTS + POD)
    lines = kube.play(file).check().out.split("\n")
    assert [lines[0], lines[1], lines[2], lines[4], lines[6]] == ["Volumes:", "disk", "Secrets:", "Pod:", "Containers:"]  # fmt: skip
    said = until(
        lambda: kube("logs", "web-main").out if "1000" in kube("logs", "web-main").out else ""
    )
    assert said == "made by setup\nbluehunterkept\nweb hunter blue front 1000\n"
    asked = ("exec", "web-main", "wget", "-q", "-O", "-", "http://localhost/x")
    until(lambda: kube(*asked).out == "made by setup\n")
    assert kube("exec", "web-main", "touch", "/x").status != 0
    shown = json.loads(kube("inspect", "web-main").out)[0]
    assert shown["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]
    assert shown["Config"]["Labels"]["tier"] == "front"
    assert kube("ps", "-a", "--format", "{{.Names}}").out.count("web-setup") == 0  # it ran once

    # the same again is refused, and leaves what is there
    before = kube.left()
    again = kube.play(file)
    assert (again.status, 'the pod name "web" is already in use' in again.err) == (125, True)
    assert kube.left()[:4] == before[:4]

    # what is written of it is the same pod again
    text = kube("kube", "generate", "web").check().out
    kube("kube", "down", file).check()
    assert kube("volume", "ls", "-q").out.split() == ["colours", "disk", "login"]
    assert kube("secret", "ls", "-q").out == ""
    kube.play(kube.write("again.yaml", text), "--start=false").check()
    other = kube("generate", "kube", "web").check().out
    assert without_time(other) == without_time(text)
    for words in (("securityContext:", "drop:"), ("readOnlyRootFilesystem: true",), ("hostname: front",), ("emptyDir: {}",)):  # fmt: skip
        assert all(word in text for word in words), text
    kube("kube", "down", "--force", "again.yaml").check()
    assert kube.left() == []


def without_time(text: str) -> list[str]:
    return [line for line in text.split("\n") if "creationTimestamp" not in line]


@pytest.mark.parametrize(
    ("old", "new", "status", "fault"),
    [
        ("[httpd, -f", "[nosuchprogram, -f", 127, '"nosuchprogram": executable file not found'),
        ("echo kept > /disk/y", "echo oops; exit 3", 125, 'web-setup: oops\nrcrun: error: init container "web-setup" ended with 3'),
        ("image: busybox", "image: localhost/nowhere", 125, "no such image: localhost/nowhere"),
        ("runAsUser: 1000", "runAsUser: 1000, runAsGroup: x", 125, 'Pod "web": spec.containers[0].securityContext.runAsGroup: the text "x"'),
        ("{secretName: login}", "{secretName: logout}", 125, 'spec.volumes[2].secret: there is no secret "logout"'),
    ],
)  # fmt: skip
def test_what_fails_leaves_nothing(kube: Any, old: str, new: str, status: int, fault: str) -> None:
    text = POD.replace(
        "mountPath: /config}", "mountPath: /config}\n    - {name: made, mountPath: /made}"
    )
    text += "  - {name: made, hostPath: {path: ./a/b, type: DirectoryOrCreate}}\n"
    got = kube.play(kube.write("bad.yaml", OBJECTS + text.replace(old, new, 1)))
    assert got.status == status
    assert fault in got.err
    assert kube.left() == []
    assert not (kube.folder / "a").exists()


def test_it_takes_down_what_it_made_alone(kube: Any) -> None:
    """A pod, a volume and a secret of somebody else's stay; a volume that differs is not written over."""
    kube("volume", "create", "disk").check()
    kube("pod", "create", "web").check()
    kube("kube", "down", "--force", kube.write("web.yaml", OBJECTS + POD)).check()
    assert (
        kube("volume", "ls", "-q").out + kube("pod", "ps", "--format", "{{.Name}}").out
        == "disk\nweb\n"
    )
    kube("pod", "rm", "web").check()
    kube("secret", "create", "login", "-", input="mine").check()
    refused = kube.play(kube.write("web.yaml", OBJECTS + POD))
    assert 'Secret "login": a secret of this name is there, and no play has made it' in refused.err
    kube("secret", "rm", "login").check()
    kube("volume", "create", "colours").check()
    refused = kube.play("web.yaml")
    assert 'the volume "colours" is there, and was not made of a ConfigMap' in refused.err
    kube("volume", "rm", "colours").check()
    kube("pod", "create", "--network", "none", "--name", "web").check()
    assert 'pod name "web" is already in use' in kube.play("web.yaml").err
    kube.play("web.yaml", "--replace").check()
    kube.play(kube.write("web.yaml", (OBJECTS + POD).replace("sky: blue", "sky: grey")), "--replace").check()  # fmt: skip
    until(lambda: "grey" in kube("logs", "web-main").out)
    down = kube("play", "kube", "--down", "--force", "web.yaml").check()
    assert down.out.split("Volumes removed:\n")[1].split() == ["colours", "login"]
    assert kube.left() == ["disk"]


def test_sources_and_options(kube: Any) -> None:
    """Standard input, the web, ConfigMaps of other files, kinds that make pods, and what is left out by name."""
    deployment = f"""
kind: Deployment
metadata: {{name: d}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: cc, {IMAGE}, command: [sh, -c, 'echo $A $B $(cat /proc/sys/kernel/hostname)'], env: [{{name: A, valueFrom: {{configMapKeyRef: {{name: m, key: a}}}}}}], lifecycle: {{preStop: {{}}}}}}
---
{{kind: Service, metadata: {{name: s}}}}
"""
    maps = kube.write("maps.yaml", "{kind: ConfigMap, metadata: {name: m}, data: {a: from afar}}")
    words = ("--configmap", maps, "--no-pod-prefix", "--wait", "-q")
    played = kube("kube", "play", "--network", "none", *words, "-", input=deployment).check()
    for said in ('Service "s" is left out', 'Deployment "d": spec.template.spec.containers[0].lifecycle.preStop: it is left out'):  # fmt: skip
        assert said in played.err
    assert kube.left() == []
    kube.write("d.yaml", deployment)
    with Web(kube.folder) as address:
        kube("kube", "play", "--network", "none", *words[:3], f"{address}/d.yaml").check()
        assert "cannot read" in kube("kube", "down", f"{address}/no.yaml").err
    until(lambda: kube("logs", "cc").out == "from afar d-pod\n")
    until(lambda: "Exited" in kube("pod", "ps").out)
    kube("kube", "down", "d.yaml").check()
    for words, fault in (
        (("--force", "d.yaml"), "--force goes with --down"),
        (("--wait", "--start=false", "d.yaml"), "conflicting options"),
        (("maps.yaml",), "a ConfigMap is nothing by itself"),
        (("nowhere.yaml",), 'cannot read "nowhere.yaml": no such file'),
        (("--configmap", "d.yaml", "d.yaml"), '"d.yaml" has other documents than ConfigMaps'),
    ):
        got = kube("kube", "play", *words)
        assert (got.status, fault in got.err) == (125, True), got.err
    assert kube.left() == []


class Web:
    """The files of a folder on the web."""

    def __init__(self, folder: Path) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *words: Any) -> None:
                super().__init__(*words, directory=str(folder))

            def log_message(self, *words: Any) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_generated_of_containers_and_volumes(kube: Any) -> None:
    """One pod of containers by themselves, a claim of a volume; the kinds around a pod; all can be played."""
    kube("volume", "create", "-l", "x=y", "data").check()
    kube(
        "create", "--name", "one_a", "--network", "none", "-v", "data:/data:ro", "-v", f"{kube.folder}:/host", "--tmpfs", "/t:size=1m",
        "-e", "A=$(B) c", "-u", "5:6", "-w", "/tmp", "--cap-add", "NET_ADMIN", "--security-opt", "no-new-privileges",
        "--restart", "on-failure", "--stop-timeout", "3", "-p", "127.0.0.1:18081:80", "--health-cmd", "true", "busybox", "echo", "$(A)",
    ).check()  # fmt: skip
    text = kube("kube", "generate", "one_a", "data").check().out
    for part in (
        "kind: PersistentVolumeClaim", "volume.podman.io/driver: local", "x: y", "name: onea-pod", "name: onea\n", "value: $$(B) c",
        "claimName: data", "readOnly: true", f"path: {kube.folder}", "type: Directory", "medium: Memory", "sizeLimit: '1048576'",
        "runAsUser: 5", "runAsGroup: 6", "workingDir: /tmp", "- NET_ADMIN", "allowPrivilegeEscalation: false", "- $$(A)",
        "restartPolicy: OnFailure", "terminationGracePeriodSeconds: 3", "readinessProbe:",
    ):  # fmt: skip
        assert part in text, (part, text)
    kube("rm", "one_a").check()
    kube.write("one.yaml", text)
    kube.play("one.yaml", "--start=false").check()
    shown = json.loads(kube("inspect", "onea-pod-onea").out)[0]
    assert (shown["Args"], shown["Config"]["User"], shown["HostConfig"]["RestartPolicy"]["Name"]) == (["$(A)"], "5:6", "on-failure")  # fmt: skip
    assert "A=$(B) c" in shown["Config"]["Env"]
    service = kube("kube", "generate", "-s", "-t", "job", "onea-pod").check().out
    assert [line for line in service.split("\n") if line.startswith("kind")] == ["kind: Service", "kind: Job"]  # fmt: skip
    for words, fault in (
        (("-t", "deployment", "onea-pod"), "a deployment restarts always"),
        (("-t", "cronjob", "onea-pod"), 'invalid --type "cronjob"'),
        (("-r", "2", "onea-pod"), "invalid --replicas 2"),
        (("onea-pod-onea",), 'container "onea-pod-onea" is in pod "onea-pod"'),
        (("nothing",), "there is no container, pod or volume: nothing"),
        (("-f", "one.yaml", "data"), 'cannot write "one.yaml": it exists'),
    ):
        got = kube("kube", "generate", *words)
        assert (got.status, fault in got.err) == (125, True), got.err
    kube("kube", "down", "one.yaml").check()


def test_built_where_a_folder_has_it(kube: Any) -> None:
    folder = kube.folder / "app"
    folder.mkdir(mode=0o755)
    (folder / "Containerfile").write_text("FROM busybox\nENV X=built\n")
    text = "{kind: Pod, metadata: {name: pp}, spec: {restartPolicy: Never, containers: [{name: c, image: localhost/app, command: [sh, -c, 'echo $X']}]}}"
    kube.play(kube.write("pp.yaml", text), "-q").check()
    until(lambda: kube("logs", "pp-c").out == "built\n")
    kube("kube", "down", "pp.yaml").check()
    kube("rmi", "-f", "localhost/app").check()
    assert kube.play("pp.yaml", "--build=false").status == 125


@pytest.mark.requires("subids")
def test_pods_find_each_other(kube: Any) -> None:
    """Without --network they are on one network, where a pod, and a container's own name, are names."""
    pod = "{kind: Pod, metadata: {name: NAME}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: c-NAME, IMAGE, command: [sh, -c, 'COMMAND']}]}}\n---\n"
    serving = "echo hello >/tmp/x; exec httpd -f -p 80 -h /tmp"
    asking = (
        "until wget -q -O - http://first/x && wget -q -O - http://c-first/x; do sleep 0.1; done"
    )
    text = "".join(
        pod.replace("NAME", name).replace("IMAGE", IMAGE).replace("COMMAND", command)
        for name, command in (("first", serving), ("second", asking))
    )
    kube("kube", "play", kube.write("two.yaml", text)).check()
    until(lambda: kube("logs", "second-c-second").out.endswith("hello\nhello\n"))
    kube("kube", "down", "two.yaml").check()


def test_a_container_that_says_when_it_is_ready(kube: Any) -> None:
    text = f"""
kind: Pod
metadata: {{name: web, annotations: {{io.containers.sdnotify/main: container}}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, {IMAGE}, command: [sleep, "1000"]}}
  - {{name: other, {IMAGE}, command: [sleep, "1000"]}}
"""
    file = kube.write("web.yaml", text)
    words = ("kube", "play", "--network", "none", file)
    process = kube.rcrun.popen(*words, cwd=kube.folder, stdout=subprocess.DEVNULL)
    try:
        until(lambda: kube("ps", "--format", "{{.Names}}").out.count("web-") == 2)
        shown = 'test -S "$NOTIFY_SOCKET"; echo $? $NOTIFY_SOCKET'
        assert kube("exec", "web-main", "sh", "-c", shown).out == "0 /run/notify/notify.sock\n"
        assert kube("exec", "web-other", "sh", "-c", shown).out == "1\n"
        runroot = Path(kube("info", "-f", "{{.Store.RunRoot}}").out.strip())
        name = kube("inspect", "-f", "{{.Id}}", "web-main").out.strip()
        [path] = runroot.rglob(f"{name}/notify.sock")
        assert process.poll() is None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
            folder = os.open(path.parent, os.O_PATH)  # its path may be longer than one may be
            for message in (b"STATUS=soon", b"STATUS=now\nREADY=1"):
                said.sendto(message, f"/proc/self/fd/{folder}/notify.sock")
            os.close(folder)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert not list(runroot.rglob("ready-*"))
    kube("kube", "down", file).check()
    got = kube.play(kube.write("web.yaml", text.replace('"1000"', '"0"', 1)))
    assert (got.status, 'container "web-main" ended before it was ready' in got.err) == (125, True)
    assert kube.left() == []
