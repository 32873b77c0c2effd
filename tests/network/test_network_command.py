"""`rcrun network …`: what is made, listed, told, refused; as docker and as podman."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts import bin_dir

pytestmark = pytest.mark.requires("userns", "overlay", "network")


@pytest.fixture
def nets(fresh_rcrun):
    """A store without networks, and with the runroot of the account."""
    return fresh_rcrun()


def as_program(rcrun, name, *args, **options):
    folder = rcrun.account.new_dir("bin")
    (folder / name).symlink_to(bin_dir() / "rcrun")
    return rcrun.account.run(folder / name, *args, env=rcrun.env, **options)


def test_a_network_is_made_and_removed(nets):
    found = nets("network", "create", "--label", "a=b", "web").check().out.strip()
    assert len(found) == 64
    assert nets("network", "exists", "web").status == 0
    assert nets("network", "exists", found[:12]).status == 0
    shown = json.loads(nets("network", "inspect", "web").check().out)[0]
    assert (shown["Id"], shown["Name"], shown["Driver"], shown["Scope"]) == (
        found,
        "web",
        "bridge",
        "local",
    )
    assert shown["Labels"] == {"a": "b"}
    assert shown["Containers"] == {}
    (config,) = shown["IPAM"]["Config"]
    assert config["Subnet"].startswith("10.")
    assert config["Gateway"] == config["Subnet"].replace(".0/24", ".1")
    assert nets("network", "rm", "web").check().out == "web\n"
    assert nets("network", "exists", "web").status == 1
    assert nets("network", "rm", "web").status == 1
    assert nets("network", "rm", "-f", "web").status == 0


def test_commands_in_a_store_without_the_default_network(fresh_rcrun):
    """It is made by whoever asks for it first, who must not wait for himself."""
    for words, status in ((("rm", "nope"), 1), (("update", "nope"), 1), (("prune", "-f"), 0)):
        assert fresh_rcrun()("network", *words).status == status


def test_the_list(nets):
    nets("network", "create", "--label", "x=1", "web").check()
    assert nets("network", "ls", "--format", "{{.Name}}").check().out == "bridge\nweb\nhost\nnone\n"
    assert nets("network", "ls", "--filter", "label=x=1", "--format", "{{.Name}}").out == "web\n"
    assert nets("network", "ls", "--filter", "name=we", "--format", "{{.Name}}").out == "web\n"
    assert nets("network", "ls", "--filter", "driver=host", "--format", "{{.Name}}").out == "host\n"
    assert (
        nets("network", "ls", "--filter", "dangling=true", "--format", "{{.Name}}").out
        == "bridge\nweb\n"
    )
    assert nets("network", "ls", "-q", "--filter", "type=custom").out.strip().isalnum()
    got = nets("network", "ls", "--filter", "what=x")
    assert got.err.startswith('rcrun: error: invalid filter "what=x"\n')
    heads = nets("network", "ls").check().out.splitlines()[0].split()
    assert heads == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]


def test_as_podman(nets):
    assert as_program(nets, "podman", "network", "create", "web").check().out == "web\n"
    assert as_program(nets, "podman", "network", "ls", "-q").check().out == "podman\nweb\n"
    (shown,) = json.loads(as_program(nets, "podman", "network", "inspect", "web").check().out)
    assert shown["name"] == "web"
    assert shown["dns_enabled"] is True
    assert shown["subnets"][0]["gateway"]
    assert as_program(nets, "podman", "network", "rm", "nope").status == 1
    assert as_program(nets, "podman", "network", "rm", "podman").status == 125


def test_in_use(rcrun):
    name = f"net{os.urandom(3).hex()}"
    rcrun("network", "create", name).check()
    rcrun("create", "--name", "one", "--network", name, "busybox", "true").check()
    got = rcrun("network", "rm", name)
    assert got.status == 1
    assert f'network "{name}" has associated containers with it: one' in got.err
    assert as_program(rcrun, "podman", "network", "rm", name).status == 2
    assert name not in rcrun("network", "prune", "-f").check().out
    assert as_program(rcrun, "podman", "network", "rm", "-f", name).check().out == f"{name}\n"
    assert rcrun("ps", "-aq").out == ""


def test_prune(nets):
    nets("network", "create", "--label", "6a1b2c", "one").check()
    nets("network", "create", "two").check()
    got = nets("network", "prune", "--force", "--filter", "label=6a1b2c").check()
    assert got.out.split() == ["Deleted", "Networks:", "one"]
    assert nets("network", "prune", "-f", "--filter", "until=1h").check().out == ""
    assert nets("network", "prune", "-f").check().out.split() == ["Deleted", "Networks:", "two"]


def test_many_at_once_have_subnets_of_their_own(nets):
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda n: nets("network", "create", f"net{n}"), range(12)))
    for result in made:
        result.check()
    form = "{{range .IPAM.Config}}{{.Subnet}}{{end}}"
    names = [f"net{number}" for number in range(12)]
    subnets = nets("network", "inspect", "-f", form, *names).check().out.split()
    assert len(set(subnets)) == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--driver", "macvlan", "web"), 'driver "macvlan" is not supported: it needs an interface of the host'),
        (("--driver", "ipvlan", "web"), 'driver "ipvlan" is not supported: it needs an interface of the host'),
        (("--driver", "what", "web"), 'driver "what" not found'),
        (("--subnet", "10.5.0.0", "web"), 'invalid --subnet "10.5.0.0"'),
        (("--subnet", "10.5.0.0/31", "web"), "subnet 10.5.0.0/31 is too small"),
        (("--subnet", "10.5.0.0/24", "--gateway", "10.6.0.1", "web"), 'invalid --gateway "10.6.0.1"'),
        (("--subnet", "10.5.0.0/24", "--ip-range", "10.6.0.0/25", "web"), 'invalid --ip-range "10.6.0.0/25"'),
        (("--subnet", "10.5.0.0/24", "--subnet", "10.5.0.128/25", "web"), "is already used on the host or by another config"),
        (("-o", "mtu=1", "web"), 'invalid mtu "1"'),
        (("-o", "what=1", "web"), "unsupported bridge network option what"),
        (("--interface-name", "a/b", "web"), 'invalid interface name "a/b"'),
        (("--route", "10.7.0.0/16", "web"), 'invalid --route "10.7.0.0/16"'),
        (("--dns", "x", "web"), 'invalid --dns "x"'),
        (("bridge",), "network name bridge already used"),
        (("a b",), 'invalid network name "a b"'),
        (("--scope", "swarm", "web"), 'scope "swarm" is not supported'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_refusals(nets, words, said):
    got = nets("network", "create", *words)
    assert got.status == 1
    assert got.err.startswith("rcrun: error: ")
    assert said in got.err
    assert nets("network", "ls", "-q", "--filter", "type=custom").out == ""


def test_one_that_exists(nets):
    nets("network", "create", "web").check()
    got = nets("network", "create", "web")
    assert (got.status, "network name web already used" in got.err) == (1, True)
    nets("network", "create", "--ignore", "web").check()


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_refusals_of_run(rcrun):
    for words, said in (
        (("--network", "nope"), "no such network: nope"),
        (("--network", "bridge", "--network", "host"), "conflicting options: --network host and another --network"),
        (("--network", "bridge", "--network", "podman"), '--network: network "bridge" is given twice'),
        (("--network", "none", "--ip", "10.0.0.1"), "conflicting options: --ip and --network none"),
        (("--network", "private", "--ip", "10.0.0.1"), "conflicting options: --ip and --network "),
        (("--network", "bridge", "--mac-address", "x"), 'invalid --mac-address "x"'),
        (("--network", "bridge:what=1"), 'unknown key "what"'),
    ):  # fmt: skip
        got = rcrun("run", "--rm", *words, "busybox", "true")
        assert got.status == 125
        assert said in got.err
