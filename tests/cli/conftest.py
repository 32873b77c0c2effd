"""A terminal with rcrun on it; what doctor says of a host."""

from __future__ import annotations

import json
import subprocess

import pytest

from accounts import bin_dir
from cli.screens import PROMPT, SHELL, Screen


@pytest.fixture
def screen(rcrun):
    made = []

    def make(*words, **options):
        made.append(Screen(rcrun, *words, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def shell(screen):
    shown = screen("run", "-it", *SHELL, rows=31, columns=97)
    shown.expect(PROMPT)
    return shown


class Told:
    """What doctor said: the exit status, and the findings by name."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stderr == ""
        self.status = done.returncode
        self.data = json.loads(done.stdout)
        self.probes = {probe["name"]: probe for probe in self.data["probes"]}

    def __getitem__(self, name: str) -> dict[str, str]:
        return self.probes[name]

    def bad(self) -> set[str]:
        return {name for name, probe in self.probes.items() if probe["level"] != "ok"}


@pytest.fixture
def doctor(rcrun):
    """Runs doctor as the account where `prepare` was run before; `enter` goes before the command."""

    def run(
        prepare: str = "",
        *words: str,
        env=None,
        enter: str = "",
        kinds: str = "-m",
        of=None,
        raw=False,
    ):
        shown = of or rcrun
        account = shown.account
        become = f"setpriv --reuid {account.uid} --regid {account.gid} --clear-groups"
        script = f'store={shown.store_dir}\n{prepare}\nexec {enter} {become} "$@"'
        command = ["unshare", *kinds.split(), "--propagation", "slave", "sh", "-euc", script, "sh"]
        done = subprocess.run(
            [*command, bin_dir() / "rcrun", "doctor", *([] if raw else ["--json"]), *words],
            env={**account.environ, **shown.env, **(env or {})},
            cwd=account.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done if raw else Told(done)

    return run
