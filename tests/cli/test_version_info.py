"""What scripts ask before anything else, by docker's names and podman's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rcrun.engine.context import Context
from rcrun.engine.info import info_data, version_data
from rcrun.formats.template import Template
from rcrun.paths import Store
from rcrun.version import VERSION
from rcrun_cli.commands.info import layout
from rcrun_cli.commands.version import version_line
from rcrun_cli.context import settings

NOW = 1_700_000_000_123_456_789


@pytest.fixture
def data(tmp_path: Path) -> dict[str, object]:
    store = Store(str(tmp_path / "store"), str(tmp_path / "live"))
    context = Context(store, dict(os.environ), ["rcrun"], lambda message, hint: None)
    return info_data(context, "rcrun", NOW)


def test_info_has_the_fields_that_scripts_ask_for(data: dict[str, object], tmp_path: Path) -> None:
    text = (
        "{{.ServerVersion}} {{.OSType}} {{.NCPU}} {{.DockerRootDir}} {{.Store.GraphRoot}} {{.Store.RunRoot}} "
        "{{.Containers}} {{.Images}} {{.SystemTime}} {{len .Runtimes}} {{.Host.Security.Rootless}}"
    )
    cpus = len(os.sched_getaffinity(0))
    rootless = data["host"]["security"]["rootless"]  # type: ignore[index]
    assert Template(text).render(data) == (
        f"{VERSION} linux {cpus} {tmp_path}/store {tmp_path}/store {tmp_path}/live "
        f"0 0 2023-11-14T22:13:20.123456789Z 1 {str(rootless).lower()}"
    )
    for field in ("Driver", "CgroupVersion", "SecurityOptions", "Architecture", "MemTotal"):
        assert Template("{{." + field + "}}").render(data) not in ("", "0", "[]"), field
    json.dumps(data)


def test_looking_makes_nothing(data: dict[str, object], tmp_path: Path) -> None:
    assert data["Containers"] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_layout_for_people(data: dict[str, object]) -> None:
    lines = layout(data).splitlines()
    assert lines[:2] == ["Server:", " Containers: 0"]
    assert f" Root Dir: {data['DockerRootDir']}" in lines
    assert any(line.startswith(" User IDs: 0:") for line in lines)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rcrun", f"rcrun version {VERSION}"),
        ("docker", f"Docker version 28.0.0, build rcrun-{VERSION}"),
        ("podman", "podman version 5.8.0"),
    ],
)
def test_versions(name: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "personality", name)
    assert version_line() == line
    data = version_data(name)
    asked = "{{.Server.APIVersion}} {{.Client.APIVersion}} {{.Server.MinAPIVersion}} {{.Client.Version}}"
    assert Template(asked).render(data) == f"1.48 1.48 1.24 {data['Server']['Version']}"
    assert data["Server"]["Components"][0]["Version"] == VERSION
