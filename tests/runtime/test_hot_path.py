"""rcrun-oci imports little, whatever it is called for."""

from __future__ import annotations

import sys

import pytest

from accounts import CHECKOUT
from cli.hot_modules import STANDARD
from runtime.conftest import Bundle

pytestmark = [pytest.mark.requires("userns"), pytest.mark.usefixtures("ours")]

LAUNCHER = CHECKOUT / "rcrun-cli/bin/rcrun-oci"
OWN = {"create": 34, "run": 34, "start": 20, "state": 15, "kill": 21, "delete": 20, "exec": 33}


def imported(bundle: Bundle, *words: str) -> set[str]:
    command = (sys.executable, "-IS", "-X", "importtime", str(LAUNCHER), "--root", bundle.root)
    result = bundle.account.run(*command, *words)
    return modules(result.err)


def modules(text: str) -> set[str]:
    lines = [line for line in text.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_imports(bundle: Bundle) -> None:
    bare = modules(bundle.account.run(sys.executable, "-IS", "-X", "importtime", "-c", "").err)
    bundle.args("sleep", "1000").write()
    where = ["-b", str(bundle.dir), bundle.id]
    calls = {
        "run": ["run", "-b", str(bundle.dir), f"{bundle.id}-run"],
        "state": ["state", bundle.id],
        "exec": ["exec", bundle.id, "/init", "true"],
        "kill": ["kill", bundle.id, "KILL"],
        "delete": ["delete", "--force", bundle.id],
    }
    bundle.runtime("run", "-d", *where, stdout=-3, stderr=-3).check()
    bundle.args("true").write()
    for command, words in calls.items():
        names = imported(bundle, *words)
        own = {name for name in names if name.partition(".")[0] in ("rcrun", "rcrun_cli")}
        assert "rcrun_cli.clickapp" not in own, command
        foreign = names - own - bare - STANDARD
        assert not foreign, f"{command} imports {sorted(foreign)}"
        assert len(own) <= OWN[command], f"{command} imports {len(own)}: {sorted(own)}"
