"""The command lines of pasta and slirp4netns, and which of the two a container gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rcrun.errors import HostLacks, InvalidInput
from rcrun.network import helpers, hosts, pasta, resolv, slirp

BOTH = ("192.0.2.7", "2001:db8::7")
OLD, NEW = b"--config-net", b"--config-net --no-copy-routes"


def port(host: int, inside: int = 80, ip: str = "0.0.0.0", protocol: str = "tcp") -> dict[str, Any]:
    return {"host_ip": ip, "host_port": host, "container_port": inside, "protocol": protocol}


def words(
    *ports: dict[str, Any], options: tuple[str, ...] = (), host: tuple[str, str] = BOTH
) -> str:
    return " ".join(pasta.words(ports, options, host))


def test_the_whole_line() -> None:
    assert words(port(8080)) == (
        "--config-net --quiet --no-map-gw -a 10.0.2.100 -n 24 -g 10.0.2.2 "
        "-a fd72:6372:756e::100 -g fd72:6372:756e::2 --no-ra --no-dhcpv6 -I eth0 "
        "--dns-forward 10.0.2.3 -t 0.0.0.0/8080:80 -u none -T none -U none"
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (("192.0.2.7", ""), "-4 -a 10.0.2.100 -n 24 -g 10.0.2.2 -I"),
        (
            ("", "2001:db8::7"),
            "-6 -a fd72:6372:756e::100 -g fd72:6372:756e::2 --no-ra --no-dhcpv6 -I",
        ),
        (("", ""), "-4 -i lo -M 02:00:00:00:00:01 -a 10.0.2.100 -n 24 -g 10.0.2.2 -I"),
    ],
)
def test_hosts_with_less(host: tuple[str, str], expected: str) -> None:
    assert f"--no-map-gw {expected} eth0" in words(host=host)


def test_names_are_asked_where_the_host_has_an_address() -> None:
    assert "--dns-forward fd72:6372:756e::3" in words(host=("", "2001:db8::7"))
    assert "--dns-forward 10.0.2.3" in words(host=("", ""))


def test_the_hosts_own_server_keeps_its_answers() -> None:
    """Debian 12's pasta gives them the forwarder's address, so it must have none."""
    line = pasta.words([], (), BOTH, forwards=False)
    assert "--dns-forward" not in line
    assert not resolv.asks_forwarder("nameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    for server in ("10.0.2.3", "127.0.0.53", "::1", "fd72:6372:756e::3"):
        assert resolv.asks_forwarder(f"nameserver 192.0.2.53\nnameserver {server}\n")


def test_ports() -> None:
    udp = port(53, 5353, protocol="udp")
    assert "-t none -u 0.0.0.0/53:5353 -T" in words(udp)
    assert "-t 127.0.0.1/1:80 -t ::1/2:81 -u none" in words(
        port(1, ip="127.0.0.1"), port(2, 81, ip="::1")
    )
    assert "-t 8080:80 -u" in words(port(8080), port(8080, ip="::"))  # pasta has both as one


def test_own_options_come_instead_or_last() -> None:
    text = words(options=("-a", "10.9.9.9", "--map-gw"))
    assert text.endswith("-U none -a 10.9.9.9")
    assert "10.0.2.100" not in text
    assert "map-gw" not in text
    assert "-I eth0" not in words(options=("--ns-ifname=net0",))


def test_options_of_slirp4netns() -> None:
    assert slirp.option_words(()) == [
        "--configure",
        "--enable-sandbox",
        "--enable-seccomp",
        "--disable-host-loopback",
        "--enable-ipv6",
        "--mtu=65520",
    ]
    own = slirp.option_words(
        ("allow_host_loopback=true", "enable_ipv6=false", "mtu=1500", "cidr=10.9.0.0/24")
    )
    assert own[3:] == ["--mtu=1500", "--cidr=10.9.0.0/24"]
    assert (
        slirp.option_words(("port_handler=rootlesskit", "--macaddress=x"))[-2] == "--macaddress=x"
    )
    with pytest.raises(InvalidInput, match='unknown option "speed=9"'):
        slirp.option_words(("speed=9",))


def test_slirp4netns_with_ports_goes_through_a_program() -> None:
    line = slirp.words(
        [port(8080), port(53, 53, "127.0.0.1", "udp")], (), "/live", "/bin/slirp4netns"
    )
    assert line[1] == "-BIS"
    assert line[2].endswith("/rcrun/network/slirp_ports.py")
    assert line[3:6] == [
        "@READY@",
        "/live",
        "tcp/0.0.0.0/8080/10.0.2.100/80,udp/127.0.0.1/53/10.0.2.100/53",
    ]
    assert line[6] == "/bin/slirp4netns"
    assert line[-2:] == ["@PID@", "eth0"]
    with pytest.raises(InvalidInput, match="IPv4 only"):
        slirp.words([port(1, ip="::1")], (), "/live", "/bin/slirp4netns")


class Host:
    """Programs that are there, and a pasta with such a text."""

    def __init__(self, folder: Path, *names: str, text: bytes = NEW) -> None:
        self.folder = folder
        for name in names:
            (folder / name).write_bytes(text)

    def records(self, network: dict[str, Any], *, as_root: bool = False) -> list[list[str]]:
        around = helpers.Surroundings(self.find, BOTH, as_root=as_root)
        return helpers.helper_records(network, "/live", around)

    def find(self, name: str) -> str:
        path = self.folder / name
        return str(path) if path.exists() else ""


DEFAULT = {"mode": "pasta", "chosen": False}


def test_pasta_and_slirp4netns_behind_it(tmp_path: Path) -> None:
    first, second = Host(tmp_path, "pasta", "slirp4netns").records(DEFAULT)
    assert first[:3] == ["helper", "/live/pasta.pid", f"{tmp_path}/pasta"]
    assert second[0] == "helper-else"
    assert second[1].startswith("rcrun: warning: pasta could not make the network, slirp4netns")
    assert second[2:4] == ["/live/pasta.pid", f"{tmp_path}/slirp4netns"]


def test_one_alone_is_enough(tmp_path: Path) -> None:
    (record,) = Host(tmp_path, "slirp4netns").records(DEFAULT)
    assert record[:3] == ["helper", "/live/pasta.pid", f"{tmp_path}/slirp4netns"]
    assert record[-3:] == ["--ready-fd=@READY@", "@PID@", "eth0"]


def test_what_was_named_is_not_replaced(tmp_path: Path) -> None:
    host = Host(tmp_path, "pasta", "slirp4netns")
    for mode in ("pasta", "slirp4netns"):
        (record,) = host.records({"mode": mode, "chosen": True})
        assert record[2] == f"{tmp_path}/{mode}"


def test_debian_12s_pasta_does_not_publish(tmp_path: Path) -> None:
    host = Host(tmp_path, "pasta", "slirp4netns", text=OLD)
    first, second = host.records({**DEFAULT, "bound": [port(8080)]})
    assert f"{tmp_path}/slirp4netns" in first
    assert second[1].startswith("rcrun: warning: slirp4netns could not make the network, pasta")
    same = {**DEFAULT, "bound": [port(53, 53, protocol="udp")]}
    assert host.records(same)[0][2] == f"{tmp_path}/pasta"
    assert len(host.records({**DEFAULT, "bound": [port(1, ip="::1")]})) == 1


def test_as_root_the_namespace_is_mounted_first(tmp_path: Path) -> None:
    (record,) = Host(tmp_path, "pasta").records(DEFAULT, as_root=True)
    assert record[2] == "/bin/sh"
    assert record[5:8] == ["/proc/@PID@/ns/net", "/live/pasta.pid", "/tmp/rcrun-pasta-live"]
    assert record[8:12] == [f"{tmp_path}/pasta", "--netns-only", "--runas", "0:0"]


def test_neither_is_installed(tmp_path: Path) -> None:
    with pytest.raises(HostLacks) as caught:
        Host(tmp_path).records(DEFAULT)
    assert caught.value.message == 'cannot make a network: "pasta" is not installed'
    assert caught.value.hint == (
        "run: sudo apt-get install passt, or slirp4netns where there is none; or use --network host or none"
    )


def test_the_tun_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers.require_tun("/dev/null")
    with pytest.raises(HostLacks) as caught:
        helpers.require_tun(f"{tmp_path}/tun")
    assert caught.value.message == f'cannot make a network: "{tmp_path}/tun": no such device'
    assert caught.value.hint == (
        "load its module: sudo modprobe tun; in an outer container: --device /dev/net/tun; "
        "or use --network host or --network none"
    )

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(HostLacks) as caught:
        helpers.require_tun()
    assert caught.value.message == 'cannot make a network: "/dev/net/tun": permission denied'
    assert caught.value.hint == (
        "let everybody use it, which gives no right over the host: sudo chmod 666 /dev/net/tun; "
        "or use --network host or --network none"
    )


def test_the_hosts_address_is_renewed() -> None:
    text = hosts.text(["web"], address="10.0.2.100", host_address="192.0.2.7")
    changed = hosts.with_host_address(text + "10.1.1.1\tmine\n", "198.51.100.4")
    assert "198.51.100.4\thost.docker.internal host.containers.internal\n" in changed
    assert "192.0.2.7" not in changed
    assert changed.endswith("10.0.2.100\tweb\n10.1.1.1\tmine\n")
    assert hosts.with_host_address(text, "") == text


def test_hosts_of_who_leaves_its_networks_and_joins_others() -> None:
    none = hosts.text(["web"])
    joined = hosts.with_own_addresses(hosts.with_host(none, "192.0.2.7"), "web", ["10.1.1.2"])
    assert joined.endswith(f"192.0.2.7\t{hosts.HOST_NAMES}\n10.1.1.2\tweb\n")
    moved = hosts.with_own_addresses(hosts.with_host(joined, "192.0.2.8"), "web", ["10.1.1.3"])
    assert moved == joined.replace("192.0.2.7", "192.0.2.8").replace("10.1.1.2", "10.1.1.3")
    assert hosts.with_own_addresses(hosts.with_host(moved, ""), "web", []) == none
