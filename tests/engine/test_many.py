"""Many at once: no container and no name is lost or given twice."""

from __future__ import annotations

import pytest

NO_NETWORK = ("--network", "none")
COUNT = 50


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_fifty_runs_at_once(rcrun):
    processes = []
    for number in range(COUNT):
        name = ("--name", f"given{number}") if number % 2 else ()
        words = ("run", "-d", *name, *NO_NETWORK, "busybox", "sleep", "1000")
        processes.append(rcrun.popen(*words, stdout=-1, stderr=-1))
    answers = [process.communicate(timeout=250) for process in processes]
    assert [err for _, err in answers if err] == []
    ids = {out.decode().strip() for out, _ in answers}
    assert len(ids) == COUNT
    rows = [
        line.split()
        for line in rcrun("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}").out.splitlines()
    ]
    assert {row[0] for row in rows} == ids
    names = {row[1] for row in rows}
    assert len(names) == COUNT
    assert {f"given{number}" for number in range(1, COUNT, 2)} <= names


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_one_name_for_many_goes_to_one(rcrun):
    words = ("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000")
    processes = [rcrun.popen(*words, stdout=-1, stderr=-1) for _ in range(12)]
    answers = [process.communicate(timeout=250) for process in processes]
    assert sorted(process.returncode for process in processes) == [0] + [125] * 11
    assert sum(b"is already in use by container" in err for _, err in answers) == 11
    assert len(rcrun("ps", "-aq").out.split()) == 1


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_rm_by_many_at_once(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "1000").check()
    processes = [rcrun.popen("rm", "-f", "web", stdout=-1, stderr=-1) for _ in range(8)]
    answers = [process.communicate(timeout=250) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, answers
    assert rcrun("ps", "-aq").out == ""


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_the_first_commands_of_a_store_at_once(fresh_rcrun, account):
    rcrun = fresh_rcrun()
    root = account.new_dir("root")
    words = ("create", *NO_NETWORK, "--rootfs", root, "true")
    processes = [rcrun.popen(*words, stdout=-1, stderr=-1) for _ in range(16)]
    answers = [process.communicate(timeout=250) for process in processes]
    assert [err for _, err in answers if err] == []
    assert len(rcrun("ps", "-aq").out.split()) == 16
    rcrun("rm", "-fa").check()
