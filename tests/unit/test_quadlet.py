"""Files of Quadlet → units: every key of podman's manual, what files say of each other, and what cannot be had."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rcrun.engine.quadlet import convert, names, output, sources
from rcrun.engine.quadlet.files import split_many
from rcrun.engine.quadlet.keys import REFUSED, RULES
from rcrun.engine.quadlet.service import Around
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile
from rcrun_cli import commands

if TYPE_CHECKING:
    from rcrun.engine.quadlet.convert import Made

HERE = Path(__file__).parent
KEYS = {
    section: words.split()
    for section, _, words in (
        line.partition(": ") for line in (HERE / "quadlet_keys.txt").read_text().splitlines()[1:]
    )
}
BASE = {
    "Container": "Image=localhost/a\nUser=u\n", "Volume": "", "Network": "Subnet=10.0.0.0/24\n",
    "Image": "Image=localhost/a\n", "Artifact": "Artifact=localhost/a\n",
    "Build": "ImageTag=localhost/a\nSetWorkingDirectory=unit\n", "Kube": "Yaml=a.yaml\n", "Pod": "",
}  # fmt: skip
VALUES = {
    "ReloadSignal": "HUP", "Mount": "type=tmpfs,dst=/value", "Rootfs": "", "Gateway": "10.0.0.1", "File": "value",
    "Type": "value\nDevice=/dev/value", "Driver": "value", "User": "17", "Group": "17", "Copy": "no",
    "StartWithPod": "yes", "Network": "value", "ExitCodePropagation": "any", "Kube.SetWorkingDirectory": "unit",
    "Kube.RemapUsers": "auto", "Pod": "p.pod",
}  # fmt: skip
FLAGS = {key for rules in RULES.values() for key, (how, _) in rules.items() if how == "flag"} | {
    "NoNewPrivileges", "SecurityLabelDisable", "SecurityLabelNested", "Notify", "NetworkDeleteOnStop", "VolatileTmp",
    "KubeDownForce",
}  # fmt: skip


def made(files: dict[str, str], *, is_user: bool = False, **more: object) -> dict[str, Made]:
    units = {name: unitfile.parse(text, name, f"/q/{name}") for name, text in files.items()}
    around = Around(["/bin/rcrun"], is_user=is_user, store_dir="/store", units=units, **more)  # type: ignore[arg-type]
    return {each.name: each for each in convert.convert(around)}


def section_of(one: Made, name: str) -> dict[str, list[str]]:
    unit = unitfile.parse(one.text, one.name, "")
    return {key: [value for each, value in unit.sections[name] if each == key] for key in unit.keys(name)}  # fmt: skip


def start_of(one: Made) -> list[str]:
    assert not one.fault, one.fault
    return unitfile.split(section_of(one, "Service")["ExecStart"][0])


@pytest.mark.parametrize("section", [section for section in KEYS if section != "Quadlet"])
def test_every_key_of_the_manual(section: str) -> None:
    """It changes the unit, or the unit says that it cannot be had."""
    kind = section.lower()
    plain = made({f"x.{kind}": f"[{section}]\n{BASE[section]}"})
    before = "\n".join((next(iter(plain)), next(iter(plain.values())).text))
    for key in [*KEYS[section], *RULES[section]]:
        usual = VALUES.get(key, "yes" if key in FLAGS else "value")
        value = VALUES.get(f"{section}.{key}", usual)
        files = {f"x.{kind}": f"[{section}]\n{BASE[section]}{key}={value}\n", "p.pod": "[Pod]\n"}
        one = next(each for each in made(files).values() if each.source)
        if key in REFUSED.get(section, {}) or (section, key) in [("Volume", "Image"), ("Container", "Rootfs"), ("Container", "RemapUsers"), ("Pod", "RemapUsers")]:  # fmt: skip
            assert key in one.fault or not value, (key, one.fault)
        elif key not in ("StartWithPod", "ImageTag", "RemapUid", "RemapGid", "RemapUidSize"):
            lines = [line for line in one.text.split("\n") if f"{key}={value}" != line]
            assert not one.fault, (key, one.fault)
            assert "\n".join([one.name, *lines]) != before, key


VERBS = {"Container": "run", "Pod": "pod create", "Kube": "kube play", "Volume": "volume create", "Network": "network create", "Image": "pull", "Build": "build"}  # fmt: skip
# What the command refuses with its own words.
NOT_YET = {
    "Volume": ("--uid", "--gid"),
    "Build": ("--arch", "--authfile", "--ignorefile", "--variant", "--retry", "--retry-delay", "--tls-verify", "--dns",
              "--dns-option", "--dns-search", "--group-add", "--env"),
}  # fmt: skip


@pytest.mark.parametrize("section", VERBS)
def test_options_are_there(section: str) -> None:
    group, _, verb = VERBS[section].rpartition(" ")
    rows = commands.GROUPS[group][1] if group else {**commands.SECTIONS["Containers"], **commands.SECTIONS["Images"]}  # fmt: skip
    module, _, attribute = rows[verb][0].partition(":")
    command = getattr(importlib.import_module(f"rcrun_cli.commands.{module}"), attribute or module)
    for _, option in RULES[section].values():
        known = option.partition("=")[0]
        assert not known or known in command.table() or known in NOT_YET.get(section, ()), option


def test_a_container_as_a_whole() -> None:
    files = {
        "web.container": "[Unit]\nAfter=db.container other.service\n[Container]\nImage=i.image\nExec=sh -c 'sleep %i' $A\n"
        "Volume=data.volume:/data:ro\nVolume=./rel:/r\nNetwork=n.network:ip=10.0.0.5\nEnvironment=A='b c'\n"
        "Mount=type=image,src=i.image,dst=/i\nReloadCmd=kick it\n[Service]\nRestart=always\n"
        "[Install]\nWantedBy=default.target\nAlias=www.service\n",
        "db.container": "[Container]\nImage=localhost/db\nContainerName=db\nNetwork=web.container\n",
        "i.image": "[Image]\nImage=localhost/i\nTLSVerify=no\n",
        "data.volume": "[Volume]\nVolumeName=store\n",
        "n.network": "[Network]\n",
    }  # fmt: skip
    units = made(files, environment=["RCRUN_ROOT=/a b"])
    web = units["web.service"]
    assert start_of(web) == [
        "/bin/rcrun", "run", "--name", "systemd-%N", "--replace", "--rm", "--log-driver", "journald", "--cgroups=split",
        "--sdnotify=conmon", "-d", "--env", "A=b c", "--network", "systemd-n:ip=10.0.0.5", "--volume", "store:/data:ro",
        "--volume", "/q/rel:/r", "--mount", "type=image,src=localhost/i,dst=/i", "localhost/i", "sh", "-c", "sleep %i", "$A",
    ]  # fmt: skip
    unit, service = section_of(web, "Unit"), section_of(web, "Service")
    assert unit["Wants"] == ["network-online.target"]
    assert unit["After"] == ["network-online.target", "db.service other.service", "i-image.service",
                             "n-network.service", "data-volume.service", "i-image.service"]  # fmt: skip
    assert unit["RequiresMountsFor"] == ["/store", "/q/rel"]
    assert unit["SourcePath"] == ["/q/web.container"]
    assert service["Environment"] == ['"RCRUN_ROOT=/a b"', "PODMAN_SYSTEMD_UNIT=%n"]
    assert service["ExecStop"] == ["/bin/rcrun stop --ignore systemd-%N"]
    assert service["ExecStopPost"] == ["-/bin/rcrun rm -v -f -i systemd-%N"]
    assert service["ExecReload"] == ["/bin/rcrun exec systemd-%N kick it"]
    assert (service["Type"], service["KillMode"], service["Restart"]) == (["notify"], ["mixed"], ["always"])  # fmt: skip
    assert web.links == [("www.service", "web.service"), ("default.target.wants/web.service", "../web.service")]  # fmt: skip
    assert start_of(units["db.service"])[-3:] == ["--network", "container:systemd-web", "localhost/db"]  # fmt: skip
    assert start_of(units["i-image.service"])[1:] == ["image", "pull", "--tls-verify=false", "localhost/i"]  # fmt: skip
    assert start_of(units["n-network.service"])[1:] == [
        "network",
        "create",
        "--ignore",
        "systemd-n",
    ]


def test_documents_of_kubernetes() -> None:
    text = (
        "[Kube]\nYaml=a/b.yaml\nYaml=/c.yaml\nAutoUpdate=registry\nAutoUpdate=web/local\nConfigMap=m.yaml\n"
        "Network=n.network\nPublishPort=80:80\nKubeDownForce=yes\nRemapUsers=auto\nSetWorkingDirectory=unit\n"
    )
    units = made({"x.kube": text, "n.network": "[Network]\n", "y.kube": "[Kube]\nYaml=y.yaml\n[Service]\nType=oneshot\n"})  # fmt: skip
    assert start_of(units["x.service"])[1:] == [
        "kube", "play", "--replace", "--service-container=true", "--log-driver", "journald", "--publish", "80:80",
        "--network", "systemd-n", "--userns", "auto", "--annotation=io.containers.autoupdate=registry",
        "--annotation=io.containers.autoupdate/web=local", "--configmap", "/q/m.yaml", "/q/a/b.yaml", "/c.yaml",
    ]  # fmt: skip
    service = section_of(units["x.service"], "Service")
    assert service["ExecStopPost"] == ["/bin/rcrun kube down --force /q/a/b.yaml /c.yaml"]
    assert (service["Type"], service["WorkingDirectory"]) == (["notify"], ["/q"])
    assert "n-network.service" in section_of(units["x.service"], "Unit")["Requires"]
    assert "--service-container=false" in start_of(units["y.service"])


def test_for_a_user() -> None:
    files = {"a.container": "[Container]\nImage=x\n[Service]\nType=oneshot\n",
             "b.container": "[Container]\nImage=x\n[Quadlet]\nDefaultDependencies=no\n"}  # fmt: skip
    units = made(files, is_user=True)
    assert section_of(units["a.service"], "Unit")["After"] == ["rcrun-wait-network-online.service"]
    assert "rcrun-wait-network-online.service" in units
    assert "-d" not in start_of(units["a.service"])
    assert "After" not in section_of(units["b.service"], "Unit")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.container", "[Container]\nImag=x", 'there is no key "Imag" in [Container]: is it "Image"?'),
        ("a.container", "[Container]\nExec=x", "neither Image= nor Rootfs= is given"),
        ("a.container", "[Container]\nImage=x\nRootfs=/x", "Image= and Rootfs= exclude each other"),
        ("a.container", "[Container]\nImage=no.image", 'there is no file "no.image"'),
        ("a.container", "[Container]\nImage=x\nPod=p.pod", 'there is no file "p.pod"'),
        ("a.container", "[Container]\nImage=x\nPod=p", 'Pod="p" names no file of Quadlet'),
        ("a.container", "[Container]\nImage=x\nStartWithPod=x", 'StartWithPod="x" is neither yes nor no'),
        ("a.container", "[Container]\nImage=x\nGroup=5", "Group= needs User="),
        ("a.container", "[Container]\nImage=x\nReadOnly=maybe", 'ReadOnly="maybe" is neither yes nor no'),
        ("a.container", "[Container]\nImage=x\nNetwork=t@.container", 'there is no file "t@.container"'),
        ("a.container", "[Container]\nImage=x\n[Service]\nKillMode=none", 'KillMode="none" in [Service]'),
        ("a.container", "[Container]\nImage=x\n[Service]\nType=simple", 'Type="simple" in [Service]'),
        ("a.container", "[Unit]\nAfter=x.volume\n[Container]\nImage=x", 'there is no file "x.volume"'),
        ("a.volume", "[Volume]\nType=ext4", "Type= needs Device="),
        ("a.volume", "[Volume]\nDriver=image\nImage=x", "Driver=image is not supported"),
        ("a.volume", "[Volume]\nUser=nobody", 'the uid "nobody" in [Volume] is no number'),
        ("a.network", "[Network]\nGateway=10.0.0.1", "needs a Subnet="),
        ("a.image", "[Image]", "Image= is not given"),
        ("a.build", "[Build]\nFile=x", "ImageTag= is not given"),
        ("a.build", "[Build]\nImageTag=x\nFile=x", "needs SetWorkingDirectory="),
        ("a.pod", "[Pod]\nPort=5", 'there is no key "Port" in [Pod]'),
        ("a.pod", "[Pod]\nNetwork=x.network", 'there is no file "x.network"'),
        ("a.kube", "[Kube]", "Yaml= is not given"),
        ("a.kube", "[Kube]\nYaml=x\nRemapUsers=manual", 'RemapUsers="manual" cannot be had'),
        ("a.kube", "[Kube]\nYaml=x\nYaml=y\nSetWorkingDirectory=yaml", "goes with one Yaml="),
        ("a.kube", "[Kube]\nYaml=x\nExitCodePropagation=some", "it is all, any, none"),
    ],
)  # fmt: skip
def test_refused(name: str, text: str, fault: str) -> None:
    """The unit is there all the same, and tells it."""
    [one] = made({name: f"{text}\n[Install]\nWantedBy=default.target\n"}).values()
    assert fault in one.fault
    assert one.links
    words = unitfile.split(section_of(one, "Service")["ExecStart"][0])
    assert (words[0], words[-1]) == ("/bin/sh", unitfile.literal(one.fault))


def test_pods() -> None:
    """The pod's unit starts its containers, which go down with it; one of them only when it is asked for."""
    units = made(
        {
            "web.pod": "[Pod]\nPodName=site\nPublishPort=8080:80\nNetwork=n.network\nVolume=v.volume:/x\nStopTimeout=3\nExitPolicy=continue\n",
            "a.container": "[Container]\nImage=x\nPod=web.pod\nExec=run\n",
            "b.container": "[Container]\nImage=x\nPod=web.pod\nStartWithPod=no\n",
            "n.network": "[Network]\n", "v.volume": "[Volume]\n", "t@.pod": "[Pod]\nRemapUsers=manual\nRemapUid=0:10:5\n",
        }
    )  # fmt: skip
    unit, service = (section_of(units["web-pod.service"], name) for name in ("Unit", "Service"))
    assert unit["Wants"][1:] == ["a.service"]
    assert unit["Before"] == ["a.service", "b.service"]
    assert unit["Requires"] == ["n-network.service", "v-volume.service"]
    assert service["ExecStartPre"] == [
        "/bin/rcrun pod create --replace --exit-policy=continue --publish 8080:80 --network systemd-n "
        "--volume systemd-v:/x --infra-name site-infra --name site"
    ]
    assert "--uidmap 0:10:5 " in section_of(units["t-pod@.service"], "Service")["ExecStartPre"][0]
    assert service["ExecStop"] == ["/bin/rcrun pod stop --ignore --time=3 site"]
    assert (service["Type"], service["Restart"]) == (["notify"], ["on-failure"])
    for name in ("a", "b"):
        assert section_of(units[f"{name}.service"], "Unit")["BindsTo"] == ["web-pod.service"]
    words = start_of(units["a.service"])
    assert words[words.index("--pod") : words.index("x") + 2] == ["--pod", "site", "x", "run"]
    assert start_of(units["t-pod@.service"])[1:] == ["pod", "start", "systemd-t-%i"]


