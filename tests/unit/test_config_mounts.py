"""Mounts, devices, networks and bound files of a container."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import ID, ROOT, SINGLE, built, facts
from rcrun.errors import InvalidInput


def mounts(options: dict[str, Any] | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    rows: Any = built(options, **more).config["mounts"]
    return {row["destination"]: row for row in rows}


def test_what_every_container_has() -> None:
    found = mounts()
    assert list(found) == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/shm",
        "/dev/mqueue",
        "/.dockerenv",
        "/etc/hostname",
        "/run/.containerenv",
        "/etc/hosts",
        "/etc/resolv.conf",
    ]
    assert found["/sys"]["options"] == ["nosuid", "noexec", "nodev", "ro"]
    assert "size=67108864" in found["/dev/shm"]["options"]
    assert "gid=5" in found["/dev/pts"]["options"]
    assert found["/etc/hosts"] == {
        "destination": "/etc/hosts",
        "type": "bind",
        "source": f"/store/containers/{ID}/hosts",
        "options": ["bind", "rprivate"],
    }


def test_variants_of_the_kernels_file_systems() -> None:
    assert "size=1048576" in mounts({"shm_size": "1m"})["/dev/shm"]["options"]
    assert "gid=5" not in mounts(known=facts(SINGLE))["/dev/pts"]["options"]
    assert mounts({"privileged": True})["/sys"]["options"][-1] == "rw"
    host = mounts({"network": "host"})["/sys"]
    assert (host["type"], host["source"]) == ("bind", "/sys")
    assert host["options"] == ["rbind", "nosuid", "noexec", "nodev", "rro"]
    assert mounts({"network": "host"}, known=facts(ROOT))["/sys"]["type"] == "sysfs"
    assert mounts({"pid": "host"})["/proc"]["type"] == "bind"
    host = mounts({"ipc": "host"}, known=facts(files={"/dev/mqueue": b""}))
    assert host["/dev/mqueue"]["source"] == "/dev/mqueue"
    assert "/dev/shm" not in host
    assert "/dev/shm" not in mounts({"ipc": "none"})


def test_a_host_directory() -> None:
    known = facts(files={"/home/me/src": b""})
    made = built({"volume": ("./src:/w", "/new:/n:ro,nosuid")}, known=known)
    rows: Any = {row["destination"]: row for row in made.config["mounts"]}
    assert rows["/w"] == {
        "destination": "/w",
        "type": "bind",
        "source": "/home/me/src",
        "options": ["rbind", "rw", "rprivate"],
    }
    assert rows["/n"]["options"] == ["rbind", "rro", "nosuid", "rprivate"]
    assert made.mounts.make_dirs == ["/new"]
    assert [(row["destination"], row["rw"]) for row in made.container["mounts"]] == [
        ("/w", True),
        ("/n", False),
    ]


def test_read_only_reaches_below_where_the_kernel_can() -> None:
    known = facts(files={"/a": b""})
    writable = "type=bind,src=/a,dst=/b,ro,bind-recursive=writable"
    assert mounts({"mount": (writable,)}, known=known)["/b"]["options"][1] == "ro"
    assert mounts({"volume": ("/a:/b:ro,bind",)}, known=known)["/b"]["options"][:2] == [
        "bind",
        "ro",
    ]
    old = facts(files={"/a": b""}, kernel=(5, 10))
    assert mounts({"volume": ("/a:/b:ro",)}, known=old)["/b"]["options"][1] == "ro"


def test_a_missing_source_of_mount_is_an_error() -> None:
    with pytest.raises(InvalidInput, match='cannot mount "/none"'):
        built({"mount": ("type=bind,src=/none,dst=/b",)})
    made = built({"mount": ("type=bind,src=/none,dst=/b,bind-create-src",)})
    assert made.mounts.make_dirs == ["/none"]


def test_a_missing_docker_socket_is_no_error() -> None:
    made = built({"volume": ("/var/run/docker.sock:/var/run/docker.sock",)})
    assert made.mounts.make_dirs == []
    assert made.warnings == ['"/var/run/docker.sock" does not exist: it is not mounted']
    assert made.container["mounts"] == []


def test_volumes() -> None:
    made = built(
        {
            "volume": ("db:/data", "/anon"),
            "mount": ("src=logs,dst=/logs,volume-nocopy,volume-label=a=b,U",),
        },
        image={"Volumes": {"/data": {}, "/extra/": {}}},
    )
    uses = [
        (use.name[-4:], use.destination, use.anonymous, use.copy_up, use.labels, use.chown)
        for use in made.mounts.volumes
    ]
    assert uses == [
        ("db", "/data", False, True, {}, None),
        ("0000", "/anon", True, True, {}, None),
        ("logs", "/logs", False, False, {"a": "b"}, (0, 0)),
        ("0001", "/extra", True, True, {}, None),
    ]
    record = made.container["mounts"]
    assert [row.get("anonymous", False) for row in record] == [False, True, False, True]
    assert record[0]["name"] == "db"
    assert record[0]["source"] == "/store/volumes/db/_data"


def test_the_users_mounts_replace_ours() -> None:
    known = facts(files={"/h": b"", "/dev": b""})
    found = mounts({"volume": ("/h:/etc/hosts",), "tmpfs": ("/dev/shm:size=1m",)}, known=known)
    assert found["/etc/hosts"]["source"] == "/h"
    assert "size=1m" in found["/dev/shm"]["options"]
    found = mounts({"volume": ("/dev:/dev",)}, known=known)
    assert found["/dev"]["source"] == "/dev"
    assert "/dev/pts" not in found
    assert "/dev/shm" not in found


def test_shallow_mounts_come_first() -> None:
    known = facts(files={"/x": b""})
    found = list(
        mounts({"volume": ("/x:/a/b/c", "/x:/a", "/x:/a/b"), "tmpfs": ("/run",)}, known=known)
    )
    assert found.index("/a") < found.index("/a/b") < found.index("/a/b/c")
    assert found.index("/run") < found.index("/run/.containerenv")


def test_read_only_roots() -> None:
    made = built({"read_only": True})
    assert made.config["root"]["readonly"] is True
    assert "/tmp" not in mounts({"read_only": True})
    found = mounts({"read_only": True, "read_only_tmpfs": True, "tmpfs": ("/tmp:size=1m",)})
    assert found["/run"]["type"] == "tmpfs"
    assert "size=1m" in found["/tmp"]["options"]
    assert "/tmp" not in mounts({"read_only_tmpfs": True})


def test_ownership_is_asked_for() -> None:
    known = facts(files={"/a": b""})
    assert built({"volume": ("/a:/b:U",), "user": "web"}, known=known).mounts.chowns == [
        ("/a", "", 33, 33)
    ]
    part = {"mount": ("type=bind,src=/a,dst=/b,subpath=p//q/,U",), "user": "web"}
    made = built(part, known=known)
    assert made.mounts.chowns == [("/a", "p/q", 33, 33)]
    assert (made.container["mounts"][0]["source"], made.container["mounts"][0]["subpath"]) == (
        "/a",
        "p/q",
    )


def test_time_zones() -> None:
    known = facts(files={"/etc/localtime": b"", "/usr/share/zoneinfo/Europe/Paris": b""})
    assert mounts({"tz": "local"}, known=known)["/etc/localtime"]["source"] == "/etc/localtime"
    found = mounts({"tz": "Europe/Paris"}, known=known)["/etc/localtime"]
    assert found["source"] == "/usr/share/zoneinfo/Europe/Paris"


def test_devices() -> None:
    known = facts(files={"/dev/fuse": b""})
    found = mounts({"device": ("/dev/fuse:/dev/other",)}, known=known)
    assert found["/dev/other"]["source"] == "/dev/fuse"
    root = built({"device": ("/dev/fuse:r",)}, known=facts(ROOT, files={"/dev/fuse": b""})).config
    (device,) = root["linux"]["devices"]
    assert (device["path"], device["type"], device["major"], device["minor"]) == (
        "/dev/fuse",
        "c",
        1,
        3,
    )
    rules: Any = root["linux"]["resources"]["devices"]
    assert rules[-1] == {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}


# Networks.


@pytest.mark.parametrize(
    ("given", "mode", "words"),
    [
        (None, "pasta", []),
        ("private", "pasta", []),
        ("bridge", "bridge", []),
        (("net1", "net2:ip=10.89.1.7"), "bridge", []),
        ("none", "none", []),
        ("host", "host", []),
        ("pasta:-a,10.0.0.1", "pasta", ["-a", "10.0.0.1"]),
        ("slirp4netns:mtu=1500", "slirp4netns", ["mtu=1500"]),
    ],
)
def test_network_modes(given: str | None, mode: str, words: list[str]) -> None:
    network = built({"network": given}).container["network"]
    assert (network["mode"], network["options"]) == (mode, words)


def test_the_default_network() -> None:
    """The bridge, unless one of its own is asked for, or its user namespace is another container's."""

    def found(options: dict[str, Any], **environ: str) -> tuple[str, bool]:
        known = facts(has_bridges=lambda: True, environ=environ)
        network = built(options, known=known).container["network"]
        return network["mode"], network["chosen"]

    assert found({}) == ("bridge", False)
    assert found({"network": "default"}) == ("bridge", False)
    assert found({"ip": "10.88.0.9"}) == ("bridge", True)
    assert found({"network": "bridge"}) == ("bridge", True)
    assert found({"network": "private"}) == ("pasta", False)
    assert found({"userns": "ns:/proc/7/ns/user"}) == ("pasta", False)
    assert found({}, RCRUN_NETWORK="private") == ("pasta", False)
    assert found({}, RCRUN_NETWORK="pasta:-4") == ("pasta", True)
    assert found({"network": "none"}, RCRUN_NETWORK="pasta") == ("none", True)
    assert found({}, RCRUN_NETWORK="web") == ("bridge", True)


