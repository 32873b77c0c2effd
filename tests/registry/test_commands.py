"""pull, images, tag, rmi as they are typed: what goes to which stream, and the exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tiny_image import tiny_image
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import Handler, TinyRegistry

    from conftest import Rcrun
    from tiny_image import TinyImage

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def as_name(rcrun: Rcrun, name: str, *words: str) -> object:
    """Started under another name, as docker or podman."""
    link = rcrun.store_dir.parent / name
    if not link.exists():
        from accounts import bin_dir

        os.symlink(bin_dir() / "rcrun", link)
    return rcrun.account.run(link, *words, env=rcrun.env)


def test_pull_writes_progress_and_name(
    rcrun: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    registry.put(image, "latest")
    name = f"{registry.address}/some/thing"
    short = image.layer_descriptor()["digest"][7:19]
    done = rcrun("pull", name).check()
    assert done.out == f"{name}:latest\n"
    assert done.err.splitlines() == [
        "Using default tag: latest",
        "latest: Pulling from some/thing",
        f"{short}: Pulling fs layer",
        f"{short}: Download complete",
        f"{short}: Pull complete",
        f"Digest: {image.digest}",
        f"Status: Downloaded newer image for {name}:latest",
    ]
    again = rcrun("pull", f"{name}:latest").check()
    assert f"{short}: Already exists" in again.err
    assert f"Status: Image is up to date for {name}:latest" in again.err
    quiet = rcrun("pull", "-q", name).check()
    assert (quiet.out, quiet.err) == (f"{name}:latest\n", "")


def test_pull_under_other_names(rcrun: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    registry.put(image, "1")
    name = f"{registry.address}/thing:1"
    docker = as_name(rcrun, "docker", "pull", name).check()
    assert docker.err == ""
    assert docker.out.splitlines()[0] == "1: Pulling from thing"
    assert docker.out.splitlines()[-1] == name
    as_name(rcrun, "podman", "push", "-q", name, f"{registry.address}/other:1").check()
    assert "other" not in rcrun("inspect", "-f", "{{.RepoDigests}}", name).check().out
    podman = as_name(rcrun, "podman", "pull", name).check()
    assert podman.out == image.config_digest.removeprefix("sha256:") + "\n"
    assert podman.err.startswith(f"Trying to pull {name}...\n")


def test_headers_of_docker_go_to_the_registry(
    rcrun: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    """Those that its daemon would pass on; the variable stands in the place of the file, and podman has neither."""
    registry.put(image, "1")
    name = f"{registry.address}/thing:1"
    folder = rcrun.account.new_dir("docker")
    text = '{"HttpHeaders": {"X-Meta-Who": "me", "Other": "x"}}'
    (folder / "config.json").write_text(text)
    env = {"DOCKER_CONFIG": str(folder)}

    def sent() -> set[tuple[str | None, ...]]:
        names = ("X-Meta-Who", "X-Meta-More", "Other")
        images = [asked for asked in registry.asked if "/thing/" in asked.path]
        return {tuple(asked.headers.get(name) for name in names) for asked in images}

    rcrun("pull", "-q", name, env=env).check()
    assert sent() == {("me", None, None)}
    rcrun("rmi", name).check()
    registry.asked.clear()
    env["DOCKER_CUSTOM_HEADERS"] = '"X-Meta-More=a,b"'
    rcrun("create", "-q", "--network", "none", name, "true", env=env).check()
    assert sent() == {(None, "a,b", None)}


def test_load_of_an_address(rcrun: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    registry.put(image, "1")
    name = f"{registry.address}/thing:1"
    archive = rcrun.account.new_dir("archive") / "a.tar"
    rcrun("pull", "-q", name).check()
    rcrun("save", "-o", archive, name).check()
    rcrun("rmi", name).check()
    content = archive.read_bytes()
    registry.rule("/a.tar", lambda h: h.answer(200, content))
    assert rcrun("load", "-i", f"{registry.url}/a.tar").check().out == f"Loaded image: {name}\n"


def test_pull_of_several_goes_on_after_an_error(
    rcrun: Rcrun, registry: TinyRegistry, image: TinyImage
) -> None:
    registry.put(image, "1")
    done = rcrun("pull", "-q", f"{registry.address}/x:nope", f"{registry.address}/x:1")
    assert done.status == 1
    assert done.out == f"{registry.address}/x:1\n"
    assert done.err == (
        f'rcrun: error: image "{registry.address}/x:nope" not found in registry '
        f'"{registry.address}": manifest unknown\n'
    )


def test_pull_with_a_wrong_name(rcrun: Rcrun) -> None:
    done = rcrun("pull", "Debian")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        'rcrun: error: invalid reference format "Debian": the repository must be lower case\n'
        'hint: use "debian"\n'
    )


def test_images(rcrun: Rcrun, registry: TinyRegistry) -> None:
    assert rcrun("images").check().out.split() == "REPOSITORY TAG IMAGE ID CREATED SIZE".split()
    old = tiny_image(Labels={"a": "b"})
    new = tiny_image({"x": b"y" * 2000}, Labels={"c": "d"})
    registry.put(old, "old")
    registry.put(new, "new")
    rcrun("pull", "-q", f"{registry.address}/x:old", f"{registry.address}/x:new").check()
    rcrun("tag", f"{registry.address}/x:new", "other/name:2", "third").check()

    def listed(*words: str) -> list[str]:
        form = "{{.Repository}}:{{.Tag}}"
        return sorted(rcrun("images", "--format", form, *words).check().out.split())

    names = [
        f"{registry.address}/x:new",
        f"{registry.address}/x:old",
        "other/name:2",
        "third:latest",
    ]
    assert listed() == names
    assert listed("third") == listed("third:latest") == ["third:latest"]
    assert listed("-f", "reference=third", "-f", "reference=other/*") == names[2:]
    assert listed("other/*") == ["other/name:2"]
    assert listed("-f", "label=a=b") == [f"{registry.address}/x:old"]
    assert listed("-f", "label=c", "-f", "reference=*:latest") == ["third:latest"]
    assert listed("-f", "dangling=true") == []
    assert rcrun("images", "-f", "colour=red").status == 1
    ids = rcrun("images", "-q", "--no-trunc").check().out.split()
    assert sorted(ids) == sorted([old.config_digest, *[new.config_digest] * 3])
    rows = [
        json.loads(line) for line in rcrun("images", "--format", "json").check().out.splitlines()
    ]
    assert {row["ID"] for row in rows} == {old.config_digest[7:19], new.config_digest[7:19]}
    digests = rcrun("images", "--digests", f"{registry.address}/x:old").check().out
    assert old.digest in digests
    assert rcrun("image", "exists", "third").status == 0
    assert rcrun("image", "exists", "fourth").status == 1


def test_removal(rcrun: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    registry.put(image, "1")
    name = f"{registry.address}/x"
    rcrun("pull", "-q", f"{name}:1").check()
    rcrun("tag", f"{name}:1", "mine:1").check()
    by_id = rcrun("rmi", image.config_digest[7:19])
    assert by_id.status == 1
    assert "image is referenced in multiple repositories" in by_id.err
    assert rcrun("rmi", "mine:1").check().out == "Untagged: mine:1\n"
    done = rcrun("rmi", "nope", f"{name}:1")
    assert done.status == 1
    assert done.err == "rcrun: error: no such image: nope\n"
    lines = done.out.splitlines()
    assert lines[:3] == [
        f"Untagged: {name}:1",
        f"Untagged: {name}@{image.digest}",
        f"Deleted: {image.config_digest}",
    ]
    assert len(lines) == 4
    assert rcrun("images", "-q").check().out == ""
    left = rcrun.account.run(
        "find", rcrun.store_dir / "blobs", rcrun.store_dir / "layers", "-type", "f"
    )
    assert left.out == ""
    assert rcrun("rmi", "-f", "nope").status == 0


def test_untag_keeps_the_image(rcrun: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    registry.put(image, "1")
    name = f"{registry.address}/x:1"
    rcrun("pull", "-q", name).check()
    rcrun("untag", name).check()
    shown = rcrun("images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}").check().out
    assert shown == f"<none> <none> {image.config_digest[7:19]}\n"
    rcrun("rmi", image.config_digest).check()
    assert rcrun("images", "-q").check().out == ""


def test_interrupt_in_the_middle_of_a_blob(rcrun: Rcrun, registry: TinyRegistry) -> None:
    """It ends at once, keeps what has arrived, and the next pull continues."""
    image = tiny_image({"big": os.urandom(400_000)})
    registry.put(image, "1")
    data, digest = image.layers[0], image.layer_descriptor()["digest"]
    sent, done = threading.Event(), threading.Event()

    def stall(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:200_000])
        handler.wfile.flush()
        sent.set()
        done.wait(200)

    registry.rule(f"/blobs/{digest}", stall)
    process = rcrun.popen("pull", f"{registry.address}/x:1", stderr=subprocess.PIPE)
    part = rcrun.store_dir / f"tmp/part.{digest[7:]}"
    assert sent.wait(60)
    wait_for(lambda: part.exists() and part.stat().st_size == 200_000)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].decode()
    done.set()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert part.stat().st_size == 200_000
    assert rcrun("images", "-q").check().out == ""
    rcrun("pull", f"{registry.address}/x:1").check()
    assert registry.asked[-1].headers["Range"] == "bytes=200000-"
    assert os.listdir(rcrun.store_dir / "tmp") == []


def test_login_pull_logout(rcrun: Rcrun, registry: TinyRegistry, image: TinyImage) -> None:
    """As a CI runner does it: --config before the command, the password on standard input."""
    registry.auth = "bearer"
    registry.anonymous = False
    registry.users["me"] = "secret"
    registry.put(image, "1")
    name = f"{registry.address}/private:1"
    config = ("--config", str(rcrun.store_dir.parent / "docker-config"))
    words = ("login", registry.address, "-u", "me", "--password-stdin")
    denied = rcrun(*config, "pull", name)
    assert denied.status == 1
    assert f"hint: check the name; if it is private: rcrun login {registry.address}" in denied.err
    wrong = rcrun(*config, *words, input="wrong\n")
    assert wrong.status == 1
    assert "incorrect username or password" in wrong.err
    done = rcrun(*config, *words, input="secret\n").check()
    assert done.out == "Login Succeeded\n"
    assert "unencrypted" in done.err
    rcrun(*config, "pull", "-q", name).check()
    assert rcrun("pull", "-q", name).status == 1
    gone = rcrun(*config, "logout", registry.address).check()
    assert gone.out == f"Removing login credentials for {registry.address}\n"
    again = rcrun(*config, "logout", registry.address).check()
    assert again.out == f"Not logged in to {registry.address}\n"
    silent = rcrun("login", "-u", "me", registry.address)
    assert "cannot ask for a user name and a password without a terminal" in silent.err
