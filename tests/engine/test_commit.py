"""commit: an image of a container, which runs at once and looks the same."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

QUIET = ("--network", "none")
# Everything that a layer has to tell.
SCRIPT = """
    rm /bin/awk; rm -r /var/www; mkdir /var/www; echo new >/var/www/new
    mkdir /tmp/d; echo hi >/tmp/d/f; ln /tmp/d/f /tmp/d/g; chown 12:34 /tmp/d/f; chmod 6755 /tmp/d/f
    ln -s /none /tmp/d/l; mkfifo /tmp/d/p; touch -d 2001-01-01 /tmp/d; rm /etc/group; mkdir /etc/group
    chmod 700 /home/guest
"""
LISTING = "cd /; find etc tmp var home bin | sort | xargs stat -c '%n %f %u %g'; cat /var/www/new"


@pytest.fixture
def changed(rcrun: Rcrun) -> str:
    rcrun("run", *QUIET, "--name", "changed", "busybox", "sh", "-ec", SCRIPT).check()
    return "changed"


def told(rcrun: Rcrun, name: str) -> dict[str, Any]:
    return json.loads(rcrun("image", "inspect", name).check().out)[0]


def document(rcrun: Rcrun, digest: str) -> Any:
    path = rcrun.store_dir / "blobs/sha256" / digest.removeprefix("sha256:")
    return json.loads(rcrun.account.run("cat", path).check().stdout)


def looks(rcrun: Rcrun, image: str) -> str:
    words = ("run", "--rm", *QUIET, "--entrypoint", "", image, "sh", "-c", LISTING)
    return rcrun(*words).check().out


def test_the_image_is_the_container(rcrun: Rcrun, changed: str) -> None:
    done = rcrun("commit", changed, "committed:1").check()
    assert done.out == told(rcrun, "committed:1")["Id"] + "\n"
    assert done.err == ""
    rcrun("commit", "-s", changed, "squashed:1").check()
    rcrun("commit", "--format", "docker", changed, "docker:1").check()
    seen = looks(rcrun, "committed:1")
    assert "tmp/d/f 8ded 12 34" in seen
    assert "bin/awk" not in seen
    assert "index.html" not in seen
    assert seen == looks(rcrun, "squashed:1") == looks(rcrun, "docker:1")
    assert len(told(rcrun, "committed:1")["RootFS"]["Layers"]) == 2
    assert len(told(rcrun, "squashed:1")["RootFS"]["Layers"]) == 1
    kinds = {document(rcrun, told(rcrun, f"{name}:1")["Digest"])["mediaType"] for name in ("committed", "docker")}  # fmt: skip
    assert len(kinds) == 2
    rcrun("rmi", "committed:1", "squashed:1", "docker:1").check()


def test_the_layer(rcrun: Rcrun, changed: str) -> None:
    rcrun("commit", changed, "committed:1").check()
    manifest = document(rcrun, told(rcrun, "committed:1")["Digest"])
    top = manifest["layers"][-1]
    assert top["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
    path = rcrun.store_dir / "blobs/sha256" / top["digest"].removeprefix("sha256:")
    data = rcrun.account.run("cat", path).check().stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        entries = {entry.name: entry for entry in archive}
    assert set(entries) == {
        "bin", "bin/.wh.awk", "etc", "etc/group", "etc/group/.wh..wh..opq", "home", "home/guest",
        "tmp", "tmp/d", "tmp/d/f", "tmp/d/g", "tmp/d/l", "tmp/d/p", "var", "var/www",
        "var/www/.wh..wh..opq", "var/www/new",
    }  # fmt: skip
    assert entries["tmp/d/g"].linkname == "tmp/d/f"
    assert (entries["home/guest"].uid, entries["home/guest"].mode) == (1000, 0o700)
    rcrun("rmi", "committed:1").check()


def test_the_same_container_gives_the_same_image(rcrun: Rcrun, changed: str) -> None:
    env = {"SOURCE_DATE_EPOCH": "1000000000"}
    one = rcrun("commit", changed, env=env).check().out
    assert rcrun("commit", changed, env=env).check().out == one
    assert told(rcrun, one.strip())["Created"] == "2001-09-09T01:46:40.000000000Z"
    rcrun("rmi", one.strip()).check()


def test_the_configuration(rcrun: Rcrun) -> None:
    words = (
        "-e",
        "A=b",
        "-w",
        "/tmp",
        "-u",
        "guest",
        "-l",
        "k=v",
        "--expose",
        "80",
        "--entrypoint",
        "echo",
    )
    rcrun("create", *QUIET, "--name", "set", *words, "busybox", "one", "two").check()
    change = ("-c", "ENV C=d", "--change", 'CMD ["three"]', "-c", "USER root")
    path = rcrun.account.new_dir("id") / "iid"
    options = ("-a", "Me <me@example.org>", "-m", "why", "--iidfile", path)
    done = rcrun("commit", *options, *change, "set", "set:1").check()
    assert rcrun.account.run("cat", path).out == done.out.strip()
    found = told(rcrun, "set:1")
    assert (found["Author"], found["Comment"]) == ("Me <me@example.org>", "why")
    config = found["Config"]
    assert config["Env"] == ["PATH=/bin", "A=b", "C=d"]
    assert (config["Entrypoint"], config["Cmd"]) == (["echo"], ["three"])
    assert (config["WorkingDir"], config["User"]) == ("/tmp", "root")
    assert (config["Labels"]["k"], config["ExposedPorts"]) == ("v", {"80/tcp": {}})
    assert rcrun("run", "--rm", *QUIET, "set:1").check().out == "three\n"
    rcrun("rmi", "set:1").check()


def test_a_running_one_with_a_volume(rcrun: Rcrun) -> None:
    words = ("sh", "-c", "echo v >/data/v; echo mine >/tmp/mine; sleep 1000")
    rcrun("run", "-d", *QUIET, "--name", "runs", "-v", "kept:/data", "busybox", *words).check()
    rcrun("exec", "runs", "sh", "-c", "while ! test -s /tmp/mine; do sleep 0.1; done").check()
    rcrun("commit", "runs", "ran:1").check()
    rcrun("commit", "--pause=false", "runs").check()
    seen = rcrun("run", "--rm", *QUIET, "ran:1", "sh", "-c", "cat /tmp/mine; ls /data").check()
    assert seen.out == "mine\n"
    assert rcrun("ps", "--format", "{{.Status}}").out.startswith("Up")
    rcrun("rmi", "-f", "ran:1").check()
    rcrun("image", "prune", "-f").check()


def test_what_cannot_be(rcrun: Rcrun, changed: str) -> None:
    for words, said in (
        (("nobody", "x"), "no such container: nobody"),
        ((changed, "UPPER"), "must be lower case"),
        ((changed, f"a@sha256:{'0' * 64}"), "a digest is computed"),
        (("-c", "RUN x", changed, "x"), "cannot change an image by"),
        (("--format", "tar", changed, "x"), 'invalid format "tar"'),
    ):
        done = rcrun("commit", *words)
        assert (done.status, done.out, said in done.err) == (1, "", True), done


def test_of_an_image_that_was_removed(fresh_rcrun: Callable[..., Rcrun], rcrun: Rcrun) -> None:
    other = fresh_rcrun()
    archive = rcrun("save", "busybox").check().stdout
    other("load", input=archive).check()
    other("run", *QUIET, "--name", "left", "busybox", "touch", "/tmp/x").check()
    other("rmi", "-f", "busybox").check()
    done = other("commit", "left", "x")
    assert (done.status, "is no longer whole" in done.err) == (1, True), done
    other("commit", "--squash", "left", "x").check()
    assert other("run", "--rm", *QUIET, "x", "ls", "/tmp").check().out == "x\n"
    other("rm", "left").check()


def test_a_killed_commit_leaves_nothing(fresh_rcrun: Callable[..., Rcrun], rcrun: Rcrun) -> None:
    other = fresh_rcrun()
    other("load", input=rcrun("save", "busybox").check().stdout).check()
    fill = "dd if=/dev/urandom of=/tmp/big bs=1M count=64"
    other("run", *QUIET, "--name", "big", "busybox", "sh", "-c", fill).check()
    before = {path.name for path in (other.store_dir / "blobs/sha256").iterdir()}
    for pause in (0.05, 0.1, 0.2, 0.3):
        process = other.popen("commit", "big", "x", stdout=subprocess.DEVNULL)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if other("image", "exists", "x").status == 0:
        other("rmi", "x").check()
    for _ in range(300):  # workers go on for a while
        other("image", "prune", "-f").check()
        left = {path.name for path in (other.store_dir / "tmp").iterdir()}
        if not any(name.startswith(("blob.", "lease.", "layer.")) for name in left):
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"left over: {left}")
    assert {path.name for path in (other.store_dir / "blobs/sha256").iterdir()} == before
    other("commit", "big", "x").check()
    other("rm", "big").check()


def test_recorded_owners_of_the_single_id_user(single_rcrun: Rcrun) -> None:
    rcrun = single_rcrun
    script = "chmod 711 /home/guest; touch /home/guest/mine"
    rcrun("run", *QUIET, "--name", "one", "busybox", "sh", "-c", script).check()
    rcrun("commit", "one", "one:1").check()
    manifest = document(rcrun, told(rcrun, "one:1")["Digest"])
    path = rcrun.store_dir / "blobs/sha256" / manifest["layers"][-1]["digest"][7:]
    with tarfile.open(fileobj=io.BytesIO(rcrun.account.run("cat", path).stdout)) as archive:
        owners = {entry.name: (entry.uid, entry.mode) for entry in archive}
    assert owners == {
        "home": (0, 0o755),
        "home/guest": (1000, 0o711),
        "home/guest/mine": (0, 0o644),
    }
    assert rcrun("run", "--rm", *QUIET, "one:1", "ls", "/home/guest").check().out == "mine\n"
    rcrun("rmi", "one:1").check()
