"""Who has which address of a network, and under which names: files of the live state, without a lock that starts share.

`DIR/KEY/addresses/ADDRESS` is a symlink to `VETH/CONTAINER`: symlink(2) is the claim. `DIR/KEY/endpoints/VETH` has the
veth's lines of the network's `names`. The room's holder removes both when the veth is gone (shim/holder.c); what never
became a veth is removed by who failed to make it.
"""

from __future__ import annotations

import os

from rcrun.errors import InUse
from rcrun.files import Lock, read_text, subdirectories, unlink_if_there, write_file
from rcrun.formats import cidr
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.formats.cidr import Subnet


class Claims:
    """Of one network in one room; `is_stale` tells whether a container neither runs nor is about to."""

    __slots__ = ("dir", "is_stale")

    def __init__(self, directory: str, is_stale: Callable[[str], bool]) -> None:
        self.dir = directory
        self.is_stale = is_stale

    def _path(self, address: str) -> str:
        return f"{self.dir}/addresses/{address}"

    def claim(self, address: str, owner: str) -> bool:
        """`owner` is `VETH/CONTAINER`."""
        try:
            os.symlink(owner, self._path(address))
        except FileNotFoundError:
            make_private_dir(f"{self.dir}/addresses")
            return self.claim(address, owner)
        except FileExistsError:
            return self._take_over(address, owner)
        return True

    def _take_over(self, address: str, owner: str) -> bool:
        """From one that has ended: the kernel takes a moment to take its interface apart, after which it is given up."""
        before = self.owner(address)
        if before and not self.is_stale(before.partition("/")[2]):
            return False
        with Lock(f"{self.dir}/lock"):
            if self.owner(address) == before:
                unlink_if_there(self._path(address))
        return self.claim(address, owner)

    def owner(self, address: str) -> str:
        try:
            return os.readlink(self._path(address))
        except OSError:
            return ""

    def take(self, row: Mapping[str, Any], wanted: str, before: str, owner: str) -> str:
        """An address of this row of `subnets`: the one that is wanted, the one it had, or the first that is free."""
        subnet = cidr.parse(row["subnet"])
        if wanted:
            self._take_wanted(subnet, wanted, str(row.get("gateway") or ""), owner)
            return wanted
        first, last = _range(row, subnet)
        fits = bool(before) and first <= cidr.number_of(before)[0] <= last
        if fits and self._is_free(before) and self.claim(before, owner):
            return before
        return self._first_free(row, subnet, owner)

    def _is_free(self, address: str) -> bool:
        return not os.path.lexists(self._path(address))

    def _take_wanted(self, subnet: Subnet, wanted: str, gateway: str, owner: str) -> None:
        if wanted == gateway or not self.claim(wanted, owner):
            raise InUse(
                f"address {wanted} is in use already", "choose another one, or leave it out"
            )

    def _first_free(self, row: Mapping[str, Any], subnet: Subnet, owner: str) -> str:
        first, last = _range(row, subnet)
        skipped = cidr.number_of(row["gateway"])[0] if row.get("gateway") else -1
        names = set(subdirectories(f"{self.dir}/addresses"))
        for stale in (False, True):  # those that may have been left behind come last
            for number in range(first, last + 1):
                address = subnet.text_of(number)
                if number == skipped or (address in names and not stale):
                    continue
                if self.claim(address, owner):
                    return address
        raise InUse(
            f"no address of {subnet} is free",
            "stop containers that are on this network, or make one with a larger --subnet",
        )

    def release(self, veth: str) -> None:
        """All that this one has."""
        for address in list(subdirectories(f"{self.dir}/addresses")):
            if self.owner(address).partition("/")[0] == veth:
                unlink_if_there(self._path(address))
        try:
            with Lock(f"{self.dir}/lock"):
                if os.path.exists(f"{self.dir}/endpoints/{veth}"):
                    unlink_if_there(f"{self.dir}/endpoints/{veth}")
                    self._write_names()
        except FileNotFoundError:
            pass  # the room has gone, and all names with it

    # Names.

    def publish(self, veth: str, lines: Sequence[str]) -> None:
        """Before the container starts; `lines` as in hosts(5)."""
        make_private_dir(f"{self.dir}/endpoints")
        text = "".join(f"{line}\n" for line in lines)
        with Lock(f"{self.dir}/lock"):
            write_file(f"{self.dir}/endpoints/{veth}", text.encode(), durable=False)
            self._write_names()

    def set_base(self, lines: Sequence[str]) -> None:
        """What every container of the network can ask for: the host's names."""
        make_private_dir(f"{self.dir}/endpoints")
        make_private_dir(f"{self.dir}/addresses")
        text = "".join(f"{line}\n" for line in lines)
        if read_text(f"{self.dir}/base") == text and os.path.exists(f"{self.dir}/names"):
            return
        with Lock(f"{self.dir}/lock"):
            write_file(f"{self.dir}/base", text.encode(), durable=False)
            self._write_names()

    def set_upstream(self, servers: Sequence[str]) -> None:
        """Whom this network asks for what is not in it, instead of the host's servers."""
        path = f"{self.dir}/upstream"
        text = "".join(f"nameserver {server}\n" for server in servers)
        if not text:
            unlink_if_there(path)
        elif os.path.isdir(self.dir) and read_text(path) != text:
            write_file(path, text.encode(), durable=False)

    def _write_names(self) -> None:
        """As the holder does it, under the same lock."""
        names = [name for name in subdirectories(f"{self.dir}/endpoints") if "~" not in name]
        parts = [read_text(f"{self.dir}/base")]
        parts += [read_text(f"{self.dir}/endpoints/{name}") for name in sorted(names)]
        write_file(f"{self.dir}/names", "".join(parts).encode(), durable=False)


def _range(row: Mapping[str, Any], subnet: Subnet) -> tuple[int, int]:
    first, last = subnet.usable()
    lease = row.get("lease_range") or {}
    if lease.get("start_ip"):
        first = cidr.number_of(lease["start_ip"])[0]
    if lease.get("end_ip"):
        last = cidr.number_of(lease["end_ip"])[0]
    return first, last
