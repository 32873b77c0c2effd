"""export and diff: the root file system of a container, and what it has changed of its image."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from tiny_image import docker_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

QUIET = ("--network", "none")


def ran(rcrun: Rcrun, script: str, *options: str) -> str:
    """The id of a container that has run this."""
    words = ("run", "-d", *QUIET, *options, "busybox", "sh", "-ec", script)
    name = rcrun(*words).check().out.strip()
    assert rcrun("wait", name).check().out == "0\n", rcrun("logs", name)
    return name


def exported(rcrun: Rcrun, name: str) -> dict[str, tarfile.TarInfo]:
    data = rcrun("export", name).check().stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: entry for entry in archive}


def differences(rcrun: Rcrun, name: str) -> list[str]:
    return rcrun("diff", name).check().out.splitlines()


# What a container does, and docker's lines for it.
DONE = [
    ("true", []),
    ("touch /etc/new", ["C /etc", "A /etc/new"]),
    ("echo x >>/etc/passwd", ["C /etc", "C /etc/passwd"]),
    ("rm /etc/passwd", ["C /etc", "D /etc/passwd"]),
    ("touch /tmp/new; rm /tmp/new", ["C /tmp"]),
    ("mkdir -p /a/b; touch /a/b/c", ["A /a", "A /a/b", "A /a/b/c"]),
    ("rm -r /var", ["D /var"]),
    ("chmod 700 /home/guest", ["C /home", "C /home/guest"]),
    (
        "rm -r /var/www; mkdir /var/www; touch /var/www/new",
        ["C /var", "C /var/www", "D /var/www/index.html", "A /var/www/new"],
    ),
    ("rm -r /var/www; ln -s /tmp /var/www", ["C /var", "C /var/www"]),
    ("rm /etc/group; mkdir -p /etc/group/x", ["C /etc", "C /etc/group", "A /etc/group/x"]),
    ("rm -r /var/www; mkdir /var/www; touch /var/www/index.html", ["C /var", "C /var/www", "C /var/www/index.html"]),
    ("ln -s nowhere /tmp/link; mkfifo /tmp/pipe", ["C /tmp", "A /tmp/link", "A /tmp/pipe"]),
    ("touch /run/mine", ["C /run", "A /run/mine"]),
    ("touch '/tmp/.wh.odd'", ["C /tmp", "A /tmp/.wh.odd"]),
]  # fmt: skip


def test_diff_tells_what_docker_tells(rcrun: Rcrun) -> None:
    for script, lines in DONE:
        assert differences(rcrun, ran(rcrun, script)) == lines, script


def test_diff_of_a_running_one_and_its_forms(rcrun: Rcrun) -> None:
    words = ("sh", "-c", "touch /tmp/x; rm /etc/group; : >/etc/passwd; sleep 1000")
    rcrun("run", "-d", *QUIET, "--name", "differs", "busybox", *words).check()
    rcrun("exec", "differs", "sh", "-c", "while test -s /etc/passwd; do sleep 0.1; done")
    told = json.loads(rcrun("diff", "--format", "json", "differs").check().out)
    assert told == {
        "added": ["/tmp/x"],
        "changed": ["/etc", "/etc/passwd", "/tmp"],
        "deleted": ["/etc/group"],
    }
    refused = rcrun("diff", "--format", "yaml", "differs")
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        'rcrun: error: invalid format "yaml"',
    )


def test_volumes_are_not_walked(rcrun: Rcrun) -> None:
    name = ran(rcrun, "touch /data/x /tt/y /tmp/z", "-v", "walked:/data", "--tmpfs", "/tt")
    assert differences(rcrun, name) == ["A /data", "C /tmp", "A /tmp/z", "A /tt"]
    found = exported(rcrun, name)
    assert {"data", "tt", "tmp/z"} <= found.keys()
    assert not {"data/x", "tt/y"} & found.keys()


def test_diff_of_images(fresh_rcrun: Callable[..., Rcrun]) -> None:
    rcrun = fresh_rcrun()
    image = tiny_image({"etc/one": b"1", "etc/two": b"2"}, {"etc/two": b"22", "x": b""})
    rcrun("load", input=docker_archive(image, "pair:1")).check()
    assert differences(rcrun, "pair:1") == ["C /etc", "C /etc/two", "A /x"]
    assert rcrun("image", "diff", "pair:1").check().out.splitlines()[0] == "C /etc"
    missing = rcrun("diff", "nothing")
    assert (missing.status, missing.err) == (
        1,
        "rcrun: error: no such container or image: nothing\n",
    )
    only = rcrun("container", "diff", "pair:1")
    assert (only.status, only.err) == (1, "rcrun: error: no such container: pair:1\n")


def test_export_is_what_the_container_sees(rcrun: Rcrun) -> None:
    script = """
        rm /bin/awk; mkdir /tmp/d; echo hi >/tmp/d/f; ln /tmp/d/f /tmp/d/g; chown 12:34 /tmp/d/f
        chmod 4755 /tmp/d/f; ln -s /none /tmp/d/l
    """
    name = ran(rcrun, script)
    found = exported(rcrun, name)
    entry = found["tmp/d/f"]
    assert (entry.uid, entry.gid, entry.mode, entry.size) == (12, 34, 0o4755, 3)
    assert found["tmp/d/g"].islnk()
    assert found["tmp/d/g"].linkname == "tmp/d/f"
    assert found["tmp/d/l"].linkname == "/none"
    assert (found["home/guest"].uid, found["home/guest"].gid) == (1000, 1000)
    assert "bin/awk" not in found
    assert list(found) == sorted(found, key=lambda name: name.split("/"))
    path = rcrun.account.new_dir("exported") / "root.tar"
    rcrun("export", "-o", path, name).check()
    again = rcrun("import", path, "imported:1").check()
    assert again.out.startswith("sha256:")
    seen = rcrun(
        "run", "--rm", *QUIET, "imported:1", "/bin/sh", "-c", "ls -ln /tmp/d/f; cat /tmp/d/g"
    )
    assert seen.check().out.split()[2:4] == ["12", "34"]
    assert os.listdir(path.parent) == ["root.tar"]
    rcrun("rmi", "-f", "imported:1").check()


def test_export_refuses_and_fails(rcrun: Rcrun) -> None:
    name = rcrun("create", *QUIET, "busybox").check().out.strip()
    missing = rcrun("export", "nobody")
    assert (missing.status, missing.err) == (1, "rcrun: error: no such container: nobody\n")
    nowhere = rcrun("export", "-o", "/nonexistent/x", name)
    assert nowhere.err == 'rcrun: error: cannot write "/nonexistent/x": no such file or directory\n'
    command = f"rcrun export {name} | head -c 1 | wc -c"
    assert rcrun.account.run("sh", "-c", command, env=rcrun.env).check().out.strip() == "1"


def test_a_directory_as_the_root(rcrun: Rcrun) -> None:
    top = rcrun.account.new_dir("root")
    script = "mkdir bin tmp; cp /bin/busybox bin/sh"
    rcrun.account.run("sh", "-ec", script, cwd=top).check()
    words = ("run", *QUIET, "--name", "rooted", "--rootfs", top, "/bin/sh", "-c", "echo x >/tmp/x")
    rcrun(*words).check()
    assert {"bin/sh", "tmp/x"} <= exported(rcrun, "rooted").keys()
    assert "A /tmp/x" in differences(rcrun, "rooted")


def test_recorded_owners_of_the_single_id_user(single_rcrun: Rcrun) -> None:
    """The image's home/guest is another user's, which one id cannot be on the disk."""
    rcrun = single_rcrun
    name = ran(rcrun, "touch /home/guest/mine; chmod 711 /home/guest")
    found = exported(rcrun, name)
    assert (found["home/guest"].uid, found["home/guest"].mode) == (1000, 0o711)
    assert found["home/guest/mine"].uid == 0
    other = ran(rcrun, "rm -r /home/guest; mkdir /home/guest")
    assert exported(rcrun, other)["home/guest"].uid == 0
    assert differences(rcrun, name) == ["C /home", "C /home/guest", "A /home/guest/mine"]
