"""action.yml: what GitHub's runner takes from it is there."""

from __future__ import annotations

import os

import yaml

from accounts import CHECKOUT


def test_the_action_runs_what_is_here() -> None:
    action = yaml.safe_load((CHECKOUT / "action.yml").read_text())
    text = str(action["runs"])
    assert action["runs"]["using"] == "composite"
    for name, value in action["inputs"].items():
        assert isinstance(value["default"], str), name  # the runner knows no other kind
        assert f"inputs.{name}" in text, name
    first = action["runs"]["steps"][0]
    program = first["run"].split()[0].strip('"').replace("$GITHUB_ACTION_PATH", str(CHECKOUT))
    assert os.access(program, os.X_OK)
    assert first["shell"] == "sh"
