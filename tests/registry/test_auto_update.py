"""`auto-update`: who gets a newer image, what is done to the unit, and back. systemd is a script of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tiny_image import tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import TinyRegistry

    from conftest import Rcrun
    from tiny_image import TinyImage

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
LABEL = "io.containers.autoupdate"
# What a unit of Quadlet does at a restart; one that is called `picky` does not start with the second image.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>{log}
[ "$1 $2" = "--user restart" ] || exit 0
name=${{3%.service}}
{rcrun} rm -f $name >/dev/null 2>&1
export PODMAN_SYSTEMD_UNIT=$3
{rcrun} run -d --name $name --network none --label {label}=$(cat {policies}/$name) $(cat {policies}/$name.image) >/dev/null || exit 1
[ $name != picky ] || [ "$({rcrun} inspect -f '{{{{.Config.Labels.number}}}}' $name)" = 1 ] || {{
    echo "Job for $3 failed" >&2
    exit 1
}}
"""


def numbered(number: int) -> TinyImage:
    busybox = Path("/bin/busybox").read_bytes()
    return tiny_image({"bin/busybox": busybox, "number": str(number).encode()},
                      Cmd=["/bin/busybox", "sleep", "1000"], Labels={"number": str(number)})  # fmt: skip


class Units:
    """What systemd has, and what it was told."""

    def __init__(self, rcrun: Rcrun) -> None:
        from accounts import bin_dir

        self.rcrun = rcrun
        self.dir = rcrun.account.new_dir("units")
        self.log = self.dir / "log"
        text = SYSTEMCTL.format(
            log=self.log, rcrun=bin_dir() / "rcrun", label=LABEL, policies=self.dir
        )
        (self.dir / "systemctl").write_text(text)
        (self.dir / "systemctl").chmod(0o755)
        self.path = f"{self.dir}:/usr/sbin:/usr/bin:/sbin:/bin"

    def start(self, name: str, policy: str, image: str) -> None:
        (self.dir / name).write_text(policy)
        (self.dir / f"{name}.image").write_text(image)
        self.rcrun.account.run(
            self.dir / "systemctl", "--user", "restart", f"{name}.service", env=self.rcrun.env
        ).check()

    def told(self) -> list[str]:
        lines = self.log.read_text().split("\n")
        self.log.write_text("")
        self.log.chmod(0o666)
        return [line.removeprefix("--user restart ") for line in lines if line]

    def update(self, *words: str, status: int = 0) -> dict[str, str]:
        done = self.rcrun("auto-update", *words, "--format", "json", env={"PATH": self.path})
        assert done.status == status, done
        self.err = done.err
        rows = [json.loads(line) for line in done.out.splitlines()]
        return {row["ContainerName"]: row["Updated"] for row in rows}

    def numbers(self) -> dict[str, str]:
        listed = self.rcrun("ps", "--format", '{{.Names}} {{.Label "number"}}').check().out
        return dict(line.split() for line in listed.splitlines())


def test_who_is_updated_and_how(fresh_rcrun: Callable[..., Rcrun], registry: TinyRegistry) -> None:
    rcrun = fresh_rcrun()
    registry.put(numbered(1), "latest", "other")
    name, other = f"{registry.address}/a/b:latest", f"{registry.address}/a/b:other"
    for each in (name, other):
        rcrun("pull", "-q", each).check()
    rcrun("tag", name, "localhost/mine").check()
    units = Units(rcrun)
    for unit, policy, image in (
        ("web", "registry", name), ("picky", "image", other), ("mine", "local", "localhost/mine"),
        ("quiet", "disabled", name),
    ):  # fmt: skip
        units.start(unit, policy, image)
    rcrun("run", "-d", "--name", "alone", "--network", "none", "--label", f"{LABEL}=registry", name).check()  # fmt: skip
    try:
        units.told()
        # Nothing is new; one that no unit made is told of.
        first = rcrun("auto-update", env={"PATH": units.path})
        rows = [line.split() for line in first.out.splitlines()]
        assert rows[0] == ["UNIT", "CONTAINER", "IMAGE", "POLICY", "UPDATED"]
        assert {row[-4].strip("()"): row[-1] for row in rows[1:]} == {
            "web": "false", "picky": "false", "mine": "false", "alone": "failed",
        }  # fmt: skip
        assert (first.status, units.told()) == (1, [])
        assert 'container "alone" was not made by a unit of systemd' in first.err
        rcrun("rm", "-f", "alone").check()

        # Something is: looked at, then done, once a unit.
        registry.put(numbered(2), "latest", "other")
        pending = {"web": "pending", "picky": "pending", "mine": "false"}
        assert (units.update("--dry-run"), units.told()) == (pending, [])
        assert set(units.numbers().values()) == {"1"}
        got = units.update(status=1)
        assert got == {"web": "true", "picky": "rolled back", "mine": "false"}
        assert "Job for picky.service failed" in units.err
        assert units.told() == ["web.service", "picky.service", "picky.service"]
        assert units.numbers() == {"web": "2", "picky": "1", "mine": "1", "quiet": "1"}
        assert rcrun("inspect", "-f", "{{.Config.Labels.number}}", other).check().out == "1\n"

        # The store's own name has moved; without a rollback the new image stays.
        rcrun("tag", name, "localhost/mine").check()
        got = units.update("--rollback=false", status=1)
        assert got == {"web": "false", "picky": "failed", "mine": "true"}
        assert sorted(units.told()) == ["mine.service", "picky.service"]
        assert units.numbers() == {"web": "2", "picky": "2", "mine": "2", "quiet": "1"}

        # A registry that is gone costs its own containers their update, and nobody else's.
        registry.rule("/manifests/latest", lambda handler: handler.fail(404, "MANIFEST_UNKNOWN", "gone"))  # fmt: skip
        got = units.update("--dry-run", status=1)
        assert got == {"web": "failed", "picky": "false", "mine": "false"}
    finally:
        rcrun("rm", "-f", "-a").check()
