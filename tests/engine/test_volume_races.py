"""Volumes that are made, used and taken away at the same time: nothing is lost, and each error says one thing."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, clean, names, sh
from rcrun.errors import NotFound
from rcrun.paths import Store
from rcrun.storage import volumes
from rcrun.storage.volumes import VolumeLock

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture
def rcrun(rcrun: Any) -> Any:
    clean(rcrun)
    yield rcrun
    clean(rcrun)


def at_once(count: int, work: Any) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_many_create_one(rcrun: Any) -> None:
    done = at_once(8, lambda number: rcrun("volume", "create", "-l", f"n={number}", "data"))
    assert [got.out for got in done] == ["data\n"] * 8
    assert names(rcrun) == ["data"]


def test_many_first_uses_fill_it_once(rcrun: Any) -> None:
    rcrun("volume", "create", "site").check()
    script = "cat /var/www/index.html"
    done = at_once(6, lambda _: sh(rcrun, script, "-v", "site:/var/www"))
    assert done == ["It works.\n"] * 6


def test_runs_beside_rm(rcrun: Any) -> None:
    """A run finds the volume or makes it anew; rm removes it or says that it is in use."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    ended = threading.Event()
    said: list[str] = []

    def take_away(_: int) -> None:
        while not ended.is_set():
            got = rcrun("volume", "rm", "data")
            said.append(got.err.partition("\n")[0])
            time.sleep(chance.random() / 50)

    with ThreadPoolExecutor(2) as pool:
        removers = [pool.submit(take_away, number) for number in range(2)]
        try:
            for _ in range(15):
                words = ("-v", "data:/var/www")
                assert sh(rcrun, "cat /var/www/index.html", *words) == "It works.\n", f"seed {seed}"
        finally:
            ended.set()
        for remover in removers:
            remover.result()
    unexpected = {
        line
        for line in said
        if line and "no such volume: data" not in line and "volume is in use" not in line
    }
    assert not unexpected, f"seed {seed}"


def test_prune_beside_starts(rcrun: Any) -> None:
    ended = threading.Event()

    def prune() -> None:
        while not ended.is_set():
            rcrun("volume", "prune", "-af").check()

    with ThreadPoolExecutor(1) as pool:
        pruner = pool.submit(prune)
        try:
            for number in range(8):
                words = ("--name", f"box-{number}", *NO_NETWORK, "-v", "/anon", "-v", "shared:/s")
                rcrun(
                    "run",
                    "-d",
                    *words,
                    "busybox",
                    "sh",
                    "-c",
                    "touch /anon/x /s/x && exec sleep 100",
                ).check()
        finally:
            ended.set()
        pruner.result()
    for number in range(8):
        rcrun("exec", f"box-{number}", "ls", "/anon/x", "/s/x").check()
    assert len(names(rcrun)) == 9


# ---- the locks themselves


@pytest.fixture
def store(tmp_path: Any) -> Store:
    made = Store(str(tmp_path / "store"), str(tmp_path / "live"))
    assert volumes.make(made, "data", "2026-01-01T00:00:00Z")
    return made


def test_who_makes_a_container_keeps_its_volume(store: Store) -> None:
    making = VolumeLock(store, "data", shared=True)
    making.acquire()
    assert not VolumeLock(store, "data").acquire(wait=False)
    assert VolumeLock(store, "data", shared=True).acquire(wait=False)
    assert volumes.take_unused(store, ["data"], wait=False) == {}
    making.release()


def test_a_lock_on_what_went_away_is_none(store: Store) -> None:
    removing = VolumeLock(store, "data")
    removing.acquire()
    waiting = VolumeLock(store, "data", shared=True)
    failed: list[Exception] = []

    def wait() -> None:
        try:
            waiting.acquire()
        except NotFound as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    volumes.discard(removing)
    removing.release()
    thread.join(60)
    assert len(failed) == 1
    assert volumes.make(store, "data", "2026-01-01T00:00:00Z")
    waiting.acquire()
    waiting.release()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../data", "nosuch"])
def test_names_that_are_none(store: Store, name: str) -> None:
    assert volumes.find(store, name) is None
    with pytest.raises(NotFound):
        volumes.load(store, name)