def test_the_network_without_pasta() -> None:
    known = facts(programs={"slirp4netns": "/usr/bin/slirp4netns"})
    assert built(known=known).container["network"]["mode"] == "slirp4netns"
    assert built(known=facts(programs={})).container["network"]["mode"] == "pasta"


def test_ports() -> None:
    options = {"publish": ("127.0.0.1:8080:80",), "publish_all": True, "expose": ("90",)}
    made = built(options, image={"ExposedPorts": {"80/tcp": {}, "53/udp": {}}})
    assert made.container["network"]["ports"] == [
        {"host_ip": "127.0.0.1", "host_port": 8080, "container_port": 80, "protocol": "tcp"},
        {"host_ip": "", "host_port": 0, "container_port": 53, "protocol": "udp"},
        {"host_ip": "", "host_port": 0, "container_port": 90, "protocol": "tcp"},
    ]
    assert made.container["exposed"] == ["53/udp", "80/tcp", "90/tcp"]


def test_ports_without_a_network() -> None:
    made = built({"publish": ("80:80",), "network": "host"})
    assert made.container["network"]["ports"] == []
    assert made.warnings == ["published ports have no effect with --network host"]


def test_hosts() -> None:
    made = built(
        {
            "add_host": ("db:10.1.1.1", "six:[::2]", "a;b:10.1.1.2"),
            "hostname": "web",
            "domainname": "d",
        }
    )
    text = made.files["hosts"]
    assert "10.1.1.1\tdb\n" in text
    assert "::2\tsix\n10.1.1.2\ta b\n" in text
    assert "10.0.2.100\tweb.d web calm_curie\n" in text
    host = built({"network": "host", "add_host": ("db=10.1.1.1", "gw:host-gateway")}).files["hosts"]
    assert host.startswith(
        "127.0.0.1 localhost\n10.0.0.9 build.example\n10.1.1.1\tdb\n127.0.0.1\tgw\n"
    )
    assert "127.0.0.1\thost.docker.internal" in host
    assert "hosts" not in built({"no_hosts": True}).files


