"""In a user namespace already, as podman calls: with all ids or with one, and with another namespace in it or none."""

from __future__ import annotations

import pytest

from accounts import Result
from runtime.conftest import Bundle

pytestmark = [
    pytest.mark.parametrize("account", ["user"], indirect=True),
    pytest.mark.requires("unshare", "subids"),
]
ONE_ID = ("--map-root-user",)
ALL_IDS = ("--map-root-user", "--map-auto")
KIND_FILES = {"network": "net"}
either = pytest.mark.parametrize("ids", [ONE_ID, ALL_IDS], ids=["one-id", "all-ids"])


def run_inside(bundle: Bundle, ids: tuple[str, ...]) -> Result:
    bundle.write()
    words = [*bundle.words(), "run", "-b", str(bundle.dir), bundle.id]
    return bundle.account.run("unshare", "--user", *ids, "--", *words)


@either
def test_the_same_user_namespace(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.args("ids")
    assert run_inside(bundle, ids).check().out.startswith("0 0")


@either
def test_another_user_namespace(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "user"})
    if ids == ONE_ID:
        row = [{"containerID": 0, "hostID": 0, "size": 1}]
        bundle.linux(uidMappings=row, gidMappings=row)
    bundle.args("ids")
    assert run_inside(bundle, ids).check().out.startswith("0 0")


@either
def test_the_network_outside(bundle: Bundle, ids: tuple[str, ...]) -> None:
    """Its sysfs belongs to the namespace outside, so the host's is bound."""
    bundle.without_namespace("network").mount("/sys", "sysfs", "sysfs", "ro").args("ls", "/sys")
    assert "class" in run_inside(bundle, ids).check().out


@either
def test_the_processes_outside(bundle: Bundle, ids: tuple[str, ...]) -> None:
    bundle.without_namespace("pid").args("cat", "/proc/self/mountinfo")
    assert " /proc " in run_inside(bundle, ids).check().out


@either
def test_joined_namespaces(bundle: Bundle, new_bundle, ids: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    """Those of a container that runs in the same user namespace."""
    first = new_bundle()
    first.args("sleep", "1000").write()
    for namespace in bundle.config["linux"]["namespaces"]:
        if namespace["type"] != "mount":
            namespace["path"] = (
                f"/proc/PID/ns/{KIND_FILES.get(namespace['type'], namespace['type'])}"
            )
    bundle.args("echo", "joined").write()
    runtime = " ".join(first.words())
    script = f"""
        {runtime} run -d -b {first.dir} {first.id} </dev/null >/dev/null 2>&1
        pid=$({runtime} state {first.id} | tr , '\\n' | sed -n 's/[^p]*"pid": *//p')
        sed -i "s/PID/$pid/g" {bundle.dir}/config.json
        {runtime} run -b {bundle.dir} {bundle.id} || status=$?
        {runtime} delete -f {first.id}
        exit ${{status-0}}
    """
    given = bundle.account.run("unshare", "--user", *ids, "--", "sh", "-eu", "-c", script)
    assert given.check().out == "joined\n"


def test_groups_that_cannot_be_set(bundle: Bundle) -> None:
    """With one id setgroups(2) is denied; the groups that the caller has have no power inside."""
    bundle.process(user={"uid": 0, "gid": 0, "additionalGids": [0]}).args("true")
    run_inside(bundle, ONE_ID).check()
