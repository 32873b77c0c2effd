"""What pip installed is whole: the shim is a program, the launchers are untouched and work from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from accounts import CHECKOUT, SYSTEM_PATH, Account

VENV = CHECKOUT / ".venv"
LAUNCHERS = ["rcrun", "rcrun-oci"]

installed = pytest.mark.skipif(
    "RCRUN_TEST_BIN" not in os.environ, reason="the installed rcrun is fresh in `make test` alone"
)


def site_packages() -> Path:
    (found,) = VENV.glob("lib/python3*/site-packages")
    return found


@installed
def test_the_wheel_is_for_this_machine_and_any_python() -> None:
    (info,) = site_packages().glob("rcrun-*.dist-info")
    lines = (info / "WHEEL").read_text(encoding="ascii").splitlines()
    assert f"Tag: py3-none-linux_{os.uname().machine}" in lines


@installed
def test_the_package_is_the_checkouts() -> None:
    """Every module and data file, and nothing that was removed."""
    for base, package in ((CHECKOUT, "rcrun"), (CHECKOUT / "rcrun-cli", "rcrun_cli")):
        ours = files(base / package) - {"shim/rcrun-shim", "shim/rcrun-shim-asan", "shim/build"}
        theirs = files(site_packages() / package)
        assert theirs - {"shim/rcrun-shim"} == {
            name for name in ours if not name.endswith((".c", ".h"))
        }


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@installed
def test_the_shim_is_an_executable() -> None:
    shim = site_packages() / "rcrun/shim/rcrun-shim"
    assert shim.read_bytes()[:4] == b"\x7fELF"
    assert shim.stat().st_mode & 0o111 == 0o111


@installed
def test_pip_leaves_the_launchers_alone() -> None:
    source = CHECKOUT / "rcrun-cli/bin/rcrun"
    assert (VENV / "bin/rcrun").read_bytes() == source.read_bytes()
    launcher = VENV / "bin/rcrun-oci"
    assert launcher.read_bytes()[:4] == b"\x7fELF"
    assert launcher.stat().st_mode & 0o111 == 0o111


@installed
def test_the_launcher_elsewhere_asks_the_python(user_account: Account) -> None:
    """Beside another Python that knows the package by its own ways, as an editable install does; and beside none."""
    folder = user_account.new_dir("bin")
    shutil.copy(VENV / "bin/rcrun-oci", folder)
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{VENV}/bin/python3" "$@"\n')
    (folder / "python3").chmod(0o755)
    for words in (["--version"], ["exec", "nonesuch", *["word"] * 300]):
        result = user_account.run(folder / "rcrun-oci", *words)
        assert ("0." in result.out) if result.status == 0 else ("does not exist" in result.err)
    (folder / "python3").unlink()
    lost = user_account.run(folder / "rcrun-oci", "list", env={"PATH": str(folder)})
    assert (lost.status, 'cannot run "python3"' in lost.err) == (1, True)


@installed
@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_link_to_the_launcher_works(name: str, user_account: Account) -> None:
    """As pipx, uv and ci/tour make them; a python3 beside the link is not ours."""
    folder = user_account.new_dir("bin")
    (folder / name).symlink_to(VENV / "bin" / name)
    (folder / "python3").symlink_to("/bin/false")
    result = user_account.run(folder / name, "--version", env={"PATH": SYSTEM_PATH}).check()
    assert "0." in result.out
    # Through a second link, and by a relative path.
    (folder / "again").symlink_to(name)
    user_account.run("./again", "--version", cwd=folder, env={"PATH": SYSTEM_PATH}).check()


def test_a_checkout_works_with_the_hosts_python(user_account: Account) -> None:
    """Without a package of ours installed: what needs none works."""
    launchers = CHECKOUT / "rcrun-cli/bin"
    environ = {"PATH": SYSTEM_PATH}
    assert "0." in user_account.run(launchers / "rcrun", "version", env=environ).check().out
    assert user_account.run(launchers / "rcrun", "ps", "-aq", env=environ).check().out == ""
    user_account.run(launchers / "rcrun-oci", "list", env=environ).check()


def test_a_start_writes_nothing_beside_the_modules(user_account: Account) -> None:
    """Nor leaves half of one on a full disk; who has none compiled is told, and so is who has a damaged one."""
    place = user_account.new_dir("checkout")
    user_account.run("cp", "-r", CHECKOUT / "rcrun", CHECKOUT / "rcrun-cli", place).check()
    user_account.run("find", place, "-name", "*.pyc", "-delete").check()
    launcher, store = place / "rcrun-cli/bin/rcrun", user_account.new_dir("store")
    environ = {"PATH": SYSTEM_PATH, "RCRUN_ROOT": str(store), "RCRUN_RUNROOT": str(store / "live")}
    user_account.run(launcher, "ps", env=environ).check()
    assert not list(place.rglob("*.pyc"))
    told = json.loads(user_account.run(launcher, "doctor", "--fix", "--json", env=environ).out)
    (done,) = [fixed["done"] for fixed in told["fixed"] if fixed["name"] == "modules"]
    assert "-m compileall -q" in done
    assert next(one for one in told["probes"] if one["name"] == "modules")["level"] == "ok"
    (damaged,) = place.glob("rcrun/engine/__pycache__/ps.cpython-*.pyc")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    result = user_account.run(launcher, "ps", env=environ)
    assert (result.status, "a compiled module of rcrun is damaged" in result.err) == (1, True)
    hint = result.err.partition("hint: run: ")[2].partition("; rcrun doctor")[0]
    user_account.run("sh", "-c", hint).check()
    user_account.run(launcher, "ps", env=environ).check()


def test_the_set_up_is_quick_the_second_time() -> None:
    """`ci/setup` finds everything done: it prints nothing and asks for no privilege."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("set-up is for root and apt here")
    result = subprocess.run(
        ["ci/setup", "test"], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=250
    )
    done = [
        line for line in result.stdout.splitlines() if "this release has no package" not in line
    ]
    assert done == []
    assert result.stderr == ""