def test_volumes_and_builds() -> None:
    cases = {
        "a.volume": ("[Volume]\nUser=root\nGroup=root\nLabel=a=b", "volume create --ignore --label a=b systemd-a"),
        "b.volume": ("[Volume]\nUser=5\nOptions=ro", "volume create --ignore --opt o=uid=5,ro systemd-b"),
        "c.volume": ("[Volume]\nDevice=/d\nType=bind\nCopy=no", "volume create --ignore --opt nocopy --opt device=/d --opt type=bind --opt o=bind systemd-c"),
        "d@.volume": ("[Volume]", "volume create --ignore systemd-d-%i"),
        "a.build": ("[Build]\nImageTag=x\nSetWorkingDirectory=unit\nFile=f", "build --tag x --file f /q"),
        "b.build": ("[Build]\nImageTag=x\nFile=/f/g", "build --tag x --file /f/g"),
        "c.build": ("[Build]\nImageTag=x\nSetWorkingDirectory=https://e/x.git\nPull=never", "build --pull=never --tag x https://e/x.git"),
        "d.build": ("[Build]\nImageTag=x\nSetWorkingDirectory=file\nFile=/f/g", "build --tag x --file /f/g"),
        "a.network": ("[Network]\nSubnet=10.0.0.0/24\nSubnet=10.1.0.0/24\nGateway=10.0.0.1\nIPRange=10.0.0.0/28\nNetworkDeleteOnStop=yes",
                      "network create --ignore --subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.0/28 --subnet 10.1.0.0/24 systemd-a"),
    }  # fmt: skip
    for name, (text, wanted) in cases.items():
        one = next(iter(made({name: text}).values()))
        assert " ".join(start_of(one)[1:]) == wanted
    built = next(iter(made({"d.build": cases["d.build"][0]}).values()))
    assert section_of(built, "Service")["WorkingDirectory"] == ["/f"]


