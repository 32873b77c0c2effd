"""`linux.seccomp`: what a container's program meets, and the agent that is asked (config-linux.md, "Seccomp")."""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.conftest import Bundle
from waiting import wait_for

pytestmark = pytest.mark.requires("userns")
RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_…
GETPGID = 121 if os.uname().machine == "x86_64" else 155
FLAGS = ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")


class Agent(threading.Thread):
    """Answers getpgid(2) with an error of its own, and lets every other call go on."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(daemon=True)
        self.path = str(bundle.dir / "agent.sock")
        self.documents: list[Any] = []
        self.calls: list[int] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.listen()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        fds = array.array("i")
        with connection:
            text, ancillary, *_ = connection.recvmsg(65536, socket.CMSG_SPACE(8 * fds.itemsize))
            while more := connection.recv(65536):
                text += more
        for _, _, data in ancillary:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        self.documents.append((json.loads(text), len(fds)))
        self.answer(fds[0])

    def answer(self, listener: int) -> None:
        while True:
            asked = bytearray(80)
            try:
                fcntl.ioctl(listener, RECEIVE, asked)
                [number, _, _, call] = struct.unpack_from("<QIIi", asked)
                self.calls.append(call)
                answer = (number, 0, -117, 0) if call == GETPGID else (number, 0, 0, 1)
                fcntl.ioctl(listener, SEND, bytearray(struct.pack("<QqiI", *answer)))
            except OSError:
                break  # the process is gone
        os.close(listener)


@pytest.fixture
def agent(bundle: Bundle) -> Iterator[Agent]:
    made = Agent(bundle)
    made.start()
    yield made
    made.socket.shutdown(socket.SHUT_RDWR)
    made.socket.close()


def filter_of(action: str, *names: str, **more: Any) -> dict[str, Any]:
    rule = {"names": list(names or ["getpgid"]), "action": f"SCMP_ACT_{action}"}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule], **more}


@pytest.mark.parametrize(
    ("action", "status", "text"),
    [
        ("ALLOW", 0, ""),
        ("LOG", 0, ""),
        ("ERRNO", 1, "Operation not permitted"),
        ("TRACE", 1, "Function not implemented"),  # nobody traces it
        ("TRAP", 128 + 31, ""),
        ("KILL", 128 + 31, ""),
        ("KILL_THREAD", 128 + 31, ""),
        ("KILL_PROCESS", 128 + 31, ""),
    ],
)
def test_actions(bundle: Bundle, action: str, status: int, text: str) -> None:
    # a process that is not the first of its namespace: that one survives what kills others
    bundle.without_namespace("pid").linux(seccomp=filter_of(action))
    bundle.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}  # fmt: skip
    result = bundle.args("getpgid").run()
    assert result.status == status
    assert text in result.err


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("no_new_privs", [True, False])
def test_flags(bundle: Bundle, flag: str, no_new_privs: bool) -> None:
    bundle.process(noNewPrivileges=no_new_privs)
    profile = filter_of("ERRNO", flags=[f"SECCOMP_FILTER_FLAG_{flag}"])
    assert bundle.linux(seccomp=profile).args("getpgid").run().status == 1


@pytest.mark.parametrize("no_new_privs", [True, False])
@pytest.mark.parametrize("flags", [[], ["TSYNC"], ["WAIT_KILLABLE_RECV", "LOG"]])
def test_an_agent_is_asked(
    bundle: Bundle, agent: Agent, no_new_privs: bool, flags: list[str], ours: None
) -> None:
    profile = filter_of("NOTIFY", listenerPath=agent.path, listenerMetadata="of the caller")
    profile["flags"] = [f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags]
    bundle.process(noNewPrivileges=no_new_privs).linux(seccomp=profile)
    bundle.config["annotations"] = {"key": "value"}
    result = bundle.args("getpgid").run()
    assert result.status == 1
    assert "Structure needs cleaning" in result.err
    [(document, count)] = agent.documents
    assert (count, document["fds"]) == (1, ["seccompFd"])
    assert document["metadata"] == "of the caller"
    assert document["state"]["id"] == bundle.id
    assert document["state"]["status"] == "creating"
    assert document["state"]["bundle"] == str(bundle.dir)
    assert document["state"]["annotations"] == {"key": "value"}
    assert document["state"]["pid"] == document["pid"] > 0


@pytest.mark.parametrize("no_new_privs", [True, False])
@pytest.mark.parametrize("names", [["getpgid", "sendmsg", "write", "close", "wait4"], []])
def test_an_agent_is_asked_about_every_call(
    bundle: Bundle, agent: Agent, no_new_privs: bool, names: list[str], ours: None
) -> None:
    """Also about those that would bring it the listener: nobody waits for the other."""
    profile = filter_of("NOTIFY", *names, listenerPath=agent.path)
    if not names:
        profile = {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": agent.path}
    bundle.process(noNewPrivileges=no_new_privs).linux(seccomp=profile)
    result = bundle.args("getpgid").run(timeout=60)
    assert "Structure needs cleaning" in result.err
    assert len(set(agent.calls)) > 1


def test_a_filter_may_forbid_what_would_bring_the_listener(
    bundle: Bundle, agent: Agent, ours: None
) -> None:
    profile = filter_of("NOTIFY", listenerPath=agent.path)
    profile["syscalls"].append({"names": ["sendmsg", "wait4"], "action": "SCMP_ACT_ERRNO"})
    result = bundle.linux(seccomp=profile).args("getpgid").run()
    assert "Structure needs cleaning" in result.err


def test_an_exec_has_an_agent_too(bundle: Bundle, agent: Agent, ours: None) -> None:
    bundle.linux(seccomp=filter_of("NOTIFY", listenerPath=agent.path))
    bundle.args("sleep", "1000").started()
    result = bundle.runtime("exec", bundle.id, "/init", "getpgid")
    assert "Structure needs cleaning" in result.err
    assert len(agent.documents) == 2


def test_without_questions_nobody_needs_to_listen(bundle: Bundle, ours: None) -> None:
    """config-linux.md: where SCMP_ACT_NOTIFY is not used the path is ignored."""
    bundle.linux(seccomp=filter_of("ERRNO", listenerPath="/no/agent"))
    assert bundle.args("getpgid").run().status == 1
    assert bundle.output("echo", "fine") == "fine"


def test_an_agent_is_told_of_a_container_without_questions(
    bundle: Bundle, agent: Agent, ours: None
) -> None:
    bundle.linux(seccomp=filter_of("ERRNO", listenerPath=agent.path))
    assert bundle.output("echo", "fine") == "fine"
    wait_for(lambda: agent.documents)  # its thread may be later than the container
    assert len(agent.documents) == 1


def test_an_agent_that_is_not_there(bundle: Bundle, ours: None) -> None:
    bundle.linux(seccomp=filter_of("NOTIFY", listenerPath="/no/agent"))
    result = bundle.run()
    assert result.status == 1
    assert "/no/agent" in result.err


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (filter_of("NOTIFY"), 'SCMP_ACT_NOTIFY needs a "listenerPath"'),
        (filter_of("ERRNO", listenerMetadata="x"), '"listenerMetadata" needs a "listenerPath"'),
        (filter_of("ERRNO", flags=["SECCOMP_FILTER_FLAG_X"]), "SECCOMP_FILTER_FLAG_X"),
    ],
)
def test_what_is_refused(bundle: Bundle, profile: Any, text: str, ours: None) -> None:
    result = bundle.linux(seccomp=profile).run()
    assert result.status == 1
    assert text in result.err
