"""The D-Bus client: bytes, and the talk with a systemd that is played here."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rcrun.cgroup import systemd
from rcrun.cgroup.properties import place_of
from rcrun.errors import AlreadyExists, HostLacks, RcrunError
from rcrun.kernel import dbus


def test_bytes() -> None:
    """As the specification's section on marshalling has them."""
    assert bytes(dbus.marshal("ys", [1, "foo"])) == b"\x01\0\0\0\x03\0\0\0foo\0"
    assert bytes(dbus.marshal("x", [5])) == b"\x05\0\0\0\0\0\0\0"
    assert bytes(dbus.marshal("ax", [[5]])) == b"\x08\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0"
    assert bytes(dbus.marshal("v", [("u", 7)])) == b"\x01u\0\0\x07\0\0\0"
    assert bytes(dbus.marshal("ay", [b"\1\2"])) == b"\x02\0\0\0\1\2"


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        ("", []),
        ("ybnqiuxtd", [255, 1, -2, 3, -4, 5, -6, 2**64 - 1, 0.5]),
        ("sogs", ["ä", "/a/b", "a(sv)", ""]),
        ("as", [["a", "", "ccc"]]),
        ("a(st)u", [[["/dev/sda", 5], ["b", 6]], 9]),
        ("a(sa(sv))", [[]]),
        ("aat", [[[1], [], [2, 3]]]),
        ("(y(yt))a{sx}", [[1, [2, 3]], [["k", -1]]]),
    ],
)
def test_there_and_back(signature: str, values: list[Any]) -> None:
    data = bytes(dbus.marshal(signature, values))
    assert dbus.unmarshal(signature, data) == (values, len(data))


def test_types() -> None:
    assert dbus.types_of("ssa(sv)a(sa(sv))ay") == ["s", "s", "a(sv)", "a(sa(sv))", "ay"]
    with pytest.raises(ValueError, match="unbalanced"):
        dbus.types_of("(s")


# ---- a systemd


Answer = tuple[str, list[Any]] | Exception


class Played:
    """Answers calls, one after the other; jobs end at once."""

    def __init__(self, path: Path) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.answers: dict[str, Callable[[list[Any]], Answer]] = {
            "Get": lambda values: (
                "v",
                [("s", {"Version": "252.1-1", "ControlGroup": "/cg"}[values[1]])],
            )
        }
        self.result = "done"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                stream.read(1)
                while (line := stream.readline().strip()) != b"BEGIN":
                    connection.sendall(b"DATA\r\n" if line.startswith(b"AUTH") else b"OK 0\r\n")
                while start := stream.read(16):
                    self._answer(connection, start, stream)

    def _answer(self, connection: socket.socket, start: bytes, stream: Any) -> None:
        size, serial, fields_size = (
            int.from_bytes(start[at : at + 4], "little") for at in (4, 8, 12)
        )
        rest = stream.read(fields_size + -fields_size % 8 + size)
        rows = dbus.unmarshal("a(yv)", start[12:] + bytes(4) + rest[:fields_size])[0][0]
        fields = dict(rows)
        values = dbus.unmarshal(fields.get(8, ""), rest[len(rest) - size :])[0]
        member = fields[3]
        self.calls.append((member, values))
        answer = self.answers.get(member, lambda _: ("", []))(values)
        if member in ("StartTransientUnit", "StopUnit") and not isinstance(answer, Exception):
            # before the reply, as it may come
            removed = [5, "/job/5", values[0], self.result]
            signal = {1: ("o", "/x"), 2: ("s", "i"), 3: ("s", "JobRemoved")}
            connection.sendall(message(4, signal, "uoss", removed))
            answer = ("o", ["/job/5"])
        if isinstance(answer, dbus.DBusError):
            failed = {5: ("u", serial), 4: ("s", answer.name)}
            connection.sendall(message(3, failed, "s", [answer.message]))
        else:
            assert isinstance(answer, tuple)
            connection.sendall(message(2, {5: ("u", serial)}, *answer))


def message(kind: int, fields: dict[int, Any], signature: str, values: list[Any]) -> bytes:
    body = bytes(dbus.marshal(signature, values))
    if signature:
        fields = {**fields, 8: ("g", signature)}
    head = bytearray(b"l" + bytes([kind, 0, 1]) + len(body).to_bytes(4, "little") + b"\1\0\0\0")
    dbus.marshal("a(yv)", [list(fields.items())], head)
    return bytes(head) + bytes(-len(head) % 8) + body


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    folder = tmp_path / "systemd"
    folder.mkdir()
    one = Played(folder / "private")
    yield one
    one.close()