def test_the_host_has_a_name_only_where_it_can_be_reached() -> None:
    from rcrun.network import hosts

    alone = built({"network": "none"}).files["hosts"]
    assert "host.docker.internal" not in alone
    assert "127.0.0.1\t0123456789ab calm_curie\n" in alone
    reaching = built(known=facts(host_address=lambda: "192.0.2.7")).files["hosts"]
    assert "192.0.2.7\thost.docker.internal host.containers.internal\n" in reaching
    offline = built({"add_host": ("gw:host-gateway",)}).files["hosts"]
    assert "10.0.2.2\tgw\n" in offline
    assert "host.docker.internal" not in offline
    found = hosts.text(
        ["web"], host_address="10.0.2.2", added=[hosts.parse_added("gw:host-gateway", "10.0.2.2")]
    )
    assert "10.0.2.2\tgw\n" in found
    assert "10.0.2.2\thost.docker.internal host.containers.internal\n" in found


def test_resolvers() -> None:
    assert built().files["resolv.conf"] == "search example.org\nnameserver 10.0.2.3\n"
    assert "127.0.0.53" in built({"network": "host"}).files["resolv.conf"]
    asked = built({"dns": ("10.0.0.1",), "dns_search": (".",), "dns_option": ("ndots:2",)})
    assert asked.files["resolv.conf"] == "nameserver 10.0.0.1\noptions ndots:2\n"
    assert "resolv.conf" not in built({"dns": ("none",)}).files
    assert built(known=facts(files={"/etc/resolv.conf": b"nameserver 10.9.9.9\n"})).files[
        "resolv.conf"
    ] == ("nameserver 10.9.9.9\n")


def test_marker_files_are_empty() -> None:
    files = built().files
    assert files["containerenv"] == files["dockerenv"] == ""
