"""What podman's own system tests found different: ways of the name `podman`, and of all names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accounts import bin_dir

if TYPE_CHECKING:
    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

SIZES = "{{.HostConfig.LogConfig.Size}} {{range .HostConfig.Ulimits}}{{if eq .Name `core`}}{{.Soft}} {{.Hard}}{{end}}{{end}}"


def test_as_podman(rcrun: Rcrun) -> None:
    folder = rcrun.account.new_dir("bin")
    (folder / "podman").symlink_to(bin_dir() / "rcrun")
    script = f"""
        podman() {{ {folder}/podman "$@"; }}
        podman run -d --name web -w /tmp --network none --log-opt max-size=1m --ulimit core=-1 busybox sleep 1000 >id
        echo text >file
        podman cp file web:copied
        podman cp web:./copied - | tar -xO
        podman inspect -f '{SIZES}' web
        podman ps -q --no-trunc --filter "id=$(tr a-f A-F <id)" | cmp id && echo found
        test "$(podman run --name other --network none -a stdin busybox true)" = "$(podman inspect -f '{{{{.Id}}}}' other)"
        podman --out new run -d --replace --name other --cidfile id --network none busybox true
        test "$(cat id)" = "$(cat new)"
        podman inspect nosuch 2>&1 || podman info -f '{{{{.Host.CgroupsVersion}}}}'
        podman run --rm -it --network none busybox echo here </dev/null 2>said
        podman exec -it web echo there </dev/null 2>>said
        grep -c 'not a TTY' said
        podman rm -f -t 0 web other >gone
    """
    got = rcrun.account.run("sh", "-euc", script, cwd=folder, env=rcrun.env).check()
    lines = got.out.splitlines()
    assert lines[:4] == ["text", "1.049MB -1 -1", "found", "[]"], got
    assert lines[4].startswith('Error: no such object: "nosuch"'), got
    assert lines[5] in ("v1", "v2"), got
    assert lines[6:] == ["here", "there", "2"], got


def test_nothing_that_stays_holds_what_the_caller_has_open(rcrun: Rcrun) -> None:
    """`flock` around a `run -d`: neither the monitor nor the network's programs keep the lock."""
    folder = rcrun.account.new_dir("lock")
    script = f"""
        exec 9>lock 3>&1
        flock 9
        {bin_dir()}/rcrun run -d --name web busybox sleep 1000 >id
        exec 9>&-
        flock -n lock echo free
    """
    got = rcrun.account.run("sh", "-euc", script, cwd=folder, env=rcrun.env).check()
    assert got.out == "free\n"


def test_what_comes_before_the_command(rcrun: Rcrun) -> None:
    """Scripts that run podman in containers and in CI say these."""
    words = ["--events-backend=file", "--storage-driver", "vfs", "--storage-opt", "a=b", "--syslog"]
    assert rcrun(*words, "--tmpdir", "/x", "ps", "-q").check().out == ""
    assert rcrun("--noout", "info").check().out == ""
    got = rcrun("--out", "/none/such", "ps")
    assert (got.status, "cannot write" in got.err) == (1, True)
    got = rcrun("pull", "--authfile", "/none/such", "busybox")
    assert (got.status, "cannot read credentials" in got.err) == (1, True)
    got = rcrun("create", "--no-hosts", "--add-host", "a:1.2.3.4", "busybox")
    assert (got.status, "--no-hosts and --add-host" in got.err) == (125, True)