def test_names_and_templates() -> None:
    text = "[Container]\nImage=x\n[Install]\nWantedBy=a.target\nRequiredBy=b.target\n"
    units = made({"t@.container": text, "t@5.container": text, "d@.container": f"{text}DefaultInstance=7\n"})  # fmt: skip
    assert list(units) == ["t@.service", "t@5.service", "d@.service"]
    assert units["t@.service"].links == []
    assert units["t@5.service"].links[0] == ("a.target.wants/t@5.service", "../t@5.service")
    assert units["d@.service"].links[1] == ("b.target.requires/d@7.service", "../d@.service")
    assert start_of(units["t@5.service"])[3] == "systemd-%p_%i"
    named = unitfile.parse("[Volume]\nServiceName=other\n", "v.volume", "")
    assert (names.service_name(named), names.resource_name(named)) == ("other", "systemd-v")
    assert names.dropin_dirs("a-b-c@i.container") == [
        "a-b-c@i.container.d", "a-b-c@.container.d", "a-b-@.container.d", "a-b-.container.d", "a-@.container.d",
        "a-.container.d", "container.d",
    ]  # fmt: skip


def test_sources(tmp_path: Path) -> None:
    """Directories and what is below them, drop-ins, files that cannot be read; the first of a name wins."""
    for name, text in {
        "one/a.container": "[Container]\nImage=x\n", "one/sub/b.container": "[Container]\nImage=b\n",
        "one/a.container.d/10.conf": "[Container]\nImage=y\n", "two/container.d/10.conf": "[Container]\nImage=no\n",
        "two/container.d/20.conf": "[Service]\nRestart=always\n", "two/a.container": "[Container]\nImage=no\n",
        "two/bad.volume": "what\n", "two/readme.txt": "what\n", "one/a.container.d/30.conf": "what\n",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "one/sub/loop").symlink_to(tmp_path / "one")
    environ = {"QUADLET_UNIT_DIRS": f"{tmp_path}/one:relative:{tmp_path}/two"}
    folders = sources.directories(environ, "/", 0, is_user=True)
    assert folders == [f"{tmp_path}/one", f"{tmp_path}/one/sub", f"{tmp_path}/two"]
    found = sources.read(folders)
    assert list(found.units) == ["a.container", "b.container"]
    assert found.units["a.container"].last("Container", "Image") == "y"
    assert found.units["a.container"].last("Service", "Restart") == "always"
    assert list(found.broken) == ["bad.volume"]
    assert len(found.faults) == 1
    user = sources.directories({"XDG_RUNTIME_DIR": "/r"}, str(tmp_path), 5, is_user=True)
    assert str(tmp_path) not in " ".join(user)
    (tmp_path / ".config/containers/systemd").mkdir(parents=True)
    assert f"{tmp_path}/.config/containers/systemd" in sources.directories({}, str(tmp_path), 5, is_user=True)  # fmt: skip


