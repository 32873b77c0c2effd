"""A small commit is the caller's own work, a large one a worker's: the image is the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from accounts import bin_dir

if TYPE_CHECKING:
    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

QUIET = ("--network", "none")
# The launcher in an interpreter that tells of each process it makes, and that may have another thread.
TELLING = """
import runpy, sys, threading
sys.addaudithook(lambda name, _: name == "os.posix_spawn" and print("spawned", file=sys.stderr))
if sys.argv[1] == "thread":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.argv[:2] = []
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PLAIN = """
    mkdir -p /d/e /d/s/g; echo hi >/d/f; ln /d/f /d/h; ln -s /none /d/l; mkfifo /d/p; chmod 4755 /d/f
    chmod 1777 /d/e; chmod 2711 /d/s; chmod 400 /d/p; rm /bin/awk; rm -r /var/www; mkdir /var/www
    echo new >/var/www/new; rm /etc/group; mkdir /etc/group; rm /etc/passwd; ln -s x /etc/passwd
    touch -d 2001-01-01 /d /d/l; dd if=/dev/zero of=/d/holes bs=1k seek=900 count=1; echo >/d/.wh.odd
"""
WARNING = 'rcrun: warning: left out "d/.wh.odd": in a layer its name means a deletion'
# What it changes, and whether all of it is for the account to read.
SCRIPTS = {
    "nothing": ("true", True),
    "one file": ("echo 1 >/one", True),
    "all kinds": (PLAIN, True),
    "another's": ("echo 1 >/one; chown 5:6 /one", False),
    "another's group": ("mkdir /d; echo 1 >/d/one; chgrp 7 /d/one", False),
    "closed file": (f"{PLAIN} chmod 0 /d/f", False),
    "closed directory": ("mkdir -p /d/e; echo 1 >/d/e/f; chmod 0 /d/e", False),
    "in another's directory": ("echo 1 >/home/guest/mine", False),
    "many": ("mkdir /d; for i in $(seq 100); do echo $i >/d/$i; done", False),
    "large": ("dd if=/dev/zero of=/large bs=1M count=2", False),
}


def commit(rcrun: Rcrun, how: str) -> tuple[str, bool]:
    """The image's id, and whether there was a worker."""
    telling = (bin_dir() / "python3", "-IS", "-c", TELLING, how, bin_dir() / "rcrun")
    words = ("sh", "-c", 'umask 077; exec "$@"', "sh", *telling, "commit", "-q", "it")
    env = {**rcrun.env, "SOURCE_DATE_EPOCH": "1000000000"}
    done = rcrun.account.run(*words, env=env).check()
    lines = done.err.splitlines()
    assert set(lines) <= {"spawned", WARNING}
    assert len(lines) == len(set(lines))
    return done.out.strip(), "spawned" in lines


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_image_either_way(rcrun: Rcrun, name: str) -> None:
    script, is_open = SCRIPTS[name]
    rcrun("run", *QUIET, "--name", "it", "busybox", "sh", "-ec", script).check()
    made, had_worker = commit(rcrun, "alone")
    root = rcrun.account.uid == 0
    assert had_worker != (is_open or (root and name not in ("many", "large")))
    assert rcrun("system", "check").check().out == "no faults\n"
    rcrun("rmi", made).check()
    assert commit(rcrun, "thread") == (made, True)
    assert rcrun("system", "check").check().out == "no faults\n"
    rcrun("rmi", made).check()
    rcrun("rm", "it").check()
    assert os.listdir(f"{rcrun.store_dir}/trash") == []
    assert [
        n for n in os.listdir(f"{rcrun.store_dir}/tmp") if n.startswith(("blob", "layer"))
    ] == []
