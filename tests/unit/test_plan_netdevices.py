"""`linux.netDevices` as a helper."""

from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.kernel.shim import Report
from rcrun.runtime.hints import error_for
from unit.plans import before, plan_of, records, root_host, single_host, spec_of, user_host


def test_devices_and_their_names() -> None:
    devices = {"eth1": {"name": "inside"}, "eth2": {}, "eth3": {"name": "eth%d"}}
    plan = plan_of(spec_of(linux__netDevices=devices))
    [helper] = records(plan, "helper")
    assert helper[1] == "/dev/null"
    assert helper[-7:] == ["@PID@", "eth1", "inside", "eth2", "eth2", "eth3", "eth%d"]
    assert before(plan, "helper", "unshare")


def test_none() -> None:
    assert records(plan_of(spec_of(linux__netDevices={})), "helper") == []


@pytest.mark.parametrize("host", [user_host(), single_host()])
def test_a_user_cannot(host: Any) -> None:
    with pytest.raises(HostLacks, match=r'"linux.netDevices" needs root'):
        plan_of(spec_of(linux__netDevices={"eth1": {}}), host)


def test_the_hosts_own_network_has_them_already() -> None:
    spec = spec_of(linux__netDevices={"eth1": {}})
    spec["linux"]["namespaces"] = [{"type": "mount"}]
    with pytest.raises(InvalidInput, match="needs a network namespace"):
        plan_of(spec)


@pytest.mark.parametrize("name", ["a b", "a/b", "..", "a:b", "sixteen-letters-", "%s", "a%d%d"])
def test_names_that_are_none(name: str) -> None:
    for devices in ({name: {}}, {"eth1": {"name": name}}):
        with pytest.raises(InvalidInput, match="no name of a network device"):
            plan_of(spec_of(linux__netDevices=devices))


def test_two_of_one_name() -> None:
    devices = {"eth1": {"name": "net0"}, "eth2": {"name": "net0"}}
    with pytest.raises(InvalidInput, match='have the name "net0"'):
        plan_of(spec_of(linux__netDevices=devices), root_host())


def test_what_the_helper_says_is_the_error() -> None:
    plan = plan_of(spec_of(linux__netDevices={"eth1": {}}))
    step = [record[0] for record in plan].index("helper")
    error = error_for(plan, Report(step, 5, 0, 1, "helper", 'there is no network device "eth1"\n'))
    assert (error.message, error.hint) == ('there is no network device "eth1"', None)
