"""One store, several sessions or hosts: what runs where we cannot see it is neither started twice nor taken away."""

from __future__ import annotations

import json

import pytest

from all_accounts import busybox_archive
from robust.conftest import NO_NETWORK

pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)
SLEEP = ("busybox", "sleep", "1000")


def session(rcrun, name: str) -> dict[str, str]:
    folder = rcrun.account.new_dir(name)
    folder.chmod(0o700)
    return {"RCRUN_RUNROOT": "", "XDG_RUNTIME_DIR": str(folder)}


def test_sessions_with_other_runtime_directories(fresh_rcrun, accounts):
    """As by ssh, su, cron or a batch system: all find what the first one has started."""
    rcrun = fresh_rcrun()
    rcrun("load", "-q", "-i", busybox_archive(accounts)).check()
    one, other = session(rcrun, "one"), session(rcrun, "other")
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *SLEEP, env=one).check()
    assert rcrun("ps", "--format", "{{.Names}}", env=other).check().out == "web\n"
    rcrun("container", "prune", "-f", env=other).check()
    assert rcrun("exec", "web", "echo", "here", env=other).check().out == "here\n"
    asked = {"RCRUN_RUNROOT": f"{other['XDG_RUNTIME_DIR']}/asked"}
    live = f"{one['XDG_RUNTIME_DIR']}/rcrun"
    for words in (("start", "web"), ("rm", "web"), ("rm", "-f", "web")):
        got = rcrun(*words, env=asked)
        assert (got.status, f"hint: run: RCRUN_RUNROOT={live} rcrun {words[0]} web" in got.err) == (
            1,
            True,
        )
    rcrun("container", "prune", "-f", env=asked).check()
    assert rcrun("ps", "--format", "{{.Names}}", env=one).check().out == "web\n"
    rcrun("rm", "-f", "web", env=other).check()


def test_another_host(rcrun):
    """Whose end nobody has written is not ours to take, unless one says so."""
    for name in ("web", "old"):
        rcrun("run", "-d", "--name", name, *NO_NETWORK, *SLEEP).check()
        rcrun("kill", name).check()
        rcrun("wait", name).check()
        made = rcrun("inspect", "-f", "{{.Id}}", name).check().out.strip()
        folder = rcrun.store_dir / "containers" / made
        record = json.loads((folder / "container.json").read_text())
        record.update(boot="00000000-0000-0000-0000-000000000000", host="node-7")
        (folder / "container.json").write_text(json.dumps(record))
        (folder / "exit.json").unlink()
        (rcrun.account.runtime_dir / "rcrun/containers" / made / "state.json").unlink()
    for words, hint in (
        (("start", "web"), "rcrun restart web"),
        (("rm", "web"), "rcrun rm -f web"),
    ):
        got = rcrun(*words)
        assert got.status == 1
        assert 'it was started on host "node-7", and may run there' in got.err
        assert got.err.endswith(f"hint: do it there; if that host is gone: {hint}\n")
    assert rcrun("container", "prune", "-f").check().out == "Total reclaimed space: 0B\n"
    rcrun("restart", "web").check()
    rcrun("rm", "-f", "web", "old").check()