def test_written_and_taken_away(tmp_path: Path) -> None:
    text = "[Container]\nImage=x\n[Install]\nWantedBy=a.target\nAlias=b.service\n"
    folder = str(tmp_path / "units")
    output.write_all(list(made({"a.container": text}).values()), folder)
    (tmp_path / "units/mine.service").write_text("[Unit]\n")
    (tmp_path / "units/a.target.wants/mine.service").symlink_to("../mine.service")
    assert (tmp_path / "units/b.service").read_text() == (tmp_path / "units/a.service").read_text()
    output.clear(folder)
    left = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))
    assert left == ["a.target.wants", "a.target.wants/mine.service", "mine.service"]


def test_many_in_one() -> None:
    many = "\n# FileName=web\n[Container]\nImage=x\n---\n# FileName=data\n[Volume]\n---\n"
    assert list(split_many(many, "x")) == ["web.container", "data.volume"]
    for text, said in (
        ("[Container]\n", 'a part of "x" has no name'),
        ("# FileName=a\n[Service]\n", '"a" in "x" is not of one kind'),
        ("# FileName=../a\n[Volume]\n", "has no name"),
        ("", "nothing in"),
    ):
        with pytest.raises(InvalidInput, match=said):
            split_many(text, "x")


def test_generators_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd.generator(7): the first of a name counts, and one that leads to /dev/null is none."""
    monkeypatch.setattr(output, "_BASES", (f"{tmp_path}/etc", f"{tmp_path}/usr"))
    for base in ("etc", "usr"):
        (tmp_path / base / "user-generators").mkdir(parents=True)
    assert output.generator(output.PODMANS, is_user=True) == ""
    theirs = tmp_path / "usr/user-generators/podman-user-generator"
    theirs.write_text("#!/bin/sh\n")
    theirs.chmod(0o755)
    assert output.generator(output.PODMANS, is_user=True) == str(theirs)
    assert output.generator(output.PODMANS, is_user=False) == ""
    (tmp_path / "etc/user-generators/podman-user-generator").symlink_to("/dev/null")
    assert output.generator(output.PODMANS, is_user=True) == ""
