"""Volumes and secrets in config.json and container.json."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import ID, built, facts
from rcrun.engine.config import Built
from rcrun.engine.facts import Facts
from rcrun.errors import InvalidInput


def mounts(options: dict[str, Any] | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    rows: Any = built(options, **more).config["mounts"]
    return {row["destination"]: row for row in rows}


def test_a_part_of_a_volume() -> None:
    made = built({"mount": ("src=db,dst=/d,volume-subpath=a//b/",)})
    (record,) = made.container["mounts"]
    assert record["subpath"] == "a/b"
    assert [use.copy_up for use in made.mounts.volumes] == [False]
    assert mounts({"mount": ("src=db,dst=/d,subpath=a/b",)})["/d"]["source"] == (
        "/store/volumes/db/_data/a/b"
    )


def test_an_overlay_over_a_directory_and_over_a_volume() -> None:
    known = facts(files={"/a,b:c": b""})
    made = built({"volume": (r"/a,b\:c:/b:O,ro", "db:/d:O")}, known=known)
    found = {entry["destination"]: entry for entry in made.config["mounts"]}
    assert found["/b"]["type"] == "overlay"
    assert found["/b"]["options"] == [
        r"lowerdir=/a\,b\:c",
        f"upperdir=/store/containers/{ID}/overlay/0/upper",
        f"workdir=/store/containers/{ID}/overlay/0/work",
        "userxattr",
        "ro",
    ]
    assert found["/d"]["options"][0] == "lowerdir=/store/volumes/db/_data"
    assert [record["overlay"]["kept"] for record in made.container["mounts"]] == [False, False]
    assert made.container["mounts"][1]["overlay"]["upper"].endswith("/overlay/1/upper")
    chosen = built({"volume": (r"/a,b\:c:/b:O,upperdir=/u,workdir=/w",)}, known=known)
    assert chosen.container["mounts"][0]["overlay"] == {
        "lower": "/a,b:c",
        "upper": "/u",
        "work": "/w",
        "kept": True,
    }


def known_volume(**options: str) -> Facts:
    """`vv` is there, with these options of the driver."""
    return facts(
        files={"/dir": b""}, volume=lambda name: {"options": options} if name == "vv" else None
    )


def test_volumes_of_the_driver_local() -> None:
    known = known_volume(type="tmpfs", o="size=1m,uid=7")
    found = mounts({"volume": ("vv:/d",)}, known=known)["/d"]
    assert (found["type"], found["options"]) == (
        "tmpfs", ["nosuid", "nodev", "size=1m", "uid=7", "tmpcopyup"],
    )  # fmt: skip
    assert mounts({"volume": ("vv:/d:ro,nocopy",)}, known=known)["/d"]["options"][-1] == "ro"
    known = known_volume(type="none", o="bind,ro,noexec", device="/dir")
    made = built({"volume": ("vv:/d",)}, known=known)
    (document,) = [entry for entry in made.config["mounts"] if entry["destination"] == "/d"]
    assert document["source"] == "/dir"
    assert document["options"] == ["bind", "ro", "noexec", "rprivate"]
    assert made.container["mounts"][0]["source"] == "/store/volumes/vv/_data"
    assert made.container["mounts"][0]["rw"] is False
    assert made.mounts.volumes[0].place == "/dir"
    known = known_volume(type="none", o="bind", device="/gone")
    with pytest.raises(InvalidInput, match='its device "/gone" does not exist'):
        built({"volume": ("vv:/d",)}, known=known)


def test_options_for_a_new_volume() -> None:
    text = "src=nn,dst=/d,volume-opt=type=tmpfs,volume-opt=o=size=1m,volume-driver=local"
    made = built({"mount": (text,)})
    assert made.mounts.volumes[0].options == {"type": "tmpfs", "o": "size=1m"}
    # of one that is there they are ignored, as with docker
    assert (
        mounts({"mount": (text.replace("src=nn", "src=vv"),)}, known=known_volume())["/d"]["type"]
        == "bind"
    )


OTHERS: dict[str, list[dict[str, Any]]] = {
    "one": [
        {"type": "volume", "name": "v", "source": "", "destination": "/v", "options": ["rbind", "rw", "rprivate"], "rw": True},
        {"type": "volume", "name": "f" * 64, "source": "", "destination": "/anon", "options": [], "rw": True, "anonymous": True},
        {"type": "bind", "name": "", "source": "/dir", "destination": "/dir", "options": ["rbind", "rro", "nosuid", "rslave"], "rw": False},
        {"type": "tmpfs", "name": "", "source": "", "destination": "/tmp", "options": [], "rw": True},
    ],
    "two": [{"type": "bind", "name": "", "source": "/dir", "destination": "/v", "options": ["rbind"], "rw": True}],
}  # fmt: skip


def with_others(**more: Any) -> Built:
    known = facts(
        files={"/dir": b"", "/own": b""},
        mounts_of=lambda name: OTHERS[name],
        volume=lambda name: {"options": {}},
    )
    return built(more, known=known, image={"Volumes": {"/anon": {}, "/new": {}}})


def test_volumes_from() -> None:
    made = with_others(volumes_from=("one",))
    rows = {row["destination"]: row for row in made.container["mounts"]}
    assert sorted(rows) == ["/anon", "/dir", "/new", "/v"]
    assert rows["/dir"]["options"] == ["rbind", "rro", "nosuid", "rslave"]
    assert rows["/dir"]["rw"] is False
    assert rows["/anon"]["name"] == "f" * 64
    assert rows["/anon"]["anonymous"] is True
    uses = {use.destination: (use.borrowed, use.copy_up) for use in made.mounts.volumes}
    assert uses == {"/v": (True, False), "/anon": (True, False), "/new": (False, True)}
    assert made.container["volumes_from"] == ["one"]


def test_volumes_from_yields_to_what_is_typed_and_to_a_later_one() -> None:
    rows = with_others(volumes_from=("one:ro", "two:z"), volume=("/own:/anon",)).container["mounts"]
    found = {row["destination"]: (row["type"], row["source"], row["rw"]) for row in rows}
    assert found["/anon"] == ("bind", "/own", True)
    assert found["/v"] == ("bind", "/dir", True)
    assert found["/dir"][2] is False
    with pytest.raises(InvalidInput, match='unknown option "nosuid"'):
        with_others(volumes_from=("one:nosuid",))


def test_secrets() -> None:
    known = facts(secret=lambda name: {"id": "abc", "name": name})
    made = built({"secret": ("pw", "pw,target=/etc/key,uid=5", "pw,type=env")}, known=known)
    found = {entry["destination"]: entry for entry in made.config["mounts"]}
    assert found["/run/secrets"]["type"] == "tmpfs"
    assert found["/run/secrets/pw"]["source"] == f"/store/containers/{ID}/secrets/0"
    assert "ro" in found["/etc/key"]["options"]
    order = list(found)
    assert order.index("/run/secrets") < order.index("/run/secrets/pw")
    assert not [word for word in made.config["process"]["env"] if word.startswith("pw")]
    assert [use.request.kind for use in made.mounts.secrets] == ["mount", "mount", "env"]
    assert made.container["mounts"] == []
    with pytest.raises(InvalidInput, match='two mounts have the destination "/run/secrets/pw"'):
        built({"secret": ("pw", "pw")}, known=known)
