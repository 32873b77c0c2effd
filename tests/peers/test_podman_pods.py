"""podman pods: an infra container whose namespaces others join; the same from a Kubernetes document."""

from __future__ import annotations

import pytest

from peers.podman import NO_NETWORK

pytestmark = pytest.mark.requires("podman")
# A plain image, since the one that podman would build wants a program that not every host has.
INFRA = ("--infra-image", "busybox", "--infra-command", "sleep 1000", *NO_NETWORK)
DOCUMENT = """
apiVersion: v1
kind: Pod
metadata:
  name: cube
spec:
  hostname: cube
  containers:
  - name: one
    image: localhost/busybox:latest
    command: [sh, -c, "hostname; id -u; exec sleep 1000"]
    securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true}
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
"""


@pytest.fixture
def pods(podman):
    yield podman
    podman("pod", "rm", "-f", "-a", "-t", "0").check()


def test_namespaces_are_shared(pods, with_cgroup):
    pods(
        "pod", "create", "--name", "box", "--hostname", "inside", "--share", "+pid", *INFRA
    ).check()
    for name in ("one", "two"):
        pods("run", "-d", "--pod", "box", "--name", name, "busybox", "sleep", "1000").check()
    kinds = ("ipc", "net", "pid", "uts")
    assert pods.names("one", *kinds) == pods.names("two", *kinds)
    assert pods.names("one", "mnt") != pods.names("two", "mnt")
    assert pods("exec", "two", "hostname").check().out == "inside\n"
    assert pods("exec", "two", "ps", "-o", "args").check().out.count("sleep 1000") == 3


def test_a_pods_life(pods, with_cgroup):
    pods("pod", "create", "--name", "box", *pods.cgroup, *INFRA).check()
    pods(
        "run", "-d", "--pod", "box", "--name", "one", *pods.cgroup, "busybox", "sleep", "1000"
    ).check()
    pods("pod", "pause", "box").check()
    assert pods.status("one") == "paused"
    pods("pod", "unpause", "box").check()
    assert pods.status("one") == "running"
    pods("pod", "stop", "-t", "0", "box").check()
    assert pods.status("one") == "exited"
    pods("pod", "start", "box").check()
    assert pods.status("one") == "running"


@pytest.mark.requires("catatonit")
def test_from_a_document(pods, with_cgroup):
    file = pods.account.home / "cube.yaml"
    file.write_text(DOCUMENT)
    pods("play", "kube", *NO_NETWORK, str(file)).check()
    assert pods("logs", "cube-one").check().out == "cube\n1000\n"
    assert (
        pods("exec", "cube-one", "touch", "/shared/x", "/x").err
        == "touch: /x: Read-only file system\n"
    )
    document = pods("generate", "kube", "cube").check().out
    assert "readOnlyRootFilesystem: true" in document
    pods("play", "kube", "--down", str(file)).check()