@pytest.fixture
def manager(played: Played, tmp_path: Path) -> Iterator[systemd.Manager]:
    made = systemd.connect({"XDG_RUNTIME_DIR": str(tmp_path)}, user=True)
    yield made
    made.close()


PLACE = place_of("a-b.slice:p:n", "ID", user=True)


def test_what_it_is_asked(manager: systemd.Manager, played: Played) -> None:
    assert manager.version() == 252
    assert manager.directory(PLACE) == "/sys/fs/cgroup/cg/a.slice/a-b.slice/p-n.scope"


def test_a_scope_is_started(manager: systemd.Manager, played: Played) -> None:
    manager.start(PLACE, 42, [("TasksMax", "t", 20)], [("Nice", "i", 1)])
    ((member, (unit, mode, rows, others)),) = played.calls
    assert (member, unit, mode, others) == ("StartTransientUnit", "p-n.scope", "fail", [])
    given = dict(rows)
    assert given["PIDs"] == [42]
    assert (given["Slice"], given["Delegate"], given["TasksMax"]) == ("a-b.slice", 1, 20)
    assert given["CollectMode"] == "inactive-or-failed"


def test_a_limit_that_it_does_not_know_is_left_to_the_files(manager, played) -> None:
    def refuse(values: list[Any]) -> Answer:
        if "CPUWeight" in dict(values[2]):
            text = "Cannot set property CPUWeight, or unknown property."
            return dbus.DBusError("org.freedesktop.DBus.Error.PropertyReadOnly", text)
        return "", []

    played.answers["StartTransientUnit"] = refuse
    manager.start(PLACE, 42, [("TasksMax", "t", 20), ("CPUWeight", "t", 20)], [])
    assert [name for name, _ in played.calls] == ["StartTransientUnit"] * 2
    with pytest.raises(dbus.DBusError):
        manager.start(PLACE, 42, [], [("CPUWeight", "t", 20)])


def test_a_failed_scope_of_that_name_gives_way(manager, played) -> None:
    exists = dbus.DBusError("org.freedesktop.systemd1.UnitExists", "it exists")
    answers: list[Answer] = [exists, ("", [])]
    played.answers["StartTransientUnit"] = lambda _: answers.pop(0)
    manager.start(PLACE, 42, [], [])
    names = [name for name, _ in played.calls]
    assert names[1:4] == ["Get", "StopUnit", "ResetFailedUnit"]  # it may also be on its way out
    played.answers["StartTransientUnit"] = lambda _: exists
    with pytest.raises(AlreadyExists, match="already exists"):
        manager.start(PLACE, 42, [], [])


def test_a_job_that_fails(manager, played) -> None:
    played.result = "timeout"
    with pytest.raises(RcrunError, match='the job ended with "timeout"') as caught:
        manager.start(PLACE, 42, [], [])
    assert caught.value.hint == "see: systemctl --user status p-n.scope"


def test_one_that_is_gone_is_stopped(manager, played) -> None:
    played.answers["StopUnit"] = lambda _: dbus.DBusError(
        "org.freedesktop.systemd1.NoSuchUnit", "no"
    )
    manager.stop("p-n.scope")
    manager.set("p-n.scope", [])
    assert [name for name, _ in played.calls] == ["StopUnit", "ResetFailedUnit"]


def test_it_is_found_again(manager, played) -> None:
    record = manager.record()
    manager.close()
    again = systemd.again(record)
    assert again.version() == 252
    again.close()
    with pytest.raises(HostLacks, match="cannot reach the systemd that has the scope"):
        systemd.again({**record, "path": f"{record['path']}.gone"})


def test_nobody_there(tmp_path: Path) -> None:
    environ = {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/x",
    }
    with pytest.raises(HostLacks) as caught:
        systemd.connect(environ, user=True)
    assert caught.value.message == (
        "cannot reach the systemd of this user: "
        + "; ".join(
            f'"{tmp_path}/{name}": no such file or directory'
            for name in ("systemd/private", "x", "bus")
        )
    )
    assert "loginctl enable-linger" in (caught.value.hint or "")


def test_sockets() -> None:
    found = systemd.sockets(
        {"DBUS_SESSION_BUS_ADDRESS": "tcp:host=x;unix:abstract=/tmp/b,guid=1"}, 7
    )
    assert found == [
        ("/run/user/7/systemd/private", True),
        ("@/tmp/b", False),
        ("/run/user/7/bus", False),
    ]


def test_one_that_is_no_systemd(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "bus"))
    listener.listen()

    def hang_up() -> None:
        listener.accept()[0].close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    with pytest.raises(OSError, match=r"closed|reset|pipe"):
        dbus.Connection(str(tmp_path / "bus"), peer=True)
    thread.join()
    listener.close()
    assert os.path.exists(tmp_path / "bus")
