"""Options that reach further than one place of config.json."""

from __future__ import annotations

import os
import pwd
from typing import Any

import pytest

from config_facts import ID, ROOT, built, facts
from rcrun.errors import InvalidInput

IMAGE = {"Env": ["PATH=/image", "LANG=C"], "Volumes": {"/data": {}}}


def environment(options: dict[str, Any], **environ: str) -> dict[str, str]:
    made = built(options, image=IMAGE, known=facts(environ=environ))
    return dict(word.split("=", 1) for word in made.config["process"]["env"])


def test_the_callers_environment_comes_first() -> None:
    found = environment({"env_host": True, "env": ("MINE=typed",)}, MINE="1", LANG="de", HOME="/h")
    assert (found["MINE"], found["LANG"], found["PATH"], found["HOME"]) == (
        "typed",
        "C",
        "/image",
        "/root",
    )


def test_proxies_are_passed_on_when_asked() -> None:
    proxies = {"http_proxy": "http://p", "NO_PROXY": "x", "OTHER": "y"}
    found = environment({"http_proxy": True}, **proxies)
    assert (found["http_proxy"], found["NO_PROXY"]) == ("http://p", "x")
    assert "OTHER" not in found
    assert "http_proxy" not in environment({}, **proxies)


def test_variables_of_the_image_within_others() -> None:
    found = environment({"env_merge": ("PATH=${PATH}:/more:$LANG${NONE}",), "env": ("A=b",)})
    assert found["PATH"] == "/image:/more:C"
    with pytest.raises(InvalidInput, match="invalid --env-merge"):
        environment({"env_merge": ("PATH",)})


def test_nothing_but_what_is_typed() -> None:
    assert environment({"unsetenv_all": True, "env": ("A=b",)}) == {"A": "b"}


def test_an_init_of_ones_own() -> None:
    known = facts(files={"/opt/init": b""})
    made = built({"init": True, "init_path": "/opt/init"}, known=known)
    assert made.config["process"]["args"] == ["/run/.rcrun-init", "--", "true"]
    assert made.config["mounts"][-1]["source"] == "/opt/init"
    assert made.container["init"] is False
    with pytest.raises(InvalidInput, match="it does not exist"):
        built({"init": True, "init_path": "/none"})


def test_who_tells_the_manager() -> None:
    """The socket itself is a matter of each start (engine/service.py)."""
    known = facts(environ={"NOTIFY_SOCKET": "/run/n"})
    for word, mode in (("container", "container"), ("conmon", "conmon"), ("none", "ignore")):
        made = built({"sdnotify": word}, known=known)
        assert made.container["notify"] == mode
        assert not [row for row in made.config["mounts"] if row["destination"] == "/run/n"]
    assert built({"sdnotify": "healthy", "health_cmd": "true"}).container["notify"] == "healthy"
    with pytest.raises(InvalidInput, match="needs a health check"):
        built({"sdnotify": "healthy"})
    with pytest.raises(InvalidInput, match="invalid --sdnotify"):
        built({"sdnotify": "always"})


def test_lines_of_accounts() -> None:
    assert "accounts" not in built({}).container
    made = built(
        {"passwd_entry": "$USERNAME:x:$UID:$GID::$HOME:/bin/sh", "user": "77:78"}
    ).container
    line = made["accounts"]["passwd"].splitlines()[-1]
    assert line.endswith(":x:77:78::/:/bin/sh")
    assert made["accounts"]["passwd"].startswith("root:x:0:0:")
    kept = built({"userns": "keep-id"}).container["accounts"]
    assert ":x:1000:1000:" in kept["passwd"].splitlines()[-1]
    assert "accounts" not in built({"userns": "keep-id", "passwd": False}).container
    own = pwd.getpwuid(os.getuid())
    who = {"hostuser": (own.pw_name,), "user": f"{own.pw_name}:crew", "group_entry": "crew:x:42:"}
    given = built(who).config["process"]
    assert (given["user"]["uid"], given["user"]["gid"]) == (own.pw_uid, 42)


