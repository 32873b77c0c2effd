"""The room leaves a unit of systemd that may be stopped."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from rcrun.cgroup import systemd
from rcrun.engine import roomscope
from rcrun.errors import HostLacks


@pytest.mark.parametrize(
    ("cgroups", "expected"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope\n", False),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", True),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n", True),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", False),
        ("0::/system.slice/web.service/leaf\n", True),
        ("12:pids:/x\n1:name=systemd:/system.slice/cron.service\n0::/\n", True),
        ("0::/\n", False),
        ("", False),
    ],
)
def test_units_that_may_be_stopped(cgroups: str, expected: bool) -> None:
    assert roomscope.is_in_unit(cgroups) == expected


class Manager:
    def __init__(self) -> None:
        self.said: list[Any] = []

    def start(self, place: Any, pid: int, *rows: object) -> None:
        self.said.append((place.slice, place.unit, pid))

    def attach(self, unit: str, below: str, pid: int) -> None:
        self.said.append((unit, below, pid))

    def drop_empty(self, place: Any) -> None:
        self.said.append(("drop", place.unit))

    def close(self) -> None:
        self.said.append("closed")


def test_its_processes_go_into_one_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    context: Any = SimpleNamespace(host=SimpleNamespace(rootless=True), environ={})
    monkeypatch.setattr(roomscope, "is_in_unit", lambda text: True)
    monkeypatch.setattr(systemd, "connect", lambda environ, user: manager)
    monkeypatch.setattr(roomscope, "_children", lambda pid: [8] if pid == 7 else [])
    roomscope.leave_unit(context, [7, 9])
    unit = "rcrun-room-7.scope"
    moved = [("user.slice", unit, 7), (unit, "", 8), (unit, "", 9)]
    assert manager.said == [*moved, ("drop", unit), "closed"]


def test_without_systemd_they_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(environ: object, user: bool) -> None:
        raise HostLacks("cannot reach systemd", "")

    context: Any = SimpleNamespace(host=SimpleNamespace(rootless=True), environ={})
    monkeypatch.setattr(roomscope, "is_in_unit", lambda text: True)
    monkeypatch.setattr(systemd, "connect", connect)
    roomscope.leave_unit(context, [os.getpid()])
