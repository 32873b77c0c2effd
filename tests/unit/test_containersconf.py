"""containers.conf: what a file may say, what several say together, which files there are, and what becomes of options."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

import pytest

from rcrun import paths
from rcrun.engine import containersconf, defaults
from rcrun.errors import InvalidInput
from rcrun.formats.containersconf import REPEATED, Said
from rcrun.registry.settings import toml

FAULTS = [
    ("containers.pids_limit", '"many"', "a whole number"),
    ("containers.pids_limit", "true", "a whole number"),
    ("containers.pids_limit", "1.5", "a whole number"),
    ("containers.pids_limit", "-2", "-1 to 4194304"),
    ("containers.oom_score_adj", "2000", "-1000 to 1000"),
    ("containers.init", '"yes"', "true or false"),
    ("containers.env", '"A=1"', "a list of texts"),
    ("containers.env", "[1]", "a list of texts"),
    ("containers.env", '["A=1", {appnd=true}]', "{append = true}"),
    ("containers.env", '["A=1", {append="yes"}]', "{append = true}"),
    ("containers.tz", "1", "a text"),
    ("containers.cgroups", '"some"', "one of enabled disabled no-conmon split"),
    ("containers.umask", '"999"', "an octal number"),
    ("containers.shm_size", '"lots"', "a size"),
    ("containers.log_size_max", "100", "8192 or more"),
    ("containers.log_path", '"logs"', "an absolute path"),
    ("containers.default_ulimits", '["nofile"]', "NAME=SOFT[:HARD]"),
    ("containers.default_capabilities", '["FLY"]', "the name of a capability"),
    ("containers.default_sysctls", '["net.core.somaxconn"]', "NAME=VALUE"),
    ("containers.annotations", '["=x"]', "KEY=VALUE"),
    ("network.default_subnet", '"10.88"', "a subnet of IPv4"),
    ("network.default_subnet", '"fd00::/64"', "a subnet of IPv4"),
    ("network.default_subnet_pools", '["10.0.0.0/8"]', "a list of {"),
    ("network.default_subnet_pools", '[{"base"="10.1.0.0/16","size"=8}]', "a size from its prefix"),
    ("network.default_subnet_pools", '[{"base"="net","size"=24}]', "a subnet"),
    ("engine.pull_policy", '"sometimes"', "one of always missing"),
    ("engine.retry_delay", '"soon"', "a time"),
    ("engine.detach_keys", '"ctrl-1234"', "keys"),
    ("engine.stop_timeout", "-1", "a number of seconds"),
    ("engine.env", '["HTTPS_PROXY"]', "NAME=VALUE"),
]


def said(*texts: str, shipped: bool = False) -> Said:
    found = Said()
    for number, text in enumerate(texts):
        found.add(toml(text.encode(), f"{number}.conf"), f"{number}.conf", shipped=shipped)
    return found


@pytest.mark.parametrize(("name", "value", "should_be"), FAULTS)
def test_a_value_that_cannot_be_used(name: str, value: str, should_be: str) -> None:
    table, _, key = name.partition(".")
    with pytest.raises(InvalidInput) as caught:
        said(f"[{table}]\n{key} = {value}\n")
    assert caught.value.message.startswith(f'"0.conf" cannot be used: {name} is ')
    assert should_be in str(caught.value.hint)


def test_no_table_and_no_toml() -> None:
    with pytest.raises(InvalidInput, match=r'"0\.conf" cannot be used: engine is 1'):
        said("engine = 1\n")
    with pytest.raises(InvalidInput, match=r'"0\.conf" is not valid TOML: '):
        said("[engine\n")


@pytest.mark.parametrize(
    ("texts", "env"),
    [
        (['["1=a"]', '["2=b"]', '["3=c", {append=true}]', '["4=d"]'], ["2=b", "3=c", "4=d"]),
        (['["1=a", {append=true}]', '["2=b"]', '["3=c", {append=false}]', '["4=d"]'], ["4=d"]),
        (['["1=a"]', "[]"], []),
        (['[{append=true}, "1=a"]', '["2=b"]'], ["1=a", "2=b"]),
    ],
)
def test_lists_of_several_files(texts: list[str], env: list[str]) -> None:
    found = said(*[f"[containers]\nenv = {text}\n" for text in texts])
    assert found.values["containers"]["env"] == env


def test_several_files() -> None:
    found = said(
        '[containers]\ntz = "UTC"\ninit = true\n[secrets]\ndriver = "file"\n',
        '[containers]\ntz = "local"\nkeyring = false\n[engine]\ndetach_keys = ""\n',
        '[containers]\ntz = ""\ndefault_capabilities = ["sys_time", {append=true}]\n',
    )
    containers = found.values["containers"]
    assert containers == {"init": True, "default_capabilities": ["DEFAULT", "sys_time"]}
    assert found.values["engine"] == {"detach_keys": ""}  # which is a word
    assert found.unknown == ['"0.conf": secrets', '"1.conf": containers.keyring']


def test_what_a_distribution_repeats() -> None:
    text = "[containers]\n" + "".join(
        f"{name.partition('.')[2]} = {list(words)}\n" for name, words in REPEATED.items()
    )
    assert said(text, shipped=True).values == {}
    assert len(said(text).values["containers"]) == 2
    changed = text.replace("'CHOWN', ", "")
    assert "default_capabilities" in said(changed, shipped=True).values["containers"]


# The files.


class Place:
    """A host with directories of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, *modules: str) -> dict[str, Any]:
        return containersconf.load(str(self.folder / "live"), self.environ, modules)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    folders = (f"{tmp_path}/usr", f"{tmp_path}/etc")
    monkeypatch.setattr(paths, "CONTAINERS_DIRS", folders)
    monkeypatch.setattr(containersconf, "CONTAINERS_DIRS", folders)
    return Place(tmp_path)


