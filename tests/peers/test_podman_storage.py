"""containers-storage: what podman built, read from podman's own store and run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("podman", "userns"),
    pytest.mark.parametrize("account", ["root"], indirect=True),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """Podman takes no long path for its live state."""
    with tempfile.TemporaryDirectory(prefix="rcrun-", dir="/dev/shm") as folder:
        yield Path(folder)


def test_an_image_that_podman_built(
    fresh_rcrun: Callable[..., Rcrun], tmp_path: Path, place: Path
) -> None:
    """With whiteouts, links, holes, owners, and names that are long: the tar is the one that it was."""
    root, run = place / "root", place / "run"
    podman = ["podman", "--root", root, "--runroot", run, "--storage-driver", "vfs"]
    for number in range(2):
        folder = tmp_path / f"layer{number}"
        (folder / "etc").mkdir(parents=True)
        (folder / "etc" / ("n" * 180)).write_text("long\n")
    (tmp_path / "layer0/gone").write_text("gone\n")
    (tmp_path / "layer0/link").symlink_to("etc")
    (tmp_path / "layer0/secret").write_text("s\n")
    (tmp_path / "layer0/secret").chmod(0o600)
    with open(tmp_path / "layer0/hole", "wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "Containerfile").write_text(
        "FROM scratch\nADD layer0 /\nCOPY --chown=7:8 layer1 /second\nLABEL a=b\n"
    )
    build = [*podman, "build", "-q", "--layers", "-t", "made:1", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    rcrun = fresh_rcrun()
    theirs = f"containers-storage:[vfs@{root}+{run}]"
    rcrun("image", "copy", "-q", f"{theirs}made:1", "here").check()
    told = json.loads(rcrun("image", "inspect", "here").check().out)[0]
    inspect = [*podman, "image", "inspect", "made:1"]
    (known,) = json.loads(subprocess.run(inspect, check=True, capture_output=True).stdout)
    assert told["RootFS"]["Layers"] == known["RootFS"]["Layers"]
    assert told["Id"] == f"sha256:{known['Id']}"
    assert told["Config"]["Labels"]["a"] == "b"
    top = rcrun.account.new_dir("copy")
    rcrun("image", "copy", "-q", f"{theirs}@{known['Id'][:12]}", f"oci:{top}/x:1").check()
    missing = rcrun("image", "copy", "-q", f"{theirs}other", "x")
    assert (missing.status, "it has localhost/made:1" in missing.err) == (1, True)
    # One byte changed behind podman's back is found by the digest.
    for changed in root.glob("vfs/dir/*/secret"):
        changed.write_text("t\n")
    damaged = fresh_rcrun()("image", "copy", "-q", f"{theirs}made:1", "x")
    assert "is not what its image names" in damaged.err
