"""The port proxy's command line."""

from __future__ import annotations

from rcrun.kernel.shim import shim_path
from rcrun.network.proxy import helper_words

TCP = {"protocol": "tcp", "host_ip": "0.0.0.0", "host_port": 8080, "container_port": 80}
UDP = {"protocol": "udp", "host_ip": "::1", "host_port": 53, "container_port": 53}
ADDRESSES = ["10.89.0.2", "fd00::2"]


def test_tcp_is_in_the_containers_own_network() -> None:
    (words,) = helper_words([TCP], ADDRESSES, ["10.89.0.1", "fd00::1"], "7:8")
    assert words == [shim_path(), "proxy", "@READY@", "@PID@", "marked/10.89.0.1/fd00::1", "tcp/0.0.0.0/8080/10.89.0.2/80"]  # fmt: skip


def test_udp_is_in_the_room_and_leaves_tcp_where_it_is() -> None:
    tcp, udp = helper_words([UDP, TCP], ADDRESSES, ["10.89.0.1"], "7:8")
    assert tcp[3:] == ["@PID@", "marked/10.89.0.1", "tcp/0.0.0.0/8080/10.89.0.2/80"]
    assert udp[3:] == ["7:8", "kept/10.89.0.1", "udp/::1/53/fd00::2/53"]
    (alone,) = helper_words([UDP], ADDRESSES, [], "7:8", transparent=False)
    assert alone[3:5] == ["7:8", "own"]


def test_a_container_with_one_family_gets_both() -> None:
    ((*_, last),) = helper_words([{**TCP, "host_ip": "::"}], ["10.89.0.2"], [], "7:8")
    assert last == "tcp/::/8080/10.89.0.2/80"
