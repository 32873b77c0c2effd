"""What a step or a commit made is the layer that its blob unpacks to, though nobody unpacked it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engine.builds import Work, forget_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

# New and changed files, links of both kinds, a deletion, a directory in place of one and of a file, set-ID bits, a
# fifo, a socket (which no layer has), a mount point with something in it, owners, and nothing at all.
STEPS = r"""
FROM busybox
RUN mkdir -p /d/sub /empty; echo x >/d/f; ln /d/f /d/hard; ln -s f /d/soft; chown 5:6 /d/f; echo 1 >/.wh.odd
RUN rm /bin/vi; rm -rf /d/sub /empty; mkdir /d/sub; echo y >/d/sub/new; echo >/empty; chmod 4755 /d/f; mkfifo /d/p
RUN rm -rf /d/sub /empty; mkdir /empty; chmod 1777 /d; ln -s /d/socket /dev/log; syslogd; until test -S /d/socket; do sleep 0.05; done; touch -d @5 /d/old /etc/own
COPY --chown=7 some /d/
WORKDIR /made/here
RUN true
"""


@pytest.fixture
def work(rcrun: Rcrun) -> Iterator[Work]:
    yield Work(rcrun)
    forget_images(rcrun)


def test_layers_are_what_their_blobs_are(work: Work, rcrun: Rcrun) -> None:
    work.file("some/a", "a\n")
    work.file("some/sub/b", "b\n")
    made = work.image(STEPS)
    # The same again is found to be there, and leaves nothing behind.
    assert work.image(STEPS, "--no-cache", "--source-date-epoch", "315619200")
    rcrun(
        "run",
        "--name",
        "changed",
        "--network",
        "none",
        made,
        "sh",
        "-c",
        "rm /d/soft; echo 2 >>/d/f",
    ).check()
    committed = rcrun("commit", "-q", "changed").out.strip()
    seen = rcrun(
        "run", "--rm", "--network", "none", committed, "sh", "-c", "ls -A /d; cat /d/f"
    ).check()
    assert seen.out.split() == ["a", "f", "hard", "old", "p", "sub", "x", "2"]
    rcrun("rm", "changed").check()
    assert rcrun("system", "check").check().out == "no faults\n"
    assert os.listdir(f"{rcrun.store_dir}/trash") == []
