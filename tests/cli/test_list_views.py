"""What lists show on request: order, no headings, namespaces, trees, wide characters; no colour, whatever is said."""

from __future__ import annotations

import json

import pytest

from rcrun_cli import output

pytestmark = pytest.mark.requires("userns")
USER = pytest.mark.parametrize("account", ["user"], indirect=True)


def test_wide_characters_take_two_places():
    table = output.table(("NAMES", "STATE"), [("web", "up"), ("öä漢字", "up"), ("e\u0301", "up")])
    assert table == (
        "NAMES     STATE\nweb       up\nöä漢字    up\ne\u0301         up\n"  # as docker 28 has them
    )


@USER
def test_orders(rcrun):
    for name, words in (("bb", ["true"]), ("aa", ["sleep", "5"]), ("cc", ["echo"])):
        rcrun("create", "--name", name, "--network", "none", "busybox", *words).check()

    def names(*words):
        return rcrun("ps", "-a", "--format", "{{.Names}}", *words).check().out.split()

    assert names() == ["cc", "aa", "bb"]
    assert names("--sort", "created") == ["bb", "aa", "cc"]
    assert names("--sort", "names") == ["aa", "bb", "cc"]
    assert names("--sort", "command") == ["cc", "aa", "bb"]
    assert sorted(names("--sort", "id")) == ["aa", "bb", "cc"]
    for key in ("image", "runningfor", "size", "status"):
        assert sorted(names("--sort", key)) == ["aa", "bb", "cc"]
    assert names("-n", "2") == ["cc", "aa"]
    assert names("-l") == ["cc"]
    assert rcrun("ps", "--sort", "shoe-size").status == 125
    bare = rcrun("ps", "-a", "--noheading").check().out
    assert len(bare.splitlines()) == 3
    assert "CONTAINER ID" not in bare
    assert len(rcrun("ps", "-aq", "--no-trunc").check().out.split()[0]) == 64
    assert "(virtual " in rcrun("ps", "-as").check().out


@USER
def test_namespaces(rcrun):
    rcrun("run", "-d", "--name", "spaces", "--network", "none", "busybox", "sleep", "100").check()
    pid = rcrun("inspect", "-f", "{{.State.Pid}}", "spaces").out.strip()
    title, line = rcrun("ps", "--ns").check().out.splitlines()
    assert title.split() == "CONTAINER ID NAMES PID CGROUPNS IPC MNT NET PIDNS USERNS UTS".split()
    assert line.split()[1:3] == ["spaces", pid]
    assert all(word.isdecimal() for word in line.split()[3:])
    assert rcrun("ps", "--ns", "--format", "{{.Pid}} {{.NET}}").check().out.split()[0] == pid
    rcrun("rm", "-f", "spaces").check()


@USER
def test_ps_again_and_again(rcrun):
    import signal

    process = rcrun.popen("ps", "-a", "--watch", "1", stdout=-1)
    titles = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=60) == 130
    assert titles[0] == titles[1]
    assert rcrun("ps", "--watch", "0").status == 1


@USER
def test_images(rcrun):
    rcrun("tag", "busybox", "view:1", "view:2").check()
    tree = rcrun("images", "--tree").check()
    assert tree.out.splitlines()[0].split() == [
        "IMAGE",
        "ID",
        "DISK",
        "USAGE",
        "CONTENT",
        "SIZE",
        "EXTRA",
    ]
    assert [line.split()[0] for line in tree.out.splitlines()[1:4]] == [
        "busybox:latest",
        "view:1",
        "view:2",
    ]
    assert rcrun("images", "--tree", "-q").status == 1
    layers = rcrun("image", "tree", "view:1").check().out
    assert "└── ID: " in layers
    assert "Top Layer of: [busybox:latest view:1 view:2]" in layers
    assert "└── ID: " in rcrun("image", "tree", "--whatrequires", "busybox").check().out
    assert rcrun("image", "tree", "nosuch").status == 1
    tags = rcrun("images", "--sort", "tag", "--format", "{{.Tag}}").check().out.split()
    assert tags == sorted(tags)
    assert "view:1" in rcrun("images", "--history").check().out
    digest = rcrun("images", "--digests", "--format", "{{.Digest}}", "view:1").check().out
    assert digest.startswith("sha256:") or digest == "<none>\n"
    assert rcrun("images", "--noheading", "view:1").check().out.startswith("view ")
    assert rcrun("image", "inspect", "--platform", "linux/s390x", "busybox").status == 1
    assert rcrun("history", "--platform", "linux/s390x", "busybox").status == 1
    assert rcrun("rmi", "--platform", "linux/s390x", "view:1").status == 1
    rcrun("rmi", "view:1", "view:2").check()


@USER
@pytest.mark.parametrize("words", [
    ["ps", "-a"], ["images"], ["volume", "ls"], ["secret", "ls"], ["history", "busybox"], ["system", "df"],
])  # fmt: skip
def test_no_colour_and_nothing_on_stderr(rcrun, words):
    for env in ({}, {"NO_COLOR": "1"}, {"TERM": "xterm-256color"}):
        got = rcrun(*words, env=env).check()
        assert "\x1b" not in got.out
        assert got.err == ""
        assert got.out


@USER
def test_a_commit_with_a_configuration(rcrun):
    folder = rcrun.account.new_dir("commit")
    path = folder / "config.json"
    path.write_text(json.dumps({"Cmd": ["date"], "User": "", "Env": ["Z=1"]}))
    path.chmod(0o644)
    rcrun(
        "create", "--name", "made", "--network", "none", "-v", "/kept", "-u", "5", "busybox", "true"
    ).check()
    rcrun("commit", "--config", str(path), "--include-volumes", "made", "made:1").check()
    form = "{{.Config.Cmd}} {{.Config.User}} {{.Config.Env}} {{json .Config.Volumes}}"
    assert (
        rcrun("image", "inspect", "-f", form, "made:1").check().out
        == '[date] 5 [Z=1] {"/kept":{}}\n'
    )
    assert rcrun("commit", "--config", f"{path}.no", "made").status == 1
    rcrun("rm", "-v", "made").check()
    rcrun("rmi", "made:1").check()


@USER
def test_a_history_for_machines(rcrun):
    title, line, *_ = rcrun("history", "--human=false", "busybox").check().out.splitlines()
    assert title.split() == "IMAGE CREATED AT CREATED BY SIZE COMMENT".split()
    assert [word for word in line.split() if word.isdecimal() and len(word) > 5]
