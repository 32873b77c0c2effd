"""podman build: each RUN is a container of the runtime."""

from __future__ import annotations

import pytest

from peers.podman import NO_NETWORK

pytestmark = pytest.mark.requires("podman")
CONTAINERFILE = """
FROM localhost/busybox
ARG WORD=none
RUN echo "$WORD" >/word && id -u >/id && hostname >/hostname
WORKDIR /made/here
USER guest
RUN echo guest >/tmp/guest && pwd >/tmp/pwd
USER root
RUN --mount=type=tmpfs,target=/scratch echo x >/scratch/x
RUN test ! -e /scratch/x
"""


@pytest.fixture
def folder(podman, with_cgroup):
    made = podman.account.new_dir("build")
    (made / "Containerfile").write_text(CONTAINERFILE)
    yield str(made)
    podman("rmi", "-f", "-i", "built").check()


def test_run_steps(podman, folder):
    options = ("--isolation", "oci", *NO_NETWORK, "--build-arg", "WORD=yes", "-t", "built")
    podman("build", *options, folder).check()
    out = podman.run("built", "cat", "/word", "/id", "/tmp/guest", "/tmp/pwd").check().out
    assert out == "yes\n0\nguest\n/made/here\n"


def test_a_step_that_fails(podman, folder):
    with open(f"{folder}/Containerfile", "a", encoding="utf-8") as file:
        file.write("RUN exit 42\n")
    given = podman("build", "--isolation", "oci", *NO_NETWORK, "-t", "built", folder)
    assert given.status == 42 or "exit status 42" in given.err