def test_the_home_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """As podman: where it is mounted, else where the command begins."""
    home = "/home/me"
    entry = pwd.struct_passwd(("me", "x", 1000, 1000, "Me", home, "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    for mounts, expected in (
        ({}, "/srv"),
        ({"volume": ("/elsewhere:/x",)}, "/srv"),
        ({"volume": (f"/usr:{home}:ro",)}, home),
        ({"mount": (f"type=tmpfs,dst={home}",)}, home),
    ):
        made = built({"userns": "keep-id", "workdir": "/srv", **mounts})
        assert f"HOME={expected}" in made.config["process"]["env"]
        line = made.container["accounts"]["passwd"].splitlines()[-1]
        assert line.endswith(f":{expected}:/bin/sh")


def test_what_is_no_line() -> None:
    with pytest.raises(InvalidInput, match="the host has no such user"):
        built({"hostuser": ("no-such-user-here",)})
    with pytest.raises(InvalidInput, match="invalid line"):
        built({"passwd_entry": "a\nb"})


def test_the_files_that_we_bind() -> None:
    files = {"/h": b"1.2.3.4 base\n"}
    made = built(
        {"hosts_file": "/h", "no_hostname": True, "chrootdirs": ("/a,/b",)},
        known=facts(files=files),
    )
    assert made.files["hosts"].startswith("1.2.3.4 base\n127.0.0.1\tlocalhost")
    assert "hostname" not in made.files
    places = {row["destination"] for row in made.config["mounts"]}
    assert {"/etc/hosts", "/a/etc/hosts", "/b/etc/hosts", "/a/etc/resolv.conf"} <= places
    assert not {"/etc/hostname", "/a/.dockerenv", "/a/etc/hostname"} & places
    image = facts(image_file=lambda path: b"5.6.7.8 image" if path == "/etc/hosts" else None)
    assert built({"hosts_file": "image"}, known=image).files["hosts"].startswith("5.6.7.8 image\n")
    assert built({"hosts_file": "none"}).files["hosts"].startswith("127.0.0.1\tlocalhost")


@pytest.mark.parametrize(
    ("word", "kinds"),
    [("bind", ["volume"]), ("anonymous", ["volume"]), ("tmpfs", ["tmpfs"]), ("ignore", [])],
)
def test_volumes_of_the_image(word: str, kinds: list[str]) -> None:
    made = built({"image_volume": word}, image=IMAGE)
    assert [
        row["type"] for row in made.container["mounts"] if row["destination"] == "/data"
    ] == kinds


def test_places_and_domains() -> None:
    linux = built({"cgroup_parent": "/my/group", "personality": "linux32"}).config["linux"]
    assert linux["cgroupsPath"] == f"/my/group/rcrun-{ID}.scope"
    assert linux["personality"] == {"domain": "LINUX32"}
    record = built(
        {"pidfile": "p", "conmon_pidfile": "/m", "cgroups": "disabled", "rmi": True}
    ).container
    assert (record["pidfile"], record["conmon_pidfile"]) == ("/home/me/p", "/m")
    assert (record["cgroups"], record["remove_image"]) == ("disabled", True)
    assert built({"cgroups": "no-conmon"}).container["cgroups"] == "no-conmon"
    assert "cgroups" not in built({"cgroups": "enabled"}).container


def test_rules_for_devices_are_roots() -> None:
    options = {"device_cgroup_rule": ("c 10:* rw",)}
    rules: Any = built(options, known=facts(ROOT)).config["linux"]["resources"]["devices"]
    assert rules[-1] == {"allow": True, "type": "c", "access": "rw", "major": 10}
    assert "resources" not in built(options).config["linux"]
    for word in ("c 10 rw", "x 1:1 r", "c 1:1 q", "c 1:1"):
        with pytest.raises(InvalidInput, match="invalid --device-cgroup-rule"):
            built({"device_cgroup_rule": (word,)}, known=facts(ROOT))
