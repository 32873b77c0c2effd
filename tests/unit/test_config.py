"""What the options of `run` mean: config.json and container.json as dicts."""

from __future__ import annotations

from typing import Any

import pytest

from config_facts import ID, MAPPED, ROOT, SINGLE, built, facts
from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import spec


def refused(options: dict[str, Any], message: str, **more: Any) -> None:
    with pytest.raises((InvalidInput, HostLacks)) as caught:
        built(options, **more)
    assert message in caught.value.message


def test_a_plain_container() -> None:
    made = built(image={"Env": ["LANG=C"], "WorkingDir": "/w", "Labels": {"a": "b"}})
    process = made.config["process"]
    assert process["args"] == ["true"]
    assert process["cwd"] == "/w"
    assert process["env"] == [
        spec.DEFAULT_PATH,
        "container=oci",
        "HOSTNAME=0123456789ab",
        "LANG=C",
        "HOME=/root",
    ]
    assert process["user"] == {"uid": 0, "gid": 0, "umask": 0o022, "additionalGids": [0]}
    assert process["noNewPrivileges"] is False
    assert len(process["capabilities"]["bounding"]) == 14
    assert process["capabilities"]["effective"] == process["capabilities"]["bounding"]
    assert "ambient" not in process["capabilities"]
    assert process["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 4096, "hard": 4096},
        {"type": "RLIMIT_NPROC", "soft": 4096, "hard": 4096},
    ]
    assert made.config["hostname"] == "0123456789ab"
    assert made.config["root"] == {"path": "rootfs", "readonly": False}
    linux = made.config["linux"]
    assert [row["type"] for row in linux["namespaces"]] == [
        "user", "mount", "pid", "ipc", "uts", "cgroup", "network",
    ]  # fmt: skip
    assert linux["uidMappings"] == [
        {"containerID": 0, "hostID": 1000, "size": 1},
        {"containerID": 1, "hostID": 100000, "size": 65536},
    ]
    assert linux["maskedPaths"] == list(spec.MASKED_PATHS)
    assert linux["readonlyPaths"] == list(spec.READONLY_PATHS)
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "resources" not in linux


def test_the_record() -> None:
    record = built({"rm": True, "interactive": True, "label": ("x=y", "z")}).container
    expected = {
        "version": 1,
        "id": ID,
        "name": "calm_curie",
        "image": "docker.io/library/x:latest",
        "entrypoint": [],
        "command": ["true"],
        "rootfs": {
            "kind": "overlay",
            "lowers": ["layers/mapped/aa/diff"],
            "volatile": True,
            "driver": "overlay",
        },
        "tty": False,
        "stdin_open": True,
        "auto_remove": True,
        "stop_signal": 15,
        "stop_timeout": 10,
        "labels": {"x": "y", "z": ""},
        "log": {"driver": "k8s-file", "max_size": 0, "max_files": 1},
        "launched": 0,
    }
    assert {key: record[key] for key in expected} == expected
    assert record["network"]["mode"] == "pasta"


# Command.


@pytest.mark.parametrize(
    ("options", "args", "image", "expected"),
    [
        ({}, (), {"Entrypoint": ["/e"], "Cmd": ["c"]}, ["/e", "c"]),
        ({}, ("a", "b"), {"Entrypoint": ["/e"], "Cmd": ["c"]}, ["/e", "a", "b"]),
        ({}, (), {"Entrypoint": None, "Cmd": ["c"]}, ["c"]),
        ({"entrypoint": "/x y"}, (), {"Entrypoint": ["/e"], "Cmd": ["c"]}, ["/x y"]),
        ({"entrypoint": "/x"}, ("a",), {"Cmd": ["c"]}, ["/x", "a"]),
        ({"entrypoint": '["/x", "1"]'}, ("a",), {}, ["/x", "1", "a"]),
        ({"entrypoint": "[x"}, (), {}, ["[x"]),
        ({"entrypoint": ""}, ("a",), {"Entrypoint": ["/e"], "Cmd": ["c"]}, ["a"]),
    ],
)
def test_command(
    options: dict[str, Any], args: tuple[str, ...], image: dict[str, Any], expected: list[str]
) -> None:
    assert built(options, args, image).config["process"]["args"] == expected


def test_no_command_at_all() -> None:
    refused({}, "no command is given", args=())
    refused({"entrypoint": ""}, "no command is given", args=(), image={"Cmd": ["c"]})
    refused({}, '"Cmd" is not a list of texts', args=(), image={"Cmd": [1]})


# Environment.


def environment(options: dict[str, Any], image: dict[str, Any], **changes: Any) -> dict[str, str]:
    made = built(options, image=image, known=facts(**changes))
    return dict(word.split("=", 1) for word in made.config["process"]["env"])


