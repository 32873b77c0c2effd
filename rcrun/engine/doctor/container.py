"""A container really run, with each kind of network, by the very command that people type."""

from __future__ import annotations

import os

from rcrun.engine.doctor.finding import broken, fine, limited
from rcrun.engine.doctor.net import judge_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here

SECONDS = 30
HELPERS = ("pasta", "slirp4netns")
# The host's own programs are the container's.
FOLDERS = ("bin", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "sbin", "usr")
SCRIPT = (
    "while read key value; do [ $key != Seccomp: ] || echo seccomp $value; done </proc/self/status;"
    " echo fine"
)


class Run:
    """What a container said, and why there was none."""

    __slots__ = ("error", "hint", "lines")

    def __init__(self, lines: Sequence[str], error: str, hint: str) -> None:
        self.lines = lines
        self.error = error
        self.hint = hint


def try_all(here: Here) -> dict[str, Finding]:
    """Of the probes seccomp, pasta, slirp4netns, container."""
    from rcrun.paths import make_private_dir
    from rcrun.storage.scratch import Scratch

    try:
        make_private_dir(here.context.store.tmp_dir())
        scratch = Scratch(here.context.store, "doctor")
        scratch.make_dir()
    except OSError as error:
        run = Run([], f"{error.filename}: {(error.strerror or '').lower()}", "see the probe store")
        return judge_all(here, run, {})
    try:
        options = root_options(scratch.path)
        networks = ["none", *[name for name in HELPERS if here.program(name)]]
        runs = run_all(here, dict.fromkeys(networks, options))
    finally:
        from rcrun.storage.trees import remove_tree

        remove_tree(scratch.path)
        scratch.close()
    return judge_all(here, runs.pop("none"), runs)


def root_options(folder: str) -> list[str]:
    """A root in this folder: the host's links, and its directories as read-only mounts."""
    options = [f"--rootfs={folder}"]
    for name in FOLDERS:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{folder}/{name}")
        elif os.path.isdir(f"/{name}"):
            options.append(f"--volume=/{name}:/{name}:ro")
    return options


def run_all(here: Here, wanted: dict[str, list[str]]) -> dict[str, Run]:
    """Side by side."""
    import subprocess

    launcher = [
        word
        for word in here.context.launcher
        if word != "--debug" and not word.startswith("--argv0=")
    ]
    environ = {**here.environ, "NO_COLOR": "1"}
    started = {
        network: subprocess.Popen(
            [*launcher, "run", "--rm", f"--network={network}", *options, "/bin/sh", "-c", SCRIPT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", env=environ,
        )
        for network, options in wanted.items()
    }  # fmt: skip
    return {network: _ended(process) for network, process in started.items()}


def _ended(process: object) -> Run:
    import subprocess

    assert isinstance(process, subprocess.Popen)
    with process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return Run([], f"it did not end within {SECONDS} seconds", "")
    lines = out.splitlines()
    if process.returncode == 0 and "fine" in lines:
        return Run(lines, "", "")
    return Run(lines, *said(err, process.returncode))


def said(err: str, status: int) -> tuple[str, str]:
    """rcrun's own error and hint on its standard error."""
    error, hint = f"exit status {status}", ""
    for line in err.splitlines():
        if line.startswith("rcrun: error: "):
            error, hint = line.removeprefix("rcrun: error: "), ""
        elif line.startswith("hint: "):
            hint = line.removeprefix("hint: ")
    return error, hint


def judge_all(here: Here, plain: Run, runs: dict[str, Run]) -> dict[str, Finding]:
    works = {name for name, run in runs.items() if not run.error}
    found = {"seccomp": judge_seccomp(plain)}
    for name in HELPERS:
        run = runs.get(name)
        found[name] = judge_helper(
            name, here.program(name), run.error if run else "", bool(works - {name}), here.facts
        )
    return {**found, "container": judge_container(plain, networks=sorted(works))}


def judge_seccomp(run: Run) -> Finding:
    if "seccomp 2" in run.lines:
        return fine("a filter holds a container's processes")
    if run.error:
        return fine("not tried, since no container runs")
    return limited(
        "no filter holds a container's processes",
        means="they can call all that the kernel offers",
        why="/proc/self/status has no Seccomp: 2; this kernel was built without CONFIG_SECCOMP_FILTER",
    )


def judge_container(run: Run, *, networks: Sequence[str]) -> Finding:
    if run.error:
        return broken(
            "could not be run",
            means="no container runs here",
            why=run.error,
            hint=run.hint or "the probes above say what is missing",
        )
    if not networks:
        return limited("ran, without a network", means="see the probes pasta and slirp4netns")
    return fine(f"ran, also with a network by {' and '.join(networks)}")
