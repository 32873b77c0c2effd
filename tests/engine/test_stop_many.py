"""stop and restart of several: side by side, told in order."""

from __future__ import annotations

import pytest

NO_NETWORK = ("--network", "none")
# Told to end, it says so to the others and goes when all have been told.
SCRIPT = (
    "trap 'echo $0 >>/data/told; until [ $(wc -l </data/told) -ge 2 ]; do sleep 0.02; done; exit 7' TERM;"
    " echo ready; while :; do sleep 0.02; done"
)


def begin(rcrun, name):
    words = ("run", "-d", "--name", name, *NO_NETWORK, "-v", "told:/data", "busybox")
    rcrun(*words, "sh", "-c", SCRIPT, name).check()
    await_words(rcrun, name, 1)


def await_words(rcrun, name, count):
    for _ in range(500):
        if rcrun("logs", name).check().out.count("ready") == count:
            return
    raise AssertionError(f"{name} is not ready")


@pytest.fixture
def both(rcrun):
    rcrun("volume", "create", "told").check()
    for name in ("one", "two"):
        begin(rcrun, name)
    yield rcrun
    rcrun("rm", "-f", "one", "two").check()
    rcrun("volume", "rm", "told").check()


def test_all_are_told_before_one_is_waited_for(both):
    """Each waits for the other: one after another would last for ever."""
    answer = both("stop", "-t", "-1", "two", "one").check()
    assert answer.out == "two\none\n"
    form = "{{.State.Status}} {{.State.ExitCode}}"
    assert both("inspect", "-f", form, "one", "two").out == "exited 7\nexited 7\n"


def test_restart_of_both(both):
    assert both("restart", "-t", "-1", "one", "two").check().out == "one\ntwo\n"
    await_words(both, "one", 2)
    await_words(both, "two", 2)


def test_one_that_is_not_there_stops_nobody_else(both):
    answer = both("stop", "-t", "-1", "one", "nobody", "two")
    assert (answer.status, answer.out) == (1, "one\ntwo\n")
    assert answer.err == "rcrun: error: no such container: nobody\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_more_than_there_are_threads(rcrun):
    names = [f"many{number}" for number in range(60)]
    for name in names:
        rcrun("create", "--name", name, *NO_NETWORK, "busybox", "true").check()
    assert rcrun("stop", *names, names[0]).check().out.split() == [*names, names[0]]
