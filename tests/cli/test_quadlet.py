"""`quadlet`, its generator and `generate systemd` as they are typed, where no systemd runs."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)
MANY = """
# FileName=web
[Container]
Image=x
---
# FileName=data
[Volume]
---
"""


@pytest.fixture
def typed(rcrun):
    """With a place of its own for files."""
    folder = rcrun.account.new_dir("config")

    def run(*words, **env):
        return rcrun(*words, env={"XDG_CONFIG_HOME": str(folder), **env}, cwd=folder)

    run.folder = folder
    run.place = folder / "containers/systemd"
    return run


def test_files_in_and_out(typed):
    (typed.folder / "app.quadlets").write_text(MANY)
    (typed.folder / "one.container").write_text("[Container]\nImage=x\n# a comment\n")
    (typed.folder / "conf").write_text("for one")
    install = ("quadlet", "install", "--reload-systemd=false")
    got = typed(*install, "app.quadlets").check()
    assert got.out.split() == [f"{typed.place}/web.container", f"{typed.place}/data.volume"]
    assert typed(*install, "one.container", "conf").check().out.split()[1] == f"{typed.place}/conf"
    again = typed(*install, "one.container")
    assert (again.status, f'there is a "{typed.place}/one.container"' in again.err) == (1, True)
    typed(*install, "--replace", "one.container").check()
    assert typed("quadlet", "print", "one.container").out == "[Container]\nImage=x\n# a comment\n"
    rows = [
        json.loads(line) for line in typed("quadlet", "ls", "--format", "json").out.splitlines()
    ]
    assert [(row["Name"], row["App"]) for row in rows] == [
        ("data.volume", "app"), ("one.container", "one.container"), ("web.container", "app"),
    ]  # fmt: skip
    assert typed("quadlet", "list", "--filter", "name=w*", "--format", "{{.UnitName}}").out == "web.service\n"  # fmt: skip
    remove = ("quadlet", "rm", "--reload-systemd=false")
    typed(*remove, "data.volume").check()
    assert sorted(path.name for path in typed.place.iterdir()) == [".one.container.app", "conf", "one.container"]  # fmt: skip
    assert typed(*remove, "web.container").status == 1
    typed(*remove, "--ignore", "web.container").check()
    typed(*remove, "--all").check()
    assert list(typed.place.iterdir()) == []


def test_the_generator(typed):
    units = typed.folder / "units"
    (typed.folder / "a.container").write_text(
        "[Container]\nImage=x\n[Install]\nWantedBy=a.target\n"
    )
    (typed.folder / "b.kube").write_text("[Kube]\n")
    env = {"QUADLET_UNIT_DIRS": str(typed.folder)}
    got = typed("__quadlet", "--", "-user", str(units), "/early", "/late", **env).check()
    assert "b.kube: Yaml= is not given" in got.err
    names = sorted(str(path.relative_to(units)) for path in units.rglob("*"))
    assert names == ["a.service", "a.target.wants", "a.target.wants/a.service", "b.service", "rcrun-wait-network-online.service"]  # fmt: skip
    dry = typed("__quadlet", "--", "-dryrun", **env)
    assert (dry.status, dry.out.startswith("---a.service---\n# Made by rcrun")) == (1, True)
    assert "looked in" in dry.err
    assert typed("__quadlet", "--", "-nope").status != 0
    shown = typed("quadlet", "reload", "--dry-run", **env)
    assert f"RequiresMountsFor={typed('info', '-f', '{{.Store.GraphRoot}}').out.strip()}" in shown.out  # fmt: skip


def test_generate_systemd(typed):
    typed("create", "--name=web", "-it", "--restart=always", "-e", "A=b %c $D", "--network", "none",
          "busybox", "sh", "-c", "echo $A").check()  # fmt: skip
    got = typed("generate", "systemd", "--new", "--name", "--no-header", "-t", "3", "-e", "X=1", "--after", "a.service", "web").check()  # fmt: skip
    lines = got.out.split("\n")
    assert lines[0] == "# container-web.service"
    [start] = [line for line in lines if line.startswith("ExecStart=")]
    assert start.partition(" run ")[2] == (
        "--cidfile %t/%n.ctr-id --cgroups=split --rm --sdnotify=conmon -d --interactive=true --tty=true "
        '"--env=A=b %%c $$D" --network=none --replace --name web busybox sh -c "echo $$A"'
    )
    for line in ("Restart=always", "TimeoutStopSec=63", "Type=notify", "Environment=X=1", "After=a.service"):  # fmt: skip
        assert line in lines
    there = typed("generate", "systemd", "--restart-policy", "no", "web").check().out
    identity = typed("inspect", "-f", "{{.Id}}", "web").out.strip()
    assert f" start --attach {identity}\n" in there
    assert "Restart=no\n" in there
    assert typed("inspect", "-f", "{{index .Config.CreateCommand 1}}", "web").out == "create\n"
    assert typed("generate", "systemd", "--restart-policy", "x", "web").status == 1


def test_generate_systemd_of_a_pod(typed):
    typed("pod", "create", "--network=none", "--label", "a=b %c", "box").check()
    typed("create", "--pod=box", "--name", "one", "busybox", "sleep", "1").check()
    words = ("generate", "systemd", "--name", "--no-header", "--format=json", "--pod-prefix=p", "box")  # fmt: skip
    there = json.loads(typed(*words).check().out)
    assert sorted(there) == ["container-one", "p-box"]
    infra = typed("pod", "inspect", "-f", "{{.InfraContainerID}}", "box").out.strip()
    name = typed("inspect", "-f", "{{.Name}}", infra).out.strip().removeprefix("/")
    assert f" start --attach {name}\n" in there["p-box"]
    assert "\nWants=container-one.service\nBefore=container-one.service\n" in there["p-box"]
    assert "\nBindsTo=p-box.service\nAfter=p-box.service\n" in there["container-one"]
    made = json.loads(typed(*words, "--new").check().out)
    [create] = [line for line in made["p-box"].split("\n") if " pod create " in line]
    assert create.partition(" pod create ")[2] == (
        '--pod-id-file %t/p-box.pod-id --network=none "--label=a=b %%c" --exit-policy=stop --replace --name box'
    )
    assert (
        " -d --pod-id-file %t/p-box.pod-id --replace --name one busybox sleep 1\n"
        in made["container-one"]
    )
    assert typed("generate", "systemd", infra).status == 1
    assert typed("pod", "rm", "-f", "box").status == 0
