"""A skip is a reason on a laptop, and a failure where RCRUN_STRICT=1 says that every test must run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

STRICT = os.environ.get("RCRUN_STRICT") == "1"
# What neither the test machines nor the guest have.
NEVER_REQUIRED = {"apparmor", "cpuset", "gpu", "infiniband", "kvm", "precise-clock", "selinux"}
NOWHERE = "no test machine has it: "
# How the reasons of the other skips begin that stay skips.
ALLOWED = (
    NOWHERE,
    # The run is not about it: another runtime, a shim that is not built as users have it.
    "about rcrun-oci, not ",
    "with sanitizers: ",
    # The other kind of host; the test machine is the one, the guest the other.
    "the host has cgroup v2 alone",
    # Checkers and tables of one compiler or machine, which CI has.
    "the analyser is GCC's",
    "numbers of system calls of x86-64",
)


def unmet(reason: str, name: str = "") -> None:
    """What the test needs is not here: `name` is its name in tests/probes.py."""
    pytest.skip(f"{NOWHERE}{reason}" if name in NEVER_REQUIRED else reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped, which RCRUN_STRICT=1 forbids: {reason}"
    return report
