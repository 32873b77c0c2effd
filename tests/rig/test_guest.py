"""The guest itself: a command's output and status come back, and nothing is left of it."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = [pytest.mark.requires("uml"), pytest.mark.timeout(600)]
GUEST = Path(__file__).parent / "guest"
HIERARCHY = "stat -fc %T /sys/fs/cgroup; cat /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.controllers"


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    """Made before the first of them, which would say so."""
    subprocess.run([GUEST.parent / "make-image"], check=True, stdout=subprocess.DEVNULL)


def guest(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GUEST, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_as_root_with_folders(tmp_path: Path) -> None:
    shown, written = tmp_path / "shown", tmp_path / "written"
    shown.mkdir()
    written.mkdir()
    (shown / "file").write_text("of the host", encoding="utf-8")
    script = f"id -u; cat file; echo bad >&2; echo x >{written}/x; echo x >{shown}/x; exit 7"
    result = guest("--share", shown, "--write", written, "--cwd", shown, "sh", "-c", script)
    assert result.returncode == 7
    assert result.stdout.startswith("0\nof the hostbad\n")
    assert "Read-only file system" in result.stdout
    assert (written / "x").read_text(encoding="utf-8") == "x\n"
    assert not (shown / "x").exists()
    assert result.stderr == ""


def test_as_the_user_in_a_delegated_unit() -> None:
    script = f'id -un; {HIERARCHY}; systemctl --user is-active dbus.socket; echo "$0"'
    result = guest("--user", "sh", "-c", script, "a 'b' $c")
    assert result.stdout.splitlines() == [
        "rcrun", "cgroup2fs", "cpu io memory pids", "active", "a 'b' $c",
    ]  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def test_several_at_once_and_the_console() -> None:
    with ThreadPoolExecutor() as pool:
        asked = [("--verbose", "echo", str(number)) for number in range(3)]
        results = list(pool.map(lambda words: guest(*words), asked))
    assert [result.stdout for result in results] == ["0\n", "1\n", "2\n"]
    assert all("systemd[1]" in result.stderr for result in results)


def test_the_time_is_limited() -> None:
    result = guest("--timeout", "5", "sleep", "1000")
    assert (result.returncode, result.stderr) == (124, "guest: not done after 5 s\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed(number: signal.Signals, tmp_path: Path) -> None:
    up = tmp_path / "up"
    words = ["--write", str(tmp_path), "sh", "-c", f"echo >{up}; sync; sleep 1000"]
    process = subprocess.Popen([GUEST, *words])
    while not up.exists():
        assert process.poll() is None
        time.sleep(0.1)
    folder = folder_of(process.pid)
    process.send_signal(number)
    process.wait()
    until = time.monotonic() + 60
    while running(folder):
        assert time.monotonic() < until
        time.sleep(0.1)
    guest("true")
    assert not folder.exists()


def running(folder: Path) -> list[bytes]:
    """The processes of the guest that has this folder: its kernel's words name it."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return [line for line in lines if f"rig={folder}/share".encode() in line]


def folder_of(pid: int) -> Path:
    """Where the guest that this process booted keeps its files."""
    child = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0]
    words = Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8").split("\0")
    (word,) = [word for word in words if word.startswith("rig=")]
    return Path(word.removeprefix("rig=")).parent