def test_environment_precedence() -> None:
    found = environment(
        {"env": ("C=option", "FROM_CALLER", "GONE"), "env_file": ("/f",), "tty": True},
        {"Env": ["A=image", "B=image", "C=image", "GONE=image", "PATH=/only"]},
        files={"/f": b"B=file\nC=file\n"},
    )
    assert found["A"] == "image"
    assert found["B"] == "file"
    assert found["C"] == "option"
    assert found["FROM_CALLER"] == "yes"
    assert "GONE" not in found
    assert found["PATH"] == "/only"
    assert found["TERM"] == "xterm"


def test_home_belongs_to_the_user_unless_it_is_said() -> None:
    assert environment({"user": "web"}, {})["HOME"] == "/srv/web"
    assert environment({"user": "12345"}, {})["HOME"] == "/"
    assert environment({}, {"Env": ["HOME=/image"]})["HOME"] == "/image"
    assert environment({"env": ("HOME=/mine",)}, {"Env": ["HOME=/image"]})["HOME"] == "/mine"


def test_a_variable_can_be_taken_away() -> None:
    assert "A" not in environment({"unsetenv": ("A",)}, {"Env": ["A=1"]})
    assert "TERM" not in environment({}, {})


def test_a_missing_env_file_is_named() -> None:
    refused({"env_file": ("/nope",)}, 'cannot read "/nope"')


# User.


def test_users() -> None:
    made = built({"group_add": ("77",)}, image={"User": "web"}).config["process"]
    assert made["user"] == {"uid": 33, "gid": 33, "umask": 0o022, "additionalGids": [33, 4, 77]}
    words = built({"group_add": ("77,4", "5")}).config["process"]["user"]["additionalGids"]
    assert words == [0, 77, 4, 5]  # docker takes one a time, podman several
    kept = built({"group_add": ("keep-groups",)}).config
    assert kept["annotations"] == {"run.oci.keep_original_groups": "1"}
    refused({"group_add": ("keep-groups", "5")}, "goes with no other --group-add")
    assert built({"user": "0"}, image={"User": "web"}).config["process"]["user"]["uid"] == 0
    refused({"user": "nobody"}, 'unable to find user "nobody"')
    refused({"user": "70000"}, "cannot run as user 70000")


def test_capabilities_of_another_user_are_those_added() -> None:
    sets = built({"user": "web", "cap_add": ("net_admin",)}).config["process"]["capabilities"]
    assert sets["effective"] == ["CAP_NET_ADMIN"]
    assert sets["ambient"] == ["CAP_NET_ADMIN"]
    assert len(sets["bounding"]) == 15
    assert built({"user": "web"}).config["process"]["capabilities"]["effective"] == []


def test_one_id_is_the_one_that_the_process_has() -> None:
    linux = built({"user": "web"}, known=facts(SINGLE)).config["linux"]
    assert linux["uidMappings"] == [{"containerID": 33, "hostID": 1000, "size": 1}]
    assert linux["gidMappings"] == [{"containerID": 33, "hostID": 1000, "size": 1}]
    process = built({"user": "web"}, known=facts(SINGLE)).config["process"]
    assert "additionalGids" not in process["user"]


def test_the_callers_number_with_a_directory_of_the_host_is_the_caller() -> None:
    """As scripts for docker write it: -v "$PWD:/w" -u "$(id -u):$(id -g)"."""
    files = {"/home/me": b"", "/etc/hosts": b""}
    own = {"user": "1000:1000", "volume": ("/home/me:/w",)}

    def outside(options: dict[str, Any], identity: Any = MAPPED) -> int:
        rows = built(options, known=facts(identity, files=files)).config["linux"]["uidMappings"]
        return next(
            row["hostID"] + 1000 - row["containerID"]
            for row in rows
            if row["containerID"] <= 1000 < row["containerID"] + row["size"]
        )

    assert outside(own) == 1000
    assert outside({**own, "volume": (), "mount": ("type=bind,src=/home/me,dst=/w",)}) == 1000
    assert outside({**own, "user": "1000"}) == 1000
    assert outside({**own, "userns": "host"}) == 100999
    assert outside({**own, "volume": ("data:/w",)}) == 100999
    assert outside({**own, "user": "1001:1000"}) == 100999
    assert outside(own, SINGLE) == 1000


def test_root_has_no_user_namespace() -> None:
    linux = built(known=facts(ROOT)).config["linux"]
    assert {"type": "user"} not in linux["namespaces"]
    assert "uidMappings" not in linux
    assert linux["resources"]["devices"][0] == {"allow": False, "access": "rwm"}


def test_keep_id_exchanges_two_ids_and_no_other() -> None:
    made = built({"userns": "keep-id"})
    assert made.config["process"]["user"]["uid"] == 1000
    rows = made.config["linux"]["uidMappings"]
    outside: dict[int, int] = {}
    for row in rows:
        for step in range(row["size"]):
            assert row["containerID"] + step not in outside
            outside[row["containerID"] + step] = row["hostID"] + step
    assert len(set(outside.values())) == len(outside) == 65537
    assert outside[1000] == 1000
    assert outside[0] == 100999
    assert outside[33] == 100032
    assert outside[65536] == 165535
    other = built({"userns": "keep-id:uid=33,gid=33", "user": "0"})
    assert other.config["process"]["user"]["uid"] == 0
    refused({"userns": "keep-id"}, "not root", known=facts(ROOT))
    refused({"userns": "keep-id:x=1"}, "invalid --userns")
    refused({"userns": "odd"}, 'invalid --userns "odd"')


