"""Containers on disk: claims, names, status after any crash."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from rcrun.errors import AlreadyExists, InvalidInput, NotFound
from rcrun.files import write_json
from rcrun.kernel.process import start_time
from rcrun.paths import Store
from rcrun.storage import claims, containers, sweep
from rcrun.storage.trees import remove_tree

RECORD = {"auto_remove": False, "created": "2026-01-01T00:00:00.000000000Z", "launched": 0}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "root"), str(tmp_path / "live"))


def make(store, name, **changes):
    with claims.claim(store) as claim:
        claim.claim_name(name)
        claim.container.record = {**RECORD, "id": claim.container.id, "name": name, **changes}
        claim.container.save(durable=False)
        return claim.container


def write_state(container, pid, pid_start, monitor, monitor_start):
    os.makedirs(container.live_dir, exist_ok=True)
    state = {"pid": pid, "pid_start": pid_start, "monitor": monitor}
    write_json(
        container.live_path("state.json"), {**state, "monitor_start": monitor_start, "started": 7}
    )


def write_exit(container, code=3):
    write_json(container.path("exit.json"), {"exit_code": code, "finished": 9, "oom_killed": False})


def test_find_by_id_prefix_and_name(store):
    one = make(store, "one")
    for text in (one.id, one.id[:12], "one", "/one"):
        assert containers.find(store, text).id == one.id


@pytest.mark.parametrize("text", ["nothing", "", "..", "../one", "0" * 64, "a" * 65])
def test_find_nothing(store, text):
    make(store, "one")
    with pytest.raises(NotFound, match="no such container"):
        containers.find(store, text)


def test_a_prefix_of_two_is_ambiguous(store):
    ids = sorted(make(store, f"c{i}").id for i in range(17))
    first = next(a[0] for a, b in itertools.pairwise(ids) if a[0] == b[0])
    with pytest.raises(InvalidInput):
        containers.find(store, first)


def test_a_name_is_claimed_once_and_the_loser_leaves_nothing(store):
    one = make(store, "web")
    with pytest.raises(AlreadyExists, match=f'"web" is already in use by container "{one.id}"'):
        make(store, "web")
    assert os.listdir(store.path("containers")) == [one.id]
    assert os.listdir(store.trash_dir()) == []


def test_a_discarded_container_frees_its_name(store):
    one = make(store, "web")
    remove_tree(claims.discard(one))
    assert os.listdir(store.path("names")) == []
    assert make(store, "web").id != one.id


def test_the_name_of_a_vanished_container_is_reclaimed(store):
    one = make(store, "web")
    os.rename(one.dir, one.dir + "-gone")
    two = make(store, "web")
    assert containers.find(store, "web").id == two.id


def test_the_name_of_a_creation_that_was_killed_is_reclaimed(store):
    with claims.claim(store) as claim:
        claim.claim_name("web")
        with pytest.raises(AlreadyExists):
            make(store, "web")
        claim.lock.release()  # what the kernel does for a killed process
        assert make(store, "web").name == "web"


def test_rename(store):
    one = make(store, "old")
    two = make(store, "other")
    with pytest.raises(AlreadyExists):
        claims.rename(one, "other")
    claims.rename(one, "new")
    assert containers.find(store, "new").id == one.id
    with pytest.raises(NotFound):
        containers.find(store, "old")
    assert make(store, "old").id not in (one.id, two.id)


def test_both_halves_of_a_rename_that_was_killed_do_no_harm(store):
    one = make(store, "old")
    claims.claim_name(store, "new", one.id)  # killed here: the record still says old
    assert containers.find(store, "old").id == one.id
    assert make(store, "new").id != one.id
    one.record["name"] = "newer"
    one.save()  # killed here: the old name was not given up
    with pytest.raises(NotFound):
        containers.find(store, "old")
    assert make(store, "old").id != one.id


def test_locking_a_container_that_went_away(store):
    one = make(store, "web")
    remove_tree(claims.discard(one))
    with pytest.raises(NotFound), claims.ContainerLock(one):
        pass
    two = make(store, "two")
    with claims.ContainerLock(two):
        assert not claims.ContainerLock(two).acquire(wait=False)


def test_status_created_and_running(store):
    one = make(store, "web")
    assert containers.status(one).word == "created"
    us = os.getpid()
    write_state(one, us, start_time(us), us, start_time(us))
    status = containers.status(one)
    assert (status.word, status.pid, status.started) == ("running", us, 7)


def test_status_while_the_monitor_is_about_to_write_the_end(store):
    one = make(store, "web")
    us = os.getpid()
    write_state(one, us, 1, us, start_time(us))
    assert containers.status(one).word == "running"
    write_exit(one)
    status = containers.status(one)
    assert (status.word, status.exit_code, status.monitor) == ("exited", 3, us)


def test_status_after_the_monitor_was_killed(store):
    one = make(store, "web")
    write_state(one, os.getpid(), 1, os.getpid(), 1)
    status = containers.status(one)
    assert (status.word, status.exit_code) == ("exited", 137)


def test_status_after_the_host_went_down(store):
    one = make(store, "web", launched=time.time_ns(), boot="another")
    status = containers.status(one)
    assert (status.word, status.exit_code) == ("exited", 255)


def test_a_start_that_was_killed_shows_the_end_before_it(store):
    one = make(store, "web")
    containers.prepare_launch(one)
    assert containers.status(one).word == "created"
    write_exit(one, 5)
    containers.prepare_launch(containers.find(store, "web"))
    status = containers.status(containers.find(store, "web"))
    assert (status.word, status.exit_code) == ("exited", 5)


def test_a_failed_start_is_noted(store):
    one = make(store, "web")
    containers.prepare_launch(one)
    containers.note_failure(one, "no such command")
    again = containers.find(store, "web")
    assert containers.status(again).word == "created"
    assert again.record["error"] == "no such command"


def test_a_damaged_record_is_shown_and_an_empty_one_is_a_leftover(store):
    one = make(store, "one")
    with open(one.path("container.json"), "w") as file:
        file.write("{")
    assert "damaged" in containers.find(store, one.id).record["error"]
    with open(one.path("container.json"), "w"):
        pass
    assert containers.every(store) == []


def test_the_sweep_takes_leftovers_and_nothing_else(store):
    kept = make(store, "kept")
    os.makedirs(kept.live_dir)
    with claims.claim(store) as claim:
        claim.claim_name("half")
        leftover = claim.container
        os.utime(leftover.dir, (0, 0))
        assert sweep.sweep(store) == []  # it is locked: somebody makes it now
        claim.lock.release()
        assert sweep.sweep(store) == [f"{store.trash_dir()}/{leftover.id}"]
        assert os.listdir(store.path("names")) == ["kept"]
    os.makedirs(f"{store.live_dir}/containers/gone")
    assert sweep.sweep(store) == [f"{store.live_dir}/containers/gone"]
    assert os.listdir(store.path("containers")) == [kept.id]
