"""The room: the one namespace of a user in which all bridges are, found or made (docs/network.md).

`network-STORE/` of the live state: `room.lock` is shared by who is about to use the room, and held alone by its holder when it
ends; `make.lock` by who makes or changes it; `room.json` tells the holder and the networks that have a bridge;
`outside` the program that connects it to the host; `names/` is what the DNS server reads.
"""

from __future__ import annotations

import os
from errno import ENOENT

from rcrun.errors import HostLacks, RcrunError, StepFailed
from rcrun.files import Lock, read_json_or_none, read_text, write_file, write_json
from rcrun.formats import cidr
from rcrun.kernel import shim
from rcrun.kernel.identity import namespace_records
from rcrun.kernel.process import is_alive, start_time
from rcrun.network import definitions
from rcrun.network.claims import Claims
from rcrun.paths import make_private_dir
from rcrun.storage.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.engine.outside import Connecting
    from rcrun.network.definitions import Definition

    Records = list[list[str]]

# In the room's namespace alone: it passes packets on, and its containers may use any port.
_SYSCTLS = (
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/default/accept_dad", "0"),
)


class Room:
    """Being used: `lock` is shared until a veth of ours is there, so that the holder does not end before."""

    __slots__ = (
        "_connecting", "_making", "_started", "context", "dir", "left", "lock", "pid", "start", "transparent",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self.context = context
        self.dir = definitions.room_dir(context.store)
        self.lock = Lock(f"{self.dir}/room.lock", shared=True)
        self._making = Lock(f"{self.dir}/make.lock")
        self._connecting: Connecting | None = None
        self._started: list[int] = []  # the holder, if it is ours
        self.pid, self.start, self.transparent = 0, 0, True
        self.left: tuple[int, int] | None = None  # who runs below a room that may be gone

    def record(self) -> dict[str, Any]:
        """Of a room that is there; empty when there is none."""
        try:
            found = read_json_or_none(f"{self.dir}/room.json") or {}
        except ValueError:
            return {}
        return found if is_alive(found.get("pid", 0), found.get("start", 0)) else {}

    def find(self) -> bool:
        """Whether there is one; it is not made."""
        found = self.record()
        self.pid, self.start = found.get("pid", 0), found.get("start", 0)
        return bool(found)

    def kept(self) -> Lock:
        """A lock with which a room that is there does not end."""
        make_private_dir(self.dir)
        return self.lock

    def enter(self, networks: Sequence[Definition], *, settle: bool = True) -> None:
        """With a bridge for each of these, and a way to the host, which otherwise is there after `settle` only."""
        make_private_dir(self.dir)
        self.lock.acquire()
        try:
            found = self.record()
            if not _has(found, networks) or not self._is_connected():
                self._make(networks)
                found = self.record()
            if not found:
                raise RcrunError("the namespace of the bridges has ended as soon as it was made")
            if settle:
                self.settle()
            self.pid, self.start = found["pid"], found["start"]
            self.transparent = found["transparent"]
        except BaseException:
            self.abandon()
            raise

    def settle(self) -> None:
        """HostLacks where no program can connect it to the host."""
        connecting, self._connecting = self._connecting, None
        try:
            if connecting is not None:
                from rcrun.engine.roomscope import leave_unit

                connecting.finish()
                outside = read_text(f"{self.dir}/outside").split()
                leave_unit(self.context, [*self._started, *map(int, outside[:1])])
        finally:
            self._making.release()

    def abandon(self) -> None:
        try:
            self.settle()
        except HostLacks:
            pass  # something else is in the way already
        self.lock.release()

    def claims(self, definition: Definition) -> Claims:
        directory = f"{self.dir}/names/{definitions.key(definition)}"
        return Claims(directory, self._has_ended)

    def veths(self) -> set[str]:
        """The interfaces that are in the room now."""
        return interfaces_of(self.pid)

    def _has_ended(self, container_id: str) -> bool:
        """It does not run, and nobody is about to start it: who does has its lock."""
        from rcrun.storage.containers import load, status

        lock = Lock(f"{self.context.store.container_dir(container_id)}/lock")
        try:
            if not lock.acquire(wait=False):
                return False
        except FileNotFoundError:
            return True
        lock.release()
        container = load(self.context.store, container_id)
        return container is None or not status(container).is_running

    # Making it.

    def _make(self, networks: Sequence[Definition]) -> None:
        """`make.lock` is held until it is settled."""
        make_private_dir(f"{self.dir}/names")
        self._making.acquire()
        found = self.record()
        is_new = not found
        try:
            if is_new:
                self._forget()
                found = self._start_holder(networks)
                self._started = [found["pid"]]
            else:
                self._prepare_to_connect(networks)
            if self._connecting is not None:
                self._connecting.start(found["pid"])
            found = self._load_rules(found) if is_new else self._add(found, networks)
            self._write_served(found["networks"])
            write_json(f"{self.dir}/room.json", found, durable=False)
        except BaseException:
            if is_new:
                remove_tree(f"{self.dir}/names")
            raise

    def _forget(self) -> None:
        """What an earlier room had: nobody is about to use it, since that one would have made it."""
        from rcrun.engine.outside import end_outside

        end_outside(self.dir)
        remove_tree(f"{self.dir}/names")
        make_private_dir(f"{self.dir}/names")

    def _start_holder(self, networks: Sequence[Definition]) -> dict[str, Any]:
        from rcrun.network.nft import MARK, MARK_TABLE

        pid_file = f"{self.dir}/room.pid"
        names = {definition["name"]: describe(definition) for definition in networks}
        plan = [
            ["plan", "1"],
            ["session", "work"],
            ["detach"],
            ["pid-file", pid_file],
            *self._namespaces(),
            ["loopback"],
            *[["sysctl", key, value] for key, value in self._sysctls()],
            ["link-kind", "veth"],
            *[bridge_record(definition) for definition in networks],
            ["local-mark", str(MARK), str(MARK_TABLE)],
            ["env"],
            ["exec", shim.shim_path(), "room", self.dir],
        ]
        launch_work(plan, meanwhile=lambda: self._prepare_to_connect(networks))
        pid = int(read_text(pid_file))
        return {"pid": pid, "start": start_time(pid) or 0, "networks": names}

    def _load_rules(self, found: dict[str, Any]) -> dict[str, Any]:
        """While pasta starts. A kernel that does not see transparent sockets hides the clients' addresses of UDP."""
        try:
            try:
                self._load(found, transparent=True)
                return {**found, "transparent": True}
            except StepFailed as error:
                if error.step != "netfilter" or error.errno != ENOENT:
                    raise
            self._load(found, transparent=False)
            return {**found, "transparent": False}
        except BaseException:
            from rcrun.engine.outside import end

            end(found["pid"], found["start"])
            raise

    def _load(self, found: dict[str, Any], *, transparent: bool) -> None:
        batch = rules(found["networks"], transparent=transparent)
        launch_work(work_in(found, [["netfilter", batch.hex()]]))

    def _namespaces(self) -> Records:
        """A room that is gone may have left containers below its user namespace: the new one is in that one."""
        if self.context.identity.kind == "root":
            return [["unshare", "network"]]
        if self.left is not None:
            return [["enter-parent", *map(str, self.left)], ["new-network"]]
        if os.path.exists(f"{self.dir}/room.json"):
            from rcrun.storage.containers import every, status

            for container in every(self.context.store):
                network, now = container.record.get("network") or {}, status(container)
                if network.get("mode") == "bridge" and now.is_running:
                    return [["enter-parent", str(now.pid), str(now.pid_start)], ["new-network"]]
        return [*namespace_records(self.context.identity), ["unshare", "user,network"]]

    def _sysctls(self) -> list[tuple[str, str]]:
        return [(key, value) for key, value in _SYSCTLS if os.path.exists(f"/proc/sys/{key}")]

    def _add(self, found: dict[str, Any], networks: Sequence[Definition]) -> dict[str, Any]:
        there = found["networks"]
        new = [d for d in networks if there.get(d["name"]) != describe(d)]
        if not new:
            return found
        names = {**there, **{d["name"]: describe(d) for d in new}}
        old = [["link-delete", there[d["name"]]["bridge"]] for d in new if d["name"] in there]
        batch = rules(names, transparent=found["transparent"])
        steps = [*old, *[bridge_record(d) for d in new], ["netfilter", batch.hex()]]
        launch_work(work_in(found, steps))
        return {**found, "networks": names}

    def drop(self, definition: Definition) -> None:
        """A network that goes: its bridge, its rules, its place at the server of names."""
        with Lock(f"{self.dir}/make.lock"):
            found = self.record()
            if definition["name"] not in found.get("networks", {}):
                return
            row = found["networks"].pop(definition["name"])
            batch = rules(found["networks"], transparent=found["transparent"])
            steps = [["link-delete", row["bridge"]], ["netfilter", batch.hex()]]
            launch_work(work_in(found, steps))
            self._write_served(found["networks"])
            write_json(f"{self.dir}/room.json", found, durable=False)

    def change_servers(self, definition: Definition) -> None:
        """Of a network whose bridge stays as it is."""
        with Lock(f"{self.dir}/make.lock"):
            found = self.record()
            if definition["name"] in found.get("networks", {}):
                found["networks"][definition["name"]] = described = describe(definition)
                self.claims(definition).set_upstream(described["servers"])
                write_json(f"{self.dir}/room.json", found, durable=False)

    def _write_served(self, networks: dict[str, Any]) -> None:
        """For the DNS server: which addresses it serves, and whom it asks itself."""
        rows = [
            " ".join([row["key"], row["bridge"], *[a.partition("/")[0] for a in row["addresses"]]])
            for row in networks.values()
            if row["dns"]
        ]
        from rcrun.engine.bridge import host_lines

        self.write_upstream()
        for definition in networks.values():
            base = [] if definition["internal"] else host_lines(definition["addresses"])
            claims = Claims(f"{self.dir}/names/{definition['key']}", lambda veth: False)
            claims.set_base(base)
            claims.set_upstream(definition["servers"])
        text = "".join(f"{row}\n" for row in rows)
        write_file(f"{self.dir}/names/networks", text.encode(), durable=False)

    def write_upstream(self) -> None:
        from rcrun.network import resolv
        from rcrun.network.route import host_address

        path = f"{self.dir}/names/upstream"
        text = resolv.text(
            read_text("/etc/resolv.conf"),
            own_network=True,
            forwarder=resolv.forwarder(host_address()),
        )
        if read_text(path) != text or not os.path.exists(path):
            write_file(path, text.encode(), durable=False)

    # The way out.

    def _is_connected(self) -> bool:
        words = read_text(f"{self.dir}/outside").split()
        return len(words) == 2 and is_alive(int(words[0]), int(words[1]))

    def _prepare_to_connect(self, networks: Sequence[Definition]) -> None:
        if self._is_connected():
            return
        from rcrun.engine.outside import Connecting

        optional = all(definition["internal"] for definition in networks)
        self._connecting = Connecting(self.context, self.dir, optional=optional)


def interfaces_of(pid: int) -> set[str]:
    """The interfaces of this process's network."""
    lines = read_text(f"/proc/{pid}/net/dev").splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines}


