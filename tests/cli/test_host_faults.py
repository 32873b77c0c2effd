"""What the host says no to is told with the command that helps: places of somebody else, limits, a directory that is gone."""

from __future__ import annotations

import os
import pwd
import subprocess

import pytest

from rcrun_cli import context, main
from rcrun_cli import program as cli

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
RUN = "rcrun run --rm --network none busybox true"


@pytest.mark.requires("root")
def test_a_store_that_root_has_made(rcrun):
    """As `sudo -E` of another program does; the command of the hint gives it back."""
    home = rcrun.account.new_dir("odd")
    folder = home / ".local/share/rcrun"
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    (folder / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    env = {"HOME": str(home), "RCRUN_ROOT": "", "XDG_DATA_HOME": ""}
    command = f"find {home}/.local -user root -exec chown -h {rcrun.account.name}: {{}} +"
    said = f"hint: it belongs to root, as after sudo; run: sudo {command}\n"
    for words in (("images",), ("load", "-i", "/dev/null"), ("run", "busybox", "true")):
        assert rcrun(*words, env=env).err.endswith(said)
    subprocess.run(["sh", "-c", command], check=True)
    assert rcrun("images", env=env).check().err == ""


def test_a_home_of_somebody_else(rcrun):
    own = pwd.getpwuid(rcrun.account.uid).pw_dir
    got = rcrun("volume", "create", env={"HOME": "/root", "RCRUN_ROOT": "", "XDG_DATA_HOME": ""})
    home = f"HOME is not yours, as after su or sudo; run: export HOME={own}"
    elsewhere = "keep it where you may write, run: export RCRUN_ROOT=/var/tmp/rcrun-$(id -u)"
    usual = os.path.isdir(own) and os.stat(own).st_uid == rcrun.account.uid
    assert (got.status, got.err.splitlines()[-1]) == (1, f"hint: {home if usual else elsewhere}")


def test_roots_home_is_not_a_users(account, monkeypatch, tmp_path):
    """`sudo -E`: what root made there, the user could neither read nor remove."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    os.chown(tmp_path, account.uid, account.gid)
    assert context.home_dir({"HOME": str(tmp_path)}) == pwd.getpwuid(0).pw_dir
    assert context.home_dir({"HOME": "/"}) == "/"


def test_too_few_open_files(rcrun):
    got = rcrun.account.run("bash", "-c", f"ulimit -n 14; {RUN}", env=rcrun.env)
    assert got.status == 125
    assert got.err.endswith(
        ": too many open files\nhint: too few open files are allowed; run: ulimit -n $(ulimit -Hn); "
        "for more: /etc/security/limits.conf\n"
    )


@pytest.mark.parametrize("line", ["build .", "run --rm -v .:/x busybox true"])
def test_the_working_directory_is_gone(rcrun, line):
    folder = rcrun.account.new_dir("gone")
    got = rcrun.account.run(
        "bash", "-c", f"cd {folder}; rmdir {folder}; rcrun {line}", env=rcrun.env
    )
    assert got.status in (1, 125)
    assert got.err.endswith('the working directory is not there any more\nhint: run: cd "$PWD"\n')


def test_a_package_that_is_missing(account):
    """A checkout with the host's own Python has few; doctor knows by which command they come."""
    program = cli.program("rcrun")
    told = main._bug(program, ModuleNotFoundError("No module named 'yaml'", name="yaml"))
    assert told == ('the Python package "yaml" is not installed', "run: rcrun doctor")
    assert main._bug(program, ModuleNotFoundError("x", name="rcrun.gone"))[0].startswith(
        "this is a bug"
    )