OWN = "home/.config/containers/containers.conf"
SHIPPED = """# comments
[containers]
#env = ["A=1"]
default_sysctls = [
  "net.ipv4.ping_group_range=0 0",
]
  # more
[engine]
"""


@pytest.mark.parametrize(
    ("name", "text", "sets"),
    [
        ("usr/containers.conf", SHIPPED, False),
        ("etc/containers.conf", SHIPPED, True),
        ("usr/containers.conf", SHIPPED + "init = true\n", True),
        (OWN, "# nothing\n\n[containers]\n", False),
        (OWN, "[containers]\r\ninit=true\r\n", True),
        (OWN, "[containers\n", True),  # for whoever reads it to tell
        (f"{OWN}.d/9.conf", "# nothing\n", False),
        (f"{OWN}.d/9.conf", "[engine]\nretry=1", True),
        (f"{OWN}.modules/9.conf", "[engine]\nretry=1", False),
        ("etc/containers.rootless.conf.d/7/9.conf", "[engine]\nretry=1", True),
        ("etc/registries.conf", "a=1", False),
    ],
)
def test_whether_anything_is_set(place: Place, name: str, text: str, sets: bool) -> None:
    assert not paths.containers_conf(place.environ)
    place.write(name, text)
    assert paths.containers_conf(place.environ) is sets
    assert not paths.containers_conf({**place.environ, "CONTAINERS_CONF": "/dev/null"})
    other = place.write("other", "init = true")
    for variable in ("CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"):
        assert paths.containers_conf({**place.environ, variable: str(other)})


