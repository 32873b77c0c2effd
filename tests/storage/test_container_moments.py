"""What is shown of a container at any moment while it is started, fails to start, or is taken away."""

from __future__ import annotations

import os

import pytest

from rcrun import files
from rcrun.errors import NotFound, RcrunError
from rcrun.files import read_bytes, write_json
from rcrun.paths import Store
from rcrun.storage import claims, containers, sweep
from rcrun.storage.stillthere import StillThere

RECORD = {"auto_remove": False, "created": "2026-01-01T00:00:00.000000000Z", "launched": 0}
STATE = {"monitor": 1, "monitor_start": 1, "pid": 1, "pid_start": 1, "started": 7}


@pytest.fixture
def container(tmp_path):
    store = Store(str(tmp_path / "root"), str(tmp_path / "live"))
    with claims.claim(store) as claim:
        claim.claim_name("web")
        claim.container.record = {**RECORD, "id": claim.container.id, "name": "web"}
        claim.container.save(durable=False)
    os.makedirs(claim.container.live_dir)
    return claim.container


@pytest.fixture
def seen(container, monkeypatch):
    """What a reader who had the record from before sees before and after each write and each removal."""
    shown = []
    early = containers.load(container.store, container.id)

    def look():
        fresh = containers.load(container.store, container.id)
        for reader in (early, fresh):
            found = containers.status(reader)
            shown.append((found.word, found.exit_code))

    def watched(call):
        def wrapper(*args, **options):
            look()
            call(*args, **options)
            look()

        return wrapper

    monkeypatch.setattr(containers, "write_json", watched(files.write_json))
    monkeypatch.setattr(containers, "unlink_if_there", watched(files.unlink_if_there))
    return shown


def test_a_start_hides_no_end(container, seen):
    """Of a run that ended, and of one whose monitor was killed."""
    for path, document, code in (
        (container.path("exit.json"), {"exit_code": 3, "finished": 9}, 3),
        (container.live_path("state.json"), STATE, 137),
    ):
        write_json(path, document)
        seen.clear()
        containers.prepare_launch(container)
        assert set(seen) == {("exited", code)}


def test_a_failed_start_hides_no_end(container, seen):
    write_json(container.live_path("state.json"), STATE)
    containers.note_failure(container, "no")
    assert set(seen) == {("exited", 137)}
    assert container.record["error"] == "no"


def test_both_files_put_away_between_two_looks(container, monkeypatch):
    """The state was read, and the end is gone with it when that is looked for."""
    write_json(container.live_path("state.json"), STATE)
    write_json(container.path("exit.json"), {"exit_code": 3, "finished": 9})
    real = containers._read_exit

    def late(asked):
        monkeypatch.setattr(containers, "_read_exit", real)
        containers.prepare_launch(containers.load(container.store, container.id))
        return real(asked)

    monkeypatch.setattr(containers, "_read_exit", late)
    found = containers.status(container)
    assert (found.word, found.exit_code) == ("exited", 3)


@pytest.mark.parametrize("error", [None, FileNotFoundError(2, "no"), RcrunError("no")])
def test_work_on_what_goes_away(container, error):
    with pytest.raises(NotFound, match="no such container: web"), StillThere(container):
        claims.discard(container)
        if error:
            raise error


def test_work_on_what_stays(container):
    with StillThere(container):
        pass
    with pytest.raises(RcrunError, match="mine"), StillThere(container):
        raise RcrunError("mine")


def test_a_bug_is_not_hidden(container):
    with pytest.raises(ZeroDivisionError), StillThere(container):
        claims.discard(container)
        raise ZeroDivisionError


def test_config_of_what_went_away_is_not_damaged(container):
    claims.discard(container)
    with pytest.raises(NotFound, match="no such container: web"):
        container.config()


def test_the_sweep_takes_the_noted_cgroup(container, tmp_path):
    """A start that was killed before it could write the record."""
    group = tmp_path / "group"
    group.mkdir()
    with open(container.path("cgroup"), "w", encoding="ascii") as file:
        file.write(str(group))
    assert container.noted_cgroup() == str(group)
    os.unlink(container.path("container.json"))
    os.utime(container.dir, (0, 0))
    sweep.sweep(container.store)
    assert not group.exists()
    assert not os.path.exists(container.dir)


def test_read_bytes(tmp_path):
    for size in (0, 1, files.SMALL - 1, files.SMALL, files.SMALL * 2 + 1):
        (tmp_path / "file").write_bytes(b"x" * size)
        assert read_bytes(str(tmp_path / "file")) == b"x" * size
    with pytest.raises(IsADirectoryError) as caught:
        read_bytes(str(tmp_path))
    assert caught.value.filename == str(tmp_path)


def test_one_that_goes_away_after_its_record_was_read(container):
    """It ran, so it must not be shown as created."""
    claims.discard(container)
    assert containers.status(container).word == "removing"


def test_a_name_is_not_changed_while_the_monitor_takes_the_container_away(container, monkeypatch):
    real = claims.claim_name

    def claim_and_lose(store, name, container_id):
        real(store, name, container_id)
        os.rename(container.dir, f"{store.root_dir}/gone")

    monkeypatch.setattr(claims, "claim_name", claim_and_lose)
    with pytest.raises(NotFound, match="no such container: web"):
        claims.rename(container, "other")
    assert not os.path.lexists(container.store.name_path("other"))
