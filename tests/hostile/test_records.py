"""Documents of the store that are damaged: others go on, the one that is meant has words, and rm removes it."""

from __future__ import annotations

import os

import pytest

from hostile.conftest import NO_NETWORK

only_user = pytest.mark.parametrize("account", ["user"], indirect=True)


def deep(count):
    return b"[" * count + b"]" * count


@only_user
@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{", b'{"manifests":5}', b'{"manifests":[5,null,{}]}', deep(100_000),
        b'{"manifests":[{"digest":"sha256:../../../x","size":1}]}',
        b'{"manifests":[{"digest":5,"size":1,"annotations":[]}]}',
        b'{"manifests":[{"digest":"sha256:' + b"a" * 64 + b'","size":3,"annotations":{"org.opencontainers.image.ref.name":5}}]}',
    ],
)  # fmt: skip
def test_index_of_the_store_that_is_damaged(fresh_rcrun, busybox, text):
    """Others write it, too. The commands say so; those that need no image go on."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    (rcrun.store_dir / "index.json").write_bytes(text)
    for words in (("images",), ("run", "--rm", "--pull=never", "busybox", "true"), ("rmi", "busybox"),
                  ("image", "inspect", "busybox"), ("load", "-i", busybox), ("image", "prune", "-f")):  # fmt: skip
        got = rcrun(*words, timeout=60)
        assert "bug in" not in got.err, words
    rcrun("ps").check()
    rcrun("exec", "web", "true").check()
    rcrun("rm", "-f", "web").check()


@only_user
@pytest.mark.parametrize("name", ["container.json", "config.json", "exit.json"])
@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b'{"a":1}', b"\xff", deep(100_000), b'{"name":5,"id":7,"created":9}'],
)
def test_records_that_are_damaged(fresh_rcrun, busybox, name, text):
    """ps shows the rest, rm removes it."""
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "--name", "web", *NO_NETWORK, "busybox", "true").check()
    rcrun("create", "--name", "fine", *NO_NETWORK, "busybox", "true").check()
    container_id = rcrun("ps", "-aq", "--no-trunc", "-f", "name=web").out.strip()
    path = rcrun.store_dir / "containers" / container_id / name
    path.write_bytes(text)
    os.chown(path, rcrun.account.uid, rcrun.account.gid)
    for words in (("ps", "-a"), ("ps", "-as"), ("inspect", container_id), ("start", container_id),
                  ("logs", container_id), ("exec", container_id, "true"), ("wait", container_id)):  # fmt: skip
        got = rcrun(*words, timeout=60)
        assert "bug in" not in got.err, (words, got.err)
    assert "fine" in rcrun("ps", "-a").check().out
    got = rcrun("rm", "-f", container_id)
    assert "bug in" not in got.err
    assert rcrun("start", "-a", "fine").check().status == 0
    rcrun("rm", "-f", "fine").check()


@only_user
@pytest.mark.parametrize(
    "text", [b"", b"null", b"{}", b"[1]", deep(100_000), b'{"pid":"x","pid_start":-1}']
)
def test_state_that_is_damaged(fresh_rcrun, busybox, text):
    rcrun = fresh_rcrun()
    rcrun("load", "-i", busybox).check()
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    path = next((rcrun.account.runtime_dir / "rcrun").rglob("state.json"))
    good = path.read_bytes()
    path.write_bytes(text)
    for words in (("ps", "-a"), ("inspect", "web"), ("exec", "web", "true"), ("top", "web")):
        got = rcrun(*words, timeout=60)
        assert "bug in" not in got.err, (words, got.err)
    path.write_bytes(good)
    rcrun("rm", "-f", "web").check()