def test_which_files_count(place: Place) -> None:
    usual = [
        "usr/containers.conf",
        "etc/containers.conf",
        "etc/containers.conf.d/10.conf",
        "etc/containers.conf.d/9.conf",
    ]
    if os.geteuid():
        usual += [
            "etc/containers.rootless.conf",
            f"etc/containers.rootless.conf.d/{os.geteuid()}/1.conf",
        ]
    usual += [OWN, f"{OWN}.d/1.conf"]
    others = [
        "etc/containers.conf.d/README",
        f"{OWN}.modules/mine",
        "etc/containers.conf.modules/mine",
        "etc/containers.conf.modules/its",
    ]
    for name in (*usual, *others, "other.conf"):
        place.write(name, "")
    (place.folder / f"{OWN}.d/dir.conf").mkdir()

    def names(**more: str) -> list[str]:
        modules = more.pop("modules", "").split()
        found = containersconf.files({**place.environ, **more}, modules)
        return [path.removeprefix(f"{place.folder}/") for path in found]

    assert names() == usual
    assert names(modules="its mine") == [*usual, others[2 + 1], others[1]]
    other = str(place.folder / "other.conf")
    assert names(CONTAINERS_CONF=other) == ["other.conf"]
    assert (
        names(CONTAINERS_CONF=other, CONTAINERS_CONF_OVERRIDE=other, modules=other)
        == ["other.conf"] * 3
    )
    assert names(CONTAINERS_CONF_OVERRIDE="/nowhere") == usual
    assert names(XDG_CONFIG_HOME=str(place.folder / "none"))[-1] == usual[-3]
    with pytest.raises(InvalidInput, match='cannot read "/nowhere": no such file'):
        names(CONTAINERS_CONF="/nowhere")
    with pytest.raises(InvalidInput, match='there is no module "none"'):
        names(modules="none")


def test_what_they_say_is_kept_until_one_changes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.write(OWN, "[engine]\nretry = 1\nnew_key = 1\n")
    assert place.load()["values"] == {"engine": {"retry": 1}}
    cache = place.folder / "live" / containersconf.CACHE
    assert not cache.exists()  # the file is so new that another change might look the same
    os.utime(path, ns=(1, 1_700_000_000_000_000_000))
    first = place.load()
    assert cache.exists()
    assert first["unknown"] == [f'"{path}": engine.new_key']
    with monkeypatch.context() as patch:
        patch.setattr(containersconf, "_read", None)
        assert place.load() == first
    path.write_text("[engine]\nretry = 2\n", encoding="utf-8")
    assert place.load()["values"] == {"engine": {"retry": 2}}
    place.write(f"{OWN}.d/1.conf", "[engine]\nretry = 3\n")
    assert place.load()["values"] == {"engine": {"retry": 3}}
    for damaged in (b"", b"{}", b"[]", b"\xff"):
        cache.write_bytes(damaged)
        assert place.load()["values"] == {"engine": {"retry": 3}}
    path.unlink()
    assert [Path(each).name for each in place.load()["files"]] == ["1.conf"]


# Options.


def context(conf: dict[str, Any], *, rootless: bool = True, **environ: str) -> Any:
    """As much of a Context as is asked."""
    store = types.SimpleNamespace(live_dir="/nowhere", default_subnet="")
    network = conf.get("network", {})
    return types.SimpleNamespace(
        conf=conf, environ=environ, store=store, host=types.SimpleNamespace(rootless=rootless),
        setting=lambda table, key: conf.get(table, {}).get(key),
        preferred_network=network.get("default_rootless_network_cmd", ""),
    )  # fmt: skip


