"""Archives that mean ill."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tars
from tars import archive, directory, file, hard_link, pax, symlink
from unpacked import entries, unpack

from rcrun.errors import RcrunError
from rcrun.kernel import syscalls

pytestmark = pytest.mark.usefixtures("umask")


@pytest.fixture(params=["openat2", "steps"])
def _resolving(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does it, and as we do it where it cannot."""
    if request.param == "steps":
        monkeypatch.setattr(syscalls, "_open_in_root", syscalls._by_steps)


@pytest.mark.usefixtures("_resolving")
@pytest.mark.parametrize("name", tars.HOSTILE)
def test_hostile_archives_are_refused_by_name(fast_dir: Path, name: str) -> None:
    data, refusal = tars.HOSTILE[name]
    outside = fast_dir / "outside"
    outside.mkdir()
    with pytest.raises(RcrunError, match=refusal):
        unpack(data, fast_dir / "root")
    assert entries(outside) == []
    assert sorted(os.listdir(fast_dir)) == ["outside", "root"]


@pytest.mark.usefixtures("_resolving")
def test_links_never_lead_out(fast_dir: Path) -> None:
    """A link to the outside is only a link; what goes through it lands in the root."""
    outside = fast_dir / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    root = fast_dir / "root"
    unpack(
        archive(
            directory(str(outside).lstrip("/").split("/")[0]),
            symlink("absolute", "/"),
            symlink("climbing", "../../../../../../.."),
            file("absolute/one", b"1"),
            file("climbing/two", b"2"),
            symlink("etc", str(outside)),
            directory(str(outside)),
            file("etc/three", b"3"),
            hard_link("linked", "absolute/one"),
        ),
        root,
    )
    assert entries(outside) == ["kept"]
    assert (root / "one").read_text() == "1"
    assert (root / "two").read_text() == "2"
    assert (root / str(outside).lstrip("/") / "three").read_text() == "3"
    assert (root / "linked").stat().st_nlink == 2


@pytest.mark.usefixtures("_resolving")
def test_a_link_in_the_last_component_is_replaced_not_followed(fast_dir: Path) -> None:
    victim = fast_dir / "victim"
    victim.write_text("victim")
    root = fast_dir / "root"
    unpack(
        archive(symlink("a", str(victim)), file("a", b"new"), symlink("d", "/"), directory("d")),
        root,
    )
    assert victim.read_text() == "victim"
    assert (root / "a").read_text() == "new"
    assert not (root / "a").is_symlink()
    assert stat.S_ISDIR((root / "d").lstat().st_mode)


@pytest.mark.usefixtures("_resolving")
def test_a_directory_swapped_for_a_link_keeps_its_target_as_it_is(fast_dir: Path) -> None:
    """Times and modes of directories are set last, when the name may mean something else."""
    victim = fast_dir / "victim"
    victim.mkdir(mode=0o700)
    root = fast_dir / "root"
    unpack(
        archive(directory("a", mode=0o777, mtime=5), symlink("a", str(victim)), directory("b")),
        root,
    )
    assert victim.stat().st_mode & 0o777 == 0o700
    assert (root / "a").is_symlink()


def test_absolute_names_are_taken_from_the_root(fast_dir: Path) -> None:
    unpack(archive(file("/a", b"1"), file("//b//./c", b"2"), file("./d", b"3")), fast_dir / "root")
    assert entries(fast_dir / "root") == ["a", "b", "b/c", "d"]


def test_deep_trees(fast_dir: Path) -> None:
    """Deeper than one path can name: through a link, again and again; and removed again."""
    deep = "/".join(["d"] * 1000)
    root = fast_dir / "root"
    members = [pax(("path", f"{deep}/x")), directory("d")]
    for number in range(3):
        members += [pax(("linkpath", deep)), symlink(f"l{number}", "x")]
        deep = f"l{number}/" + "/".join(["d"] * 1000)
        members += [pax(("path", f"{deep}/x")), directory("d")]
    unpack(archive(*members), root)
    from rcrun.storage.trees import remove_tree

    remove_tree(str(root))
    assert not root.exists()


def test_times_beyond_all_clocks(fast_dir: Path) -> None:
    """A header can tell of times that no C type has; a file system keeps the nearest that it can."""
    ages = {"past": b"\xff" + b"\0" * 11, "future": b"\x80" + b"\xff" * 11}
    unpack(archive(*(file(name, mtime=age) for name, age in ages.items())), fast_dir / "root")
    times = {name: os.stat(fast_dir / "root" / name).st_mtime for name in ages}
    assert times["past"] < 0
    assert times["future"] > 1 << 32
