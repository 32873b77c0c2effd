"""Classes of service over a tree that is like the kernel's resctrl; no machine of the tests has the real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rcrun.cgroup import resctrl
from rcrun.errors import HostLacks, InvalidInput
from rcrun.kernel.process import is_alive
from rcrun.runtime import create, execute, lifecycle, making
from rcrun.runtime.host import current
from rcrun.runtime.state import Container
from runtime.conftest import Bundle

DEFAULT = "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "resctrl"
    group(root, DEFAULT)
    (root / "info").mkdir()
    (root / "info/last_cmd_status").write_text("ok\n")
    return root


def group(path: Path, schemata: str = "") -> Path:
    """What the kernel fills a new directory with."""
    (path / "mon_groups").mkdir(parents=True)
    (path / "tasks").touch()
    (path / "schemata").write_text(schemata)
    return path


@pytest.fixture
def like_the_kernel(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that is made there comes with files, and goes with them."""
    make = os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        make(path, mode)
        if not isinstance(path, str):
            return  # of pathlib: the files below are being made
        if Path(path).parent.name == "mon_groups":
            Path(path, "tasks").touch()
        elif path.startswith(str(tree)):
            group(Path(path), DEFAULT)

    monkeypatch.setattr(resctrl.os, "mkdir", mkdir)
    monkeypatch.setattr(resctrl.os, "rmdir", with_its_files(tree))


def with_its_files(tree: Path) -> Callable[..., None]:
    remove = os.rmdir

    def rmdir(path: str, **options: int) -> None:
        if path.startswith(str(tree)):
            Path(path).rename(tree / f"removed-{len(list(tree.iterdir()))}")
        else:
            remove(path, **options)

    return rmdir


@pytest.mark.usefixtures("like_the_kernel")
def test_a_class_of_the_containers_own(tree: Path) -> None:
    asked = {"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=1"]}
    placed = resctrl.place(str(tree), asked, "box")
    assert (tree / "box/schemata").read_text() == "L3:0=f\nMB:0=20\nL2:0=1\n"
    assert placed.tasks == [f"{tree}/box/tasks"]
    assert placed.made == [f"{tree}/box"]
    resctrl.remove(placed.made)
    assert not (tree / "box").exists()


@pytest.mark.usefixtures("like_the_kernel")
def test_without_a_schema_none_is_written(tree: Path) -> None:
    assert resctrl.place(str(tree), {}, "box").made == [f"{tree}/box"]
    assert (tree / "box/schemata").read_text() == DEFAULT


@pytest.mark.usefixtures("like_the_kernel")
def test_a_named_class_is_made_and_stays(tree: Path) -> None:
    placed = resctrl.place(str(tree), {"closID": "gold", "schemata": ["L3:0=f"]}, "box")
    assert (tree / "gold/schemata").read_text() == "L3:0=f\n"
    assert placed.made == []


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"l3CacheSchema": "L3:0=7FF"}, True),
        ({"l3CacheSchema": "L3:1=7ff;0=7ff", "memBwSchema": "MB:0=100"}, True),
        ({"l3CacheSchema": "L3:0=f"}, False),
        ({"l3CacheSchema": "L3:2=f"}, False),
        ({"memBwSchema": "MB:0=10"}, False),
        ({"schemata": ["MB:1=10"]}, False),
    ],
)
def test_a_class_that_exists_is_as_asked_or_an_error(tree: Path, asked: dict, fits: bool) -> None:
    group(tree / "gold", DEFAULT)
    if fits:
        placed = resctrl.place(str(tree), {"closID": "gold", **asked}, "box")
        assert placed.tasks == [f"{tree}/gold/tasks"]
        return
    with pytest.raises(InvalidInput, match=r'"gold" of "linux.intelRdt" exists and has another'):
        resctrl.place(str(tree), {"closID": "gold", **asked}, "box")
    assert (tree / "gold/schemata").read_text() == DEFAULT


def test_a_class_that_is_only_named_must_exist(tree: Path) -> None:
    with pytest.raises(InvalidInput, match=r'"gold" of "linux.intelRdt" does not exist'):
        resctrl.place(str(tree), {"closID": "gold"}, "box")
    group(tree / "gold")
    assert resctrl.place(str(tree), {"closID": "gold"}, "box").tasks == [f"{tree}/gold/tasks"]


def test_the_default_class(tree: Path) -> None:
    placed = resctrl.place(str(tree), {"closID": "/"}, "box")
    assert (placed.tasks, placed.made) == ([f"{tree}/tasks"], [])