CONTAINER = [
    # what the file says of containers, what was given, what becomes of it
    ({"init": True, "init_path": "/i"}, {}, {"init": True, "init_path": "/i"}),
    ({"init": True, "init_path": "/i"}, {"init": False}, {"init": False, "init_path": None}),
    ({"read_only": True, "privileged": True}, {"read_only": False}, {"read_only": False, "privileged": True}),
    ({"tz": "UTC", "umask": "0077"}, {"tz": "local", "umask": None}, {"tz": "local", "umask": "0077"}),
    ({"read_only": True}, {}, {"read_only": True, "read_only_tmpfs": True}),
    ({"read_only": True}, {"read_only_tmpfs": False}, {"read_only": True, "read_only_tmpfs": False}),
    ({"read_only": True}, {"read_only": False}, {"read_only_tmpfs": None}),
    ({"annotations": ["a=1"]}, {"annotation": ("a=2",)}, {"annotation": ("a=1", "a=2")}),
    ({"devices": ["/dev/fuse"]}, {}, {"device": ("/dev/fuse",)}),
    ({"dns_servers": ["9.9.9.9"]}, {"dns": ("1.1.1.1",)}, {"dns": ("1.1.1.1",)}),
    ({"dns_servers": ["9.9.9.9"]}, {"network": ("container:a",)}, {"dns": None}),
    ({"env": ["A=1"]}, {}, {"env_default": ("A=1",)}),
    ({"env": ["A=1"], "env_host": True}, {"unsetenv_all": True}, {"env_default": None, "env_host": None}),
    ({"netns": "host"}, {}, {"network": ("host",)}),
    ({"netns": "host"}, {"network": ("none",)}, {"network": ("none",)}),
    ({"netns": "host"}, {"ip": "10.1.1.1"}, {"network": None}),
    ({"netns": "host", "ipcns": "host", "utsns": "host", "no_hosts": True}, {"pod": "p"},
     {"network": None, "ipc": None, "uts": None, "no_hosts": None}),
    ({"ipcns": "host"}, {"ipc": "shareable", "ipc_is_usual": True}, {"ipc": "host"}),
    ({}, {"ipc": "shareable", "ipc_is_usual": True}, {"ipc": "shareable"}),
    ({"ipcns": "host"}, {"ipc": "shareable"}, {"ipc": "shareable"}),
    ({"utsns": "host"}, {"hostname": "box"}, {"uts": None}),
    ({"userns": "auto"}, {"uidmap": ("0:0:1",)}, {"userns": None}),
    ({"userns": "auto"}, {"network": ("container:a",)}, {"userns": None}),
    ({"no_hosts": True}, {"add_host": ("a:1.1.1.1",)}, {"no_hosts": None}),
    ({"no_hosts": True, "base_hosts_file": "none"}, {}, {"no_hosts": True, "hosts_file": None}),
    ({"host_containers_internal_ip": "10.1.1.1"}, {}, {"host_address": "10.1.1.1"}),
    ({"default_sysctls": ["net.a=1", "fs.mqueue.b=1", "kernel.shmmni=2"], "netns": "host"}, {"ipc": "host"}, {"sysctl": None}),
    ({"default_sysctls": ["net.a=1", "kernel.shmmni=2"]}, {"sysctl": ("net.a=2",)}, {"sysctl": ("net.a=1", "kernel.shmmni=2", "net.a=2")}),
    ({"default_ulimits": ["core=0"]}, {"ulimit": ("core=1",)}, {"ulimit": ("core=0:0", "core=1")}),
    ({"pids_limit": 0}, {}, {"pids_default": 0, "pids_limit": None}),
    ({"pids_limit": 9}, {"pids_limit": 5}, {"pids_default": None, "pids_limit": 5}),
    ({"cgroups": "disabled"}, {}, {"cgroups": "disabled"}),
    ({"cgroups": "disabled"}, {"memory": "1g"}, {"cgroups": None}),
    ({"volumes": ["/a:/x", "/b:/y/"]}, {"volume": ("/c:/y",)}, {"volume": ("/a:/x", "/c:/y")}),
    ({"mounts": ["type=tmpfs,target=/x", "type=tmpfs,dst=/y"]}, {"tmpfs": ("/x",)}, {"mount": ("type=tmpfs,dst=/y",)}),
    ({"default_capabilities": ["CHOWN"]}, {}, {"default_capabilities": ["CHOWN"]}),
    ({"seccomp_profile": "/s"}, {"security_opt": ("mask=/a",)}, {"security_opt": ("seccomp=/s", "mask=/a")}),
    ({"seccomp_profile": "/s"}, {"security_opt": ("seccomp=unconfined",)}, {"security_opt": ("seccomp=unconfined",)}),
    ({"seccomp_profile": "/s", "privileged": True}, {}, {"security_opt": None}),
    ({"log_path": "/l", "log_size_max": 9000, "log_tag": "t"}, {}, {"log_opt": ("path=/l/@ID@/ctr.log", "max-size=9000", "tag=t")}),
    ({"log_path": "/l", "log_size_max": -1}, {"log_driver": "journald"}, {"log_opt": None}),
    ({"log_tag": "t"}, {"log_opt": ("tag=u",)}, {"log_opt": ("tag=u",)}),
    ({"log_driver": "none", "log_tag": "t"}, {}, {"log_driver": "none", "log_opt": None}),
    ({"container_name_as_hostname": True, "interface_name": "device"}, {},
     {"hostname_from_name": True, "interface_from_network": True}),
    ({"tz": "UTC", "netns": "host", "env": ["A=1"]}, {"bundle": "/b"}, {"tz": None, "network": None, "env_default": None}),
    ({"env": ["A=1"], "utsns": "host", "shm_size": "1m", "volumes": ["/a:/b"]}, {"infra": "pause"},
     {"env_default": None, "uts": "host", "shm_size": "1m", "volume": None}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "given", "expected"), CONTAINER)
