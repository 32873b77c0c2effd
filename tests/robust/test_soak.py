"""The soak (robust/soak): a little of it with every run of the tests, RCRUN_SOAK_SECONDS of it on request.

RCRUN_SEED repeats the choices that were made; what they meet depends on the moment.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from all_accounts import busybox_archive

SECONDS = float(os.environ.get("RCRUN_SOAK_SECONDS") or 15)


@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.requires("network")
@pytest.mark.parametrize("account", ["user"], indirect=True)
@pytest.mark.parametrize("delegated_account", ["delegated"], indirect=True)
def test_soak(delegated_account, accounts, fresh_rcrun):
    rcrun = fresh_rcrun(delegated_account)
    rcrun("load", "-i", busybox_archive(accounts)).check()
    tests_dir = Path(__file__).resolve().parents[1]
    words = ["python3", "-B", "-m", "robust.soak", "--seconds", str(SECONDS)]
    words += ["--seed", os.environ.get("RCRUN_SEED") or ""]
    env = {
        **rcrun.env,
        "PYTHONPATH": str(tests_dir),
        "RCRUN_SANITIZE": os.environ.get("RCRUN_SANITIZE", ""),
    }
    process = delegated_account.popen(
        *words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = []
    with process:
        for line in process.stdout:
            said.append(line.decode(errors="replace"))
            print(said[-1], end="", flush=True)
    rcrun("rmi", "-af").check()
    assert process.returncode == 0, "".join(said)
    assert delegated_account.groups_left() == []
