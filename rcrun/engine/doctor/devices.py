"""Graphics processors, and programs that were built for other processors."""

from __future__ import annotations

import os

from rcrun.engine.doctor.finding import fine, limited
from rcrun.files import read_text, subdirectories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here

CDI_DIRS = ("/etc/cdi", "/var/run/cdi")
BINFMT = "/proc/sys/fs/binfmt_misc"


def try_gpu(here: Here) -> Finding:
    cards = [
        name for name in subdirectories("/dev") if name[:6] == "nvidia" and name[6:].isdecimal()
    ]
    names = [f"{folder}/{name}" for folder in CDI_DIRS for name in subdirectories(folder)]
    texts = [read_text(path) for path in names if path.endswith((".json", ".yaml"))]
    closed = [f"/dev/{name}" for name in cards if not os.access(f"/dev/{name}", os.R_OK | os.W_OK)]
    return judge_gpu(cards, closed, has_specification=any("nvidia.com/gpu" in t for t in texts))


def judge_gpu(cards: Sequence[str], closed: Sequence[str], *, has_specification: bool) -> Finding:
    if not cards:
        return fine("none of NVIDIA, which alone needs to be described")
    if closed:
        return limited(
            f"{closed[0]} is closed to you",
            means="containers cannot use it either",
            hint=f"ask for the group that it belongs to: ls -l {closed[0]}",
        )
    if not has_specification:
        return limited(
            f"{len(cards)} of NVIDIA, and nothing describes them to containers",
            means="--gpus and --device nvidia.com/gpu=all fail",
            why=f"no file of {' and '.join(CDI_DIRS)} has the kind nvidia.com/gpu",
            hint="run: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        )
    return fine(f"{len(cards)} of NVIDIA, described to containers")


def try_emulation(here: Here) -> Finding:
    texts = {name: read_text(f"{BINFMT}/{name}") for name in subdirectories(BINFMT)}
    return judge_emulation(texts, os.uname().machine)


def judge_emulation(texts: dict[str, str], machine: str) -> Finding:
    """The flag F opens the emulator here; without it the container would have to hold it."""
    names = sorted(
        name for name, text in texts.items() if name.startswith("qemu-") and "enabled" in text
    )
    absent = [name for name in names if "F" not in _flags(texts[name])]
    if absent:
        return limited(
            f"{absent[0]} is registered without the flag F",
            means="images for that processor fail with exec format error or no such file",
            why=f"{BINFMT}/{absent[0]}",
            hint="run: sudo apt-get install --reinstall qemu-user-static",
        )
    others = ", ".join(name.removeprefix("qemu-") for name in names)
    return fine(
        f"programs for {others} run, too" if others else f"programs for {machine} alone run"
    )


def _flags(text: str) -> str:
    return text.partition("flags: ")[2].partition("\n")[0]