def test_options_of_containers(
    said: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = defaults.of_container(context({"containers": said}), given)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("engine", "given", "expected"),
    [
        ({"pull_policy": "IfNewer"}, {}, {"pull": "newer"}),
        ({"pull_policy": "never"}, {"pull": "always"}, {"pull": "always"}),
        ({"stop_timeout": 0, "detach_keys": ""}, {}, {"stop_timeout": 0, "detach_keys": ""}),
        ({"stop_timeout": 3}, {"stop_timeout": 5}, {"stop_timeout": 5}),
        ({"image_volume_mode": "tmpfs"}, {}, {"image_volume": "tmpfs"}),
        ({"cdi_spec_dirs": ["/c"]}, {}, {"cdi_spec_dir": ("/c",)}),
        ({"init_path": "/i"}, {"init": True}, {"init_path": "/i"}),
        ({"stop_timeout": 3}, {"bundle": "/b"}, {"stop_timeout": 3}),
    ],
)
def test_options_of_the_engine(
    engine: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = defaults.of_container(context({"engine": engine}), given)
    assert {key: found.get(key) for key in expected} == expected


def test_private_networks_of_root_and_the_environment_s_network() -> None:
    said = {"containers": {"netns": "private"}}
    assert defaults.of_container(context(said), {})["network"] == ("private",)
    assert "network" not in defaults.of_container(context(said, rootless=False), {})
    assert "network" not in defaults.of_container(context(said, RCRUN_NETWORK="none"), {})


def test_limits_no_higher_than_the_caller_may() -> None:
    assert defaults.lowered("nofile=10:500", lambda name: 100) == "nofile=10:100"
    assert defaults.lowered("nofile=-1:-1", lambda name: 100) == "nofile=100:100"
    assert defaults.lowered("nofile=10:500", lambda name: -1) == "nofile=10:500"
    assert defaults.lowered("host", lambda name: 1) == "host"


def test_pods_and_steps() -> None:
    conf = {"engine": {"pod_exit_policy": "stop", "infra_image": "i"}, "containers": {
        "netns": "host", "pidns": "host", "default_capabilities": ["CHOWN"], "dns_servers": ["9.9.9.9"],
        "default_ulimits": ["core=0"], "env": ["A=1"], "volumes": ["/a:/b"]}}  # fmt: skip
    found = defaults.of_pod(context(conf), {})
    assert (found["exit_policy"], found["infra_image"]) == ("stop", "i")
    found = defaults.of_pod(context(conf), {"exit_policy": "continue", "infra": False})
    assert (found["exit_policy"], found.get("infra_image")) == ("continue", None)
    assert defaults.of_step(context(conf), {"network": "private", "pid": None}) == {
        "network": "host", "pid": "host", "default_capabilities": ["CHOWN"], "dns": ["9.9.9.9"], "ulimit": ("core=0:0",),
    }  # fmt: skip
    assert (
        defaults.of_step(context(conf), {"network": "none", "pid": "private"})["network"] == "none"
    )


def test_how_often_a_registry_is_tried() -> None:
    said = context({"engine": {"retry": 7, "retry_delay": "2s"}})
    assert defaults.tries(said, None, None) == (7, 2.0)
    assert defaults.tries(said, 1, 0.5) == (1, 0.5)
    assert defaults.tries(context({"engine": {"retry_delay": "3"}}), None, None) == (None, 3.0)