# Namespaces and names.


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"network": "host"}, "network"),
        ({"pid": "host"}, "pid"),
        ({"ipc": "host"}, "ipc"),
        ({"uts": "host"}, "uts"),
        ({"cgroupns": "host"}, "cgroup"),
    ],
)
def test_a_namespace_of_the_host(options: dict[str, Any], missing: str) -> None:
    kinds = [row["type"] for row in built(options).config["linux"]["namespaces"]]
    assert missing not in kinds
    assert len(kinds) == 6


def test_host_names() -> None:
    assert built({"hostname": "h", "domainname": "d"}).config["hostname"] == "h"
    assert built({"hostname": "h", "domainname": "d"}).config["domainname"] == "d"
    assert built({"network": "host"}).config["hostname"] == "hosty"
    assert "hostname" not in built({"uts": "host"}).config
    assert built({"uts": "host"}).files["hostname"] == "hosty\n"


def test_stop_signals() -> None:
    assert built({}, image={"StopSignal": "SIGQUIT"}).container["stop_signal"] == 3
    assert (
        built({"stop_signal": "9"}, image={"StopSignal": "SIGQUIT"}).container["stop_signal"] == 9
    )
    assert built({}, image={"StopSignal": "BROKEN"}).container["stop_signal"] == 15
    assert built({"stop_timeout": 0}).container["stop_timeout"] == 0


def test_labels() -> None:
    known = facts(files={"/l": b"# c\n\na=file\nb=file\n"})
    found = built(
        {"label": ("b=option",), "label_file": ("/l",)},
        image={"Labels": {"a": "i", "c": "i"}},
        known=known,
    )
    assert found.container["labels"] == {"a": "file", "b": "option", "c": "i"}


def test_logs() -> None:
    assert built({"log_driver": "none"}).container["log"]["driver"] == "none"
    found = built({"log_driver": "json-file", "log_opt": ("max-size=10m", "max-file=3")})
    assert found.container["log"] == {
        "driver": "json-file",
        "max_size": 10 << 20,
        "max_files": 3,
        "options": {"max-size": "10m", "max-file": "3"},
    }
    local = built({"log_driver": "local"}).container["log"]
    assert (local["driver"], local["asked"]) == ("k8s-file", "local")
    tagged = built({"log_opt": ("tag={{.Name}}", "env=TERM,A"), "env": ("A=1",)}).container
    assert tagged["log"]["attributes"] == {"A": "1", "tag": tagged["name"]}


def test_sysctls_annotations_and_scores() -> None:
    made = built(
        {
            "sysctl": ("net.ipv4.ip_unprivileged_port_start=0", "kernel.shmmax=1"),
            "annotation": ("a=b",),
            "oom_score_adj": 5,
            "umask": "077",
        }
    ).config
    assert made["linux"]["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "kernel.shmmax": "1",
    }
    assert made["annotations"] == {"a": "b"}
    assert made["process"]["oomScoreAdj"] == 5
    assert made["process"]["user"]["umask"] == 0o077


def test_building_changes_no_argument() -> None:
    options: dict[str, Any] = {"env": ("A=1",), "volume": ("/a:/b",), "network": "host"}
    image = {"Env": ["B=2"], "Cmd": ["x"], "Volumes": {"/v": {}}}
    before = (repr(options), repr(image), repr(MAPPED.uid_map))
    built(options, image=image)
    assert (repr(options), repr(image), repr(MAPPED.uid_map)) == before


@pytest.mark.parametrize("identity", [MAPPED, SINGLE, ROOT], ids=["mapped", "single", "root"])
def test_config_json_is_what_the_specification_says(identity: Any) -> None:
    from rcrun.formats import validate

    files = {"/dev/fuse": b"", "/a": b""}
    known = facts(identity, files=files, hard_limit=lambda name: -1)
    options: dict[str, Any] = {
        "annotation": ("a=b",),
        "cap_add": ("ALL",),
        "cpus": "1.5",
        "device": ("/dev/fuse",),
        "domainname": "d",
        "memory": "64m",
        "memory_swap": "-1",
        "pids_limit": 5,
        "security_opt": ("no-new-privileges",),
        "sysctl": ("net.core.somaxconn=1",),
        "tmpfs": ("/t",),
        "tty": True,
        "ulimit": ("core=-1", "nofile=1:2"),
        "user": "web",
        "volume": ("/a:/b:ro", "named:/n"),
    }
    for given in (
        {},
        options,
        {"privileged": True, "network": "host", "pid": "host", "ipc": "host"},
    ):
        assert validate.config_faults(built(given, known=known).config) == []
