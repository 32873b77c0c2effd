"""`rcrun secret`, and secrets in containers."""

from __future__ import annotations

import json
import os
import re
import stat
from typing import Any

import pytest

from engine.volumes import NO_NETWORK, clean, sh, up

pytestmark = pytest.mark.requires("userns", "overlay")

SECRET = "s3cr3t-content"


@pytest.fixture
def rcrun(rcrun: Any) -> Any:
    clean(rcrun)
    yield rcrun
    clean(rcrun)


def create(rcrun: Any, name: str, data: str = SECRET, *options: str) -> str:
    out: str = rcrun("secret", "create", *options, name, "-", input=data).check().out
    return out.strip()


# ---- the store's


def test_create_list_inspect(rcrun: Any) -> None:
    number = create(rcrun, "pw", SECRET, "-l", "a=b", "--driver-opts", "x=y")
    assert re.fullmatch("[0-9a-f]{25}", number)
    shown = rcrun("secret", "inspect", "pw").check().out
    (found,) = json.loads(shown)
    assert SECRET not in shown
    assert found["ID"] == number
    assert found["Spec"] == {
        "Name": "pw", "Driver": {"Name": "file", "Options": {"x": "y"}}, "Labels": {"a": "b"},
    }  # fmt: skip
    assert found["CreatedAt"] == found["UpdatedAt"]
    words = ("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}")
    assert rcrun(*words, number[:5]).check().out == f"{SECRET}\n"
    assert rcrun("secret", "ls", "-q").out == f"{number}\n"
    assert (
        rcrun("secret", "ls", "--format", '{{.Name}} {{.Driver}} {{.Label "a"}}').out
        == "pw file b\n"
    )
    assert (
        "Name:            pw\nLabels:\n - a=b\n" in rcrun("secret", "inspect", "--pretty", "pw").out
    )


def test_nobody_else_reads_the_store(rcrun: Any) -> None:
    create(rcrun, "pw")
    path = rcrun.store_dir / "secrets"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "pw").stat().st_mode) == 0o600
    up(rcrun, "web", "--secret", "pw", "--secret", "pw,type=env")
    folder = rcrun.store_dir / "containers" / rcrun("ps", "-q", "--no-trunc").out.strip()
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secrets/1").stat().st_mode) == 0o600
    for name in ("config.json", "container.json"):
        assert SECRET not in (folder / name).read_text()
    assert SECRET not in rcrun("inspect", "web").check().out


def test_sources(rcrun: Any) -> None:
    folder = rcrun.account.new_dir("secret")
    rcrun.account.run("sh", "-c", f"printf 'a\\0b' > {folder}/file").check()
    rcrun("secret", "create", "file", folder / "file").check()
    rcrun("secret", "create", "--env", "variable", "PASSWORD", env={"PASSWORD": "x y"}).check()
    assert (
        sh(
            rcrun,
            "wc -c < /run/secrets/file; cat /run/secrets/variable",
            "--secret",
            "file",
            "--secret",
            "variable",
        )
        == "3\nx y"
    )
    for words, message in [
        (["new", folder / "none"], f'cannot read "{folder}/none": no such file or directory'),
        (["new", folder], "is a directory"),
        (["--env", "new", "NOSUCH"], 'the environment has no "NOSUCH"'),
        (["a/b", folder / "file"], 'invalid secret name "a/b"'),
        (["-d", "pass", "new", folder / "file"], 'unknown secret driver "pass"'),
        (["file", folder / "file"], 'the secret name "file" is already in use'),
        (["--ignore", "--replace", "file", folder / "file"], "conflicting options"),
    ]:
        got = rcrun("secret", "create", *words)
        assert (got.status, got.out) == (1, ""), words
        assert message in got.err


@pytest.mark.parametrize(
    ("size", "status"), [(0, 1), (1, 0), (511_999, 0), (512_000, 1), (600_000, 1)]
)
def test_sizes(rcrun: Any, size: int, status: int) -> None:
    got = rcrun("secret", "create", "big", "-", input=b"x" * size)
    assert got.status == status
    assert bool(status) == ("larger than 0 and less than 512000" in got.err)


def test_replace_and_ignore(rcrun: Any) -> None:
    number = create(rcrun, "pw")
    assert create(rcrun, "pw", "other", "--ignore") == number
    up(rcrun, "web", "--secret", "pw")
    assert create(rcrun, "pw", "new", "--replace") != number
    assert sh(rcrun, "cat /run/secrets/pw", "--secret", "pw") == "new"
    rcrun("restart", "-t", "0", "web").check()
    assert rcrun("exec", "web", "cat", "/run/secrets/pw").out == SECRET


