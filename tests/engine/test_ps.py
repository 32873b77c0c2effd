"""ps: what is listed, filters, formats."""

from __future__ import annotations

import json
import os

import pytest

from rcrun.engine import ps
from rcrun.errors import InvalidInput, NotFound
from rcrun.paths import Store
from rcrun.storage import claims
from rcrun.storage.trees import remove_tree

NO_NETWORK = ("--network", "none")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "root"), str(tmp_path / "live"))


def make(store, name, created, **changes):
    with claims.claim(store) as claim:
        claim.claim_name(name)
        claim.container.record = {
            "auto_remove": False,
            "created": f"2026-01-01T00:00:{created:02}.000000000Z",
            "id": claim.container.id,
            "labels": {},
            "launched": 0,
            "name": name,
            **changes,
        }
        claim.container.save(durable=False)
        return claim.container


@pytest.fixture
def three(store):
    make(store, "old", 1, labels={"role": "db", "tier": "1"}, image="docker.io/library/debian:12")
    make(
        store, "middle", 2, labels={"role": "web"}, last_exit={"exit_code": 3, "finished": 0},
        network={"mode": "pasta", "bound": [{"host_ip": "", "host_port": 80, "container_port": 8080, "protocol": "tcp"}]},
    )  # fmt: skip
    make(store, "new", 3, image_id="sha256:" + "ab" * 32, mounts=[
        {"type": "volume", "name": "data", "source": "/x", "destination": "/data"}
    ])  # fmt: skip
    return store


def names(store, *filters, **options):
    options.setdefault("everything", True)
    return [seen.container.name for seen in ps.listed(store, filters=filters, **options)]


def test_the_newest_comes_first(three):
    assert names(three) == ["new", "middle", "old"]
    assert names(three, everything=False) == []
    assert names(three, everything=False, last=2) == ["new", "middle"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name=i?d"], ["middle", "old"]),
        (["name=^/old$"], ["old"]),
        (["name=old", "name=new"], ["new", "old"]),
        (["label=role"], ["middle", "old"]),
        (["label=role=db"], ["old"]),
        (["label=role", "label=tier"], ["old"]),
        (["label!=role"], ["new"]),
        (["status=created"], ["new", "old"]),
        (["status=exited"], ["middle"]),
        (["exited=3"], ["middle"]),
        (["exited=0"], []),
        (["ancestor=debian:12"], ["old"]),
        (["ancestor=abab"], ["new"]),
        (["before=middle"], ["old"]),
        (["since=middle"], ["new"]),
        (["volume=data"], ["new"]),
        (["volume=/data"], ["new"]),
        (["network=pasta"], ["middle"]),
        (["publish=80"], ["middle"]),
        (["publish=8080"], []),
    ],
)
def test_filters(three, filters, found):
    assert names(three, *filters) == found


@pytest.mark.parametrize("text", ["nosuch=1", "name", "status=weird", "exited=x", "name=("])
def test_filters_that_are_none(three, text):
    with pytest.raises(InvalidInput, match="invalid filter"):
        names(three, text)


def test_a_filter_that_names_what_is_not_there(three):
    with pytest.raises(NotFound, match="no such container: none"):
        names(three, "before=none")


def test_a_filter_for_a_status_shows_those_that_do_not_run(three):
    assert names(three, "status=exited", everything=False) == ["middle"]


def test_ports_are_shown_for_both_families(three):
    middle = next(
        seen for seen in ps.listed(three, everything=True) if seen.container.name == "middle"
    )
    assert ps.ports_text(middle.container) == "0.0.0.0:80->8080/tcp, [::]:80->8080/tcp"