def _has(found: dict[str, Any], networks: Sequence[Definition]) -> bool:
    there = found.get("networks") or {}
    return all(there.get(each["name"]) == describe(each) for each in networks)


def describe(definition: Definition) -> dict[str, Any]:
    """What of a network is in the room; another description is another bridge."""
    return {
        "key": definitions.key(definition),
        "bridge": definition["network_interface"],
        "addresses": definitions.gateways(definition),
        "dns": bool(definition["dns_enabled"]),
        "internal": bool(definition["internal"]),
        "isolated": definitions.is_isolated(definition),
        "servers": list(definition.get("network_dns_servers") or ()),
    }


def bridge_record(definition: Definition) -> list[str]:
    addresses = definitions.gateways(definition)
    mac = "02:42:" + ":".join(definition["id"][i : i + 2] for i in range(0, 8, 2))
    name = str(definition["network_interface"])
    return ["bridge", name, mac, str(definitions.mtu(definition)), *addresses]


def rules(networks: dict[str, Any], *, transparent: bool) -> bytes:
    from rcrun.network import nft

    return nft.batch(
        [
            nft.Bridge(
                row["bridge"],
                [_packed(address) for address in row["addresses"]],
                isolated=row["isolated"],
                internal=row["internal"],
            )
            for row in networks.values()
        ],
        transparent=transparent,
    )


def _packed(address: str) -> bytes:
    number, bits = cidr.number_of(address.partition("/")[0])
    return number.to_bytes(bits // 8, "big")


def work_in(found: dict[str, Any], steps: Records) -> Records:
    """A plan that does something in the room."""
    enter = ["enter", str(found["pid"]), str(found["start"])]
    return [["plan", "1"], ["session", "work"], enter, *steps]


def launch_work(plan: Records, meanwhile: Callable[[], None] | None = None) -> None:
    report = shim.launch(plan, meanwhile=meanwhile)
    if report is not None:
        from rcrun.runtime.hints import error_for

        raise error_for(plan, report)