@pytest.mark.usefixtures("like_the_kernel")
@pytest.mark.parametrize("closid", ["", "/", "gold"])
def test_monitoring(tree: Path, closid: str) -> None:
    group(tree / "gold", DEFAULT)
    placed = resctrl.place(str(tree), {"closID": closid, "enableMonitoring": True}, "box")
    top = {"": tree / "box", "/": tree, "gold": tree / "gold"}[closid]
    assert placed.tasks == [f"{top}/tasks", f"{top}/mon_groups/box/tasks"]
    resctrl.remove(placed.made)
    assert not (top / "mon_groups/box").exists()
    assert (tree / "box").exists() is False
    assert (tree / "gold").exists()


@pytest.mark.usefixtures("like_the_kernel")
def test_nothing_is_left_where_monitoring_is_not_to_be_had(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = resctrl.os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        if "/mon_groups/" in str(path):
            raise OSError(28, "No space left on device")
        make(path, mode)

    gone: list[str] = []
    monkeypatch.setattr(resctrl.os, "mkdir", mkdir)
    monkeypatch.setattr(resctrl, "remove", gone.extend)
    with pytest.raises(HostLacks, match=r"mon_groups/box.*No space left") as caught:
        resctrl.place(str(tree), {"enableMonitoring": True}, "box")
    assert "monitoring groups" in str(caught.value.hint)
    assert gone == [f"{tree}/box"]


@pytest.mark.parametrize("name", ["info", "mon_groups", "mon_data", "..", "a/b"])
def test_names_that_are_the_kernels(tree: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match='cannot be the "closID"'):
        resctrl.place(str(tree), {"closID": name}, "box")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"memBwSchema": "L3:0=f"}, "begins with MB:"),
        ({"memBwSchema": "MB:0=1\nL3:0=f"}, "begins with MB:"),
        ({"schemata": ["L3:0=f\nMB:0=1"]}, "holds a line break"),
    ],
)
def test_schemas_that_are_none(tree: Path, asked: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        resctrl.place(str(tree), asked, "box")


def test_bandwidth_within_the_schema_of_the_cache_is_left_to_its_own_field() -> None:
    asked = {"l3CacheSchema": "L3:0=f\nMB:0=70\nL3CODE:0=1", "memBwSchema": "MB:0=20"}
    assert resctrl.schemata_lines(asked) == ["L3:0=f", "L3CODE:0=1", "MB:0=20"]


def test_the_kernels_own_words_for_a_schema_that_it_refuses(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, text: str) -> None:
        (tree / "info/last_cmd_status").write_text("Unknown domain id 9\n")
        raise OSError(22, "Invalid argument")

    group(tree / "gold", DEFAULT)
    monkeypatch.setattr(resctrl, "_write", refuse)
    with pytest.raises(InvalidInput, match=r'"L2:9=f" .*: Unknown domain id 9'):
        resctrl.place(str(tree), {"closID": "gold", "schemata": ["L2:9=f"]}, "box")


def test_a_host_without_it() -> None:
    with pytest.raises(HostLacks, match="resctrl file system") as caught:
        resctrl.place("", {}, "box")
    assert "mount -t resctrl" in str(caught.value.hint)


@pytest.mark.requires("userns")
def test_a_host_without_it_makes_no_container(bundle: Bundle, ours: None) -> None:
    if resctrl.find():
        pytest.skip("the host has it")
    result = bundle.linux(intelRdt={"closID": "gold"}).run()
    assert result.status == 1
    assert '"linux.intelRdt" needs the resctrl file system' in result.err
    assert bundle.runtime("state", bundle.id).status == 1


@pytest.mark.requires("userns")
@pytest.mark.usefixtures("like_the_kernel", "ours")
@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_the_processes_of_a_container_are_in_it(
    bundle: Bundle, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From create to delete, in this process: the real shim, and a tree in place of the kernel's."""
    monkeypatch.setattr(resctrl, "find", lambda: str(tree))
    bundle.args("sleep", "1000").linux(
        intelRdt={"l3CacheSchema": "L3:0=f", "enableMonitoring": True}
    )
    bundle.write()
    host, environ = current(dict(os.environ)), dict(os.environ)
    made = create.create(bundle.root, bundle.id, making.Request(str(bundle.dir)), host, environ)
    [pid, _] = made.init() or [0, 0]
    files = [tree / bundle.id / "tasks", tree / bundle.id / "mon_groups" / bundle.id / "tasks"]
    assert [file.read_text() for file in files] == [str(pid)] * 2
    lifecycle.start(made)
    run_there(made, bundle, host)
    for file in files:
        assert file.read_text() not in ("", str(pid))
    lifecycle.delete(made, force=True)
    assert not (tree / bundle.id).exists()
    assert not is_alive(pid, 0)


def run_there(container: Container, bundle: Bundle, host: object) -> None:
    spec = container.config()
    process = execute.process_of(spec, execute.Changes(["/init", "sleep", "1"]))
    execute.execute(container, spec, process, execute.Session(detach=True), host, failed=[])