def test_the_table(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    rcrun("run", "--name", "done", *NO_NETWORK, "busybox", "sh", "-c", "exit 3")
    lines = rcrun("ps", "-a").check().out.splitlines()
    assert lines[0].split() == "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES".split()
    assert "Exited (3) " in lines[1]
    assert lines[1].endswith("done")
    assert ' "sleep 100" ' in lines[2]
    assert " Up " in lines[2]
    assert len(rcrun("ps").out.splitlines()) == 2


def test_formats(rcrun):
    rcrun(
        "run", "-d", "--name", "web", "--label", "k=v", *NO_NETWORK, "busybox", "sleep", "100"
    ).check()
    container_id = rcrun("ps", "-q", "--no-trunc").out.strip()
    assert rcrun("ps", "-q").out.strip() == container_id[:12]
    assert (
        rcrun("ps", "--format", "{{.Names}} {{.Image}} {{.State}}").out == "web busybox running\n"
    )
    assert rcrun("ps", "--format", '{{.Label "k"}}').out == "v\n"
    assert rcrun("ps", "--format", "table {{.Names}}\\t{{.State}}").out.splitlines()[0].split() == [
        "NAMES",
        "STATE",
    ]
    row = json.loads(rcrun("ps", "--format", "json").out)
    assert (row["Names"], row["State"]) == ("web", "running")
    assert "k=v" in row["Labels"].split(",")
    assert rcrun("ps", "--no-trunc", "--format", "{{.ID}}").out.strip() == container_id


def test_an_empty_store_has_the_header_only(fresh_rcrun):
    rcrun = fresh_rcrun()
    assert len(rcrun("ps", "-a").check().out.splitlines()) == 1
    assert rcrun("ps", "-q").check().out == ""
    assert rcrun("ps", "--format", "json").check().out == ""


def test_size(rcrun):
    rcrun(
        "run", "--name", "web", *NO_NETWORK, "busybox", "sh", "-c", "head -c 5000 /dev/zero > /f"
    ).check()
    written, virtual, whole = rcrun("ps", "-as", "--format", "{{.Size}}").check().out.split()
    assert (written, virtual) == ("5kB", "(virtual")
    assert whole.endswith("MB)")


def test_ports_as_docker_writes_them():
    class Container:
        record = {
            "exposed": ["80/tcp", "9000/tcp", "9001/tcp", "53/udp"],
            "network": {
                "bound": [
                    {"host_ip": "", "host_port": 8080, "container_port": 80, "protocol": "tcp"},
                    *[
                        {"host_ip": "127.0.0.1", "host_port": port, "container_port": port, "protocol": "tcp"}
                        for port in (7001, 7000, 7002)
                    ],
                ]
            },
        }  # fmt: skip

    assert ps.ports_text(Container()) == (
        "53/udp, 127.0.0.1:7000-7002->7000-7002/tcp, 9000-9001/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    )


def test_commands_sizes_and_mounts_as_docker_writes_them(rcrun):
    place = rcrun.account.new_dir("a-long-name-of-a-directory")
    words = ("--name", "web", "-v", f"{place}:/data", "--label", "com.example.my-label=v")
    rcrun("create", *words, *NO_NETWORK, "busybox", "sh", "-c", "exit 3").check()
    form = "{{.Command}} {{len .Mounts}} {{.Size}}"
    got = rcrun("ps", "-a", "--format", form).check().out
    assert got.startswith("\"sh -c 'exit 3'\" 17 0B (virtual ")
    got = rcrun("ps", "-a", "--no-trunc", "--format", "{{.Mounts}}").check().out
    assert got == f"{place}\n"
    got = rcrun("ps", "-a", "--format", 'table {{.Names}}\\t{{.Label "com.example.my-label"}}').out
    assert got == "NAMES     my label\nweb       v\n"


def test_directories_of_any_depth_are_measured(tmp_path):
    """A container that nests them a thousand deep keeps nobody from its size."""
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
        fd = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        os.write(fd, b"x")
        os.close(fd)
    os.close(folder)
    try:
        assert ps.tree_size(str(tmp_path)) == 1200
    finally:
        remove_tree(str(tmp_path / "d"))
