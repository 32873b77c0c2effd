"""buildah: run and bud with the runtime under test, on a store of the account's own."""

from __future__ import annotations

import os
from typing import Any

import pytest

from accounts import Result
from peers.podman import NO_NETWORK
from peers.room import RUNTIME, Inmate
from skips import unmet

pytestmark = pytest.mark.requires("buildah")


class Buildah:
    """`buildah("run", …)` of one account; the store is podman's."""

    def __init__(self, account: Inmate) -> None:
        self.account = account
        self.env = {"BUILDAH_RUNTIME": RUNTIME}

    def __call__(self, *words: str | os.PathLike[str], **options: Any) -> Result:
        env = {**self.env, **(options.pop("env", None) or {})}
        return self.account.run("buildah", *words, env=env, **options)

    def run(self, *words: str, **options: Any) -> Result:
        given = ("--isolation", "oci", "--runtime", RUNTIME, *NO_NETWORK)
        return self("run", *given, *words, **options)


@pytest.fixture
def buildah(inmate, image, with_cgroup):
    if not inmate.room.has("buildah"):
        unmet("buildah is not installed", "buildah")
    made = Buildah(inmate)
    made("pull", "-q", f"docker-archive:{image}").check()
    yield made
    made("rm", "-a").check()


@pytest.fixture
def container(buildah):
    return buildah("from", "busybox").check().out.strip()


@pytest.mark.parametrize(
    ("words", "status"), [(("true",), 0), (("sh", "-c", "exit 3"), 3), (("/nowhere",), 1)]
)
def test_exit_status(buildah, container, words, status):
    given = buildah.run(container, "--", *words)
    assert (given.status != 0) == (status != 0)
    if status == 3:
        assert given.status == 3


def test_what_a_step_has(buildah, container):
    options = (
        "--user",
        "1000:1000",
        "--workingdir",
        "/tmp",
        "--hostname",
        "box",
        "-e",
        "A=b",
        "--cap-drop",
        "all",
    )
    script = "id -u; id -g; pwd; hostname; echo $A; grep CapBnd /proc/self/status"
    out = buildah.run(*options, container, "--", "sh", "-c", script).check().out.split()
    assert out == ["1000", "1000", "/tmp", "box", "b", "CapBnd:", "0" * 16]


def test_streams(buildah, container):
    given = buildah.run(
        container, "--", "sh", "-c", "cat; echo done >&2", input="through\n"
    ).check()
    assert (given.out, given.err) == ("through\n", "done\n")


def test_volumes(buildah, container):
    folder = buildah.account.new_dir("volume")
    (folder / "file").write_text("bound\n")
    script = "cat /v/file; touch /v/x || echo kept"
    options = ("-v", f"{folder}:/v:ro")
    out = buildah.run(*options, container, "--", "sh", "-c", script).check().out
    assert out == "bound\nkept\n"


def test_a_change_is_kept(buildah, container):
    buildah.run(container, "--", "sh", "-c", "echo new >/etc/new").check()
    buildah("commit", "-q", container, "changed").check()
    again = buildah("from", "changed").check().out.strip()
    assert buildah.run(again, "--", "cat", "/etc/new").check().out == "new\n"
    buildah("rmi", "-f", "changed").check()


def test_a_terminal(buildah, container):
    given = buildah.run("-t", container, "--", "sh", "-c", "test -t 1 && echo tty")
    assert "tty" in given.out


def test_bud(buildah):
    folder = buildah.account.new_dir("build")
    text = "FROM localhost/busybox\nARG WORD\nRUN echo $WORD >/word\nUSER guest\nRUN id -u >/tmp/id && test ! -w /word\n"
    (folder / "Containerfile").write_text(text)
    options = ("--isolation", "oci", "--runtime", RUNTIME, *NO_NETWORK, "--build-arg", "WORD=yes")
    buildah("bud", *options, "-t", "built", folder).check()
    made = buildah("from", "built").check().out.strip()
    assert buildah.run(made, "--", "cat", "/word", "/tmp/id").check().out == "yes\n1000\n"
    buildah("rm", made).check()
    buildah("rmi", "-f", "built").check()