def test_remove(rcrun: Any) -> None:
    first = create(rcrun, "one")
    create(rcrun, "two")
    got = rcrun("secret", "rm", "nosuch", first[:6])
    assert (got.status, got.out) == (1, f"{first[:6]}\n")
    assert "no such secret: nosuch" in got.err
    assert rcrun("secret", "rm", "-i", "nosuch").check().err == ""
    assert rcrun("secret", "exists", "two").status == 0
    rcrun("secret", "rm", "-a").check()
    assert rcrun("secret", "exists", "two").status == 1
    assert rcrun("secret", "ls", "-q").out == ""


def test_filters(rcrun: Any) -> None:
    number = create(rcrun, "one", "x", "-l", "a=1")
    create(rcrun, "two", "x", "-l", "a=2")
    for asked, expected in [
        (["name=on"], ["one"]),
        (["name=one", "name=two"], ["one", "two"]),
        (["label=a"], ["one", "two"]),
        (["label=a=2"], ["two"]),
        ([f"id={number[:4]}"], ["one"]),
    ]:
        words = [word for each in asked for word in ("-f", each)]
        assert rcrun("secret", "ls", "--format", "{{.Name}}", *words).out.split() == expected
    assert 'invalid filter "x=1"' in rcrun("secret", "ls", "-f", "x=1").err


# ---- in a container


def test_as_a_file(rcrun: Any) -> None:
    create(rcrun, "pw")
    script = (
        "cat /run/secrets/pw; echo; stat -c %u:%g:%a /run/secrets/pw; echo no > /run/secrets/pw"
    )
    got = rcrun(
        "run", "--name", "web", *NO_NETWORK, "--secret", "pw", "busybox", "sh", "-c", script
    )
    assert got.out == f"{SECRET}\n0:0:444\n"
    assert "Read-only file system" in got.err
    upper = rcrun("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "web").out.strip()
    assert os.listdir(f"{upper}/run/secrets") == []  # so that no commit has a trace of it
    (found,) = json.loads(rcrun("inspect", "-f", "{{json .Config.Secrets}}", "web").out)
    assert (found["Name"], found["Mode"]) == ("pw", 0o444)
    assert rcrun("inspect", "-f", "{{json .Mounts}}", "web").out == "[]\n"


def test_elsewhere_and_others(rcrun: Any) -> None:
    create(rcrun, "pw")
    words = ("--secret", "pw,target=sub/key,mode=0400", "--secret", "pw,target=/etc/key,mode=440")
    assert (
        sh(rcrun, "stat -c %a:%s /run/secrets/sub/key /etc/key", *words)
        == f"400:{len(SECRET)}\n440:{len(SECRET)}\n"
    )


@pytest.mark.requires("subids")
def test_owners(rcrun: Any) -> None:
    create(rcrun, "pw")
    words = ("--secret", "pw,uid=33,gid=44,mode=0400", "-u", "33:44")
    assert (
        sh(rcrun, "stat -c %u:%g:%a /run/secrets/pw; cat /run/secrets/pw", *words)
        == f"33:44:400\n{SECRET}"
    )
    keep = ("--userns", "keep-id") if rcrun.account.kind == "user" else ()
    assert sh(rcrun, "stat -c %u:%g /run/secrets/pw", "--secret", "pw", *keep) == "0:0\n"


def test_in_the_environment(rcrun: Any) -> None:
    create(rcrun, "pw", "a b\nc")
    words = ("--secret", "pw,type=env", "--secret", "pw,type=env,target=OTHER")
    assert (
        sh(rcrun, 'echo "$pw/$OTHER"; ls /run/secrets 2>/dev/null || true', *words)
        == "a b\nc/a b\nc\n"
    )
    up(rcrun, "web", *words)
    assert rcrun("exec", "web", "sh", "-c", 'echo "$OTHER"').out == "a b\nc\n"
    assert "OTHER" not in rcrun("inspect", "-f", "{{.Config.Env}}", "web").out
    rcrun("secret", "rm", "pw").check()
    rcrun("restart", "-t", "0", "web").check()
    assert rcrun("exec", "web", "sh", "-c", 'echo "$pw"').out == "a b\nc\n"


def test_one_that_is_not_there(rcrun: Any) -> None:
    before = os.listdir(rcrun.store_dir / "containers")
    got = rcrun("run", "--rm", *NO_NETWORK, "--secret", "nosuch", "busybox", "true")
    assert (got.status, got.out) == (125, "")
    assert "no such secret: nosuch" in got.err
    assert os.listdir(rcrun.store_dir / "containers") == before


def test_with_one_id(single_rcrun: Any) -> None:
    clean(single_rcrun)
    create(single_rcrun, "pw")
    for user in ("0", "33"):
        assert sh(single_rcrun, "cat /run/secrets/pw", "--secret", "pw", "-u", user) == SECRET
    got = single_rcrun("run", "--rm", *NO_NETWORK, "--secret", "pw,uid=33", "busybox", "true")
    assert got.status == 125
    assert "files cannot be given to id 33: it is not mapped" in got.err
    clean(single_rcrun)
