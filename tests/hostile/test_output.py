"""What others named never commands the terminal: not in tables, not in messages, not in JSON."""

from __future__ import annotations

import json

import pytest

from hostile.conftest import NO_NETWORK

ESCAPES = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\r\n\t"
OBEYED = set("\x1b\x07\x9b\u202e\r\x85\x7f")


def is_harmless(text):
    return not OBEYED & set(text)


@pytest.fixture
def evil(rcrun, make_image):
    """An image and a container of it with terminal sequences wherever a text may be."""
    config = {
        "Entrypoint": ["/bin/sh", "-c", "sleep 100; :", f"e{ESCAPES}"],
        "Cmd": [f"c{ESCAPES}"],
        "Labels": {f"k{ESCAPES}": f"v{ESCAPES}", "plain": f"w{ESCAPES}"},
        "Env": ["PATH=/bin", f"A=b{ESCAPES}"],
        "User": "0",
        "WorkingDir": "/tmp",
    }
    top = {
        "author": f"a{ESCAPES}",
        "history": [{"created_by": f"h{ESCAPES}", "comment": ESCAPES}],
        "variant": f"v{ESCAPES}",
    }
    make_image("evil", config, top=top)
    rcrun("run", "-d", "--name", "web", "--label", f"mine=x{ESCAPES}", *NO_NETWORK, "evil").check()
    return rcrun


def test_tables(evil):
    for words in (
        ("ps",),
        ("ps", "-a", "--no-trunc"),
        ("ps", "--format", "table {{.Names}}\t{{.Labels}}\t{{.Command}}\t{{.Image}}"),
        ("ps", "--format", 'table {{.Label "plain"}}'),
        ("images",),
        ("images", "--no-trunc", "--digests"),
        ("top", "web"),
    ):
        got = evil(*words).check()
        assert is_harmless(got.out), words
        # One line for the header and one for each row: a line break is shown, too.
        assert "owned" not in got.out or len(got.out.splitlines()) == len(got.out.split("\n")) - 1


def test_json(evil):
    for words in (
        ("ps", "--format", "json"),
        ("ps", "--format", "{{json .}}"),
        ("images", "--format", "json"),
        ("inspect", "web"),
        ("inspect", "evil"),
        ("inspect", "-f", "{{json .Config}}", "web"),
    ):
        got = evil(*words).check()
        assert is_harmless(got.out.replace("\n", "")), words
        assert json.loads(got.out if words[0] == "inspect" else got.out.splitlines()[0])
    labels = json.loads(evil("inspect", "web").out)[0]["Config"]["Labels"]
    assert labels["plain"] == f"w{ESCAPES}"


def test_messages(rcrun, make_image):
    cases = {
        "entry": {"Entrypoint": [f"none{ESCAPES}"]},
        "path": {"Entrypoint": [f"/none{ESCAPES}"]},
        "user": {"User": f"none{ESCAPES}"},
        "dir": {"WorkingDir": f"rel{ESCAPES}"},
        "volume": {"Volumes": {f"rel{ESCAPES}": {}}},
        "port": {"ExposedPorts": {f"80{ESCAPES}": {}}},
    }
    for name, config in cases.items():
        make_image(f"say-{name}", config)
        got = rcrun("run", "--rm", *NO_NETWORK, f"say-{name}")
        assert got.status != 0, name
        assert is_harmless(got.err.replace("\n", "")), name
        got = rcrun("run", "-d", *NO_NETWORK, f"say-{name}")
        assert is_harmless(got.err.replace("\n", "")), name
    for words in (("rm", ESCAPES), ("run", ESCAPES), ("start", f"x{ESCAPES}"), (ESCAPES,)):
        got = rcrun(*words)
        assert is_harmless(got.err.replace("\n", "")), words


def test_an_error_that_was_kept(rcrun, make_image):
    """The text of a failed start is shown by inspect, later."""
    make_image("kept", {"Entrypoint": [f"none{ESCAPES}"]})
    assert rcrun("run", "-d", "--name", "web", *NO_NETWORK, "kept").status == 127
    assert is_harmless(rcrun("ps", "-a").check().out)
    assert is_harmless(rcrun("inspect", "web").check().out.replace("\n", ""))


def test_oci_messages(hostile_bundle):
    for args in ([f"none{ESCAPES}"], [f"/none{ESCAPES}"]):
        hostile_bundle.process(args=args)
        got = hostile_bundle.run()
        assert got.status != 0
        assert is_harmless(got.err.replace("\n", ""))
    hostile_bundle.process(cwd=f"/x{ESCAPES}", args=["/init", "true"])
    hostile_bundle.config["linux"]["namespaces"].append({"type": f"n{ESCAPES}"})
    got = hostile_bundle.run()
    assert got.status != 0
    assert is_harmless(got.err.replace("\n", ""))
    got = hostile_bundle.runtime("validate", str(hostile_bundle.dir))
    assert is_harmless(got.out.replace("\n", ""))


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_names_of_an_archive(rcrun, make_image):
    """RepoTags that are no references are none; what is said of them is harmless."""
    for tag in ([f"x{ESCAPES}:1"], ["../../x:y"], [5], "text", {"a": "b"}, [["x"]], ["x" * 5000]):
        got = make_image.load("odd", {}, tag=tag)
        assert "bug" not in got.err, tag
        assert is_harmless((got.out + got.err).replace("\n", ""))
    listed = rcrun("images", "--format", "{{.Repository}}:{{.Tag}}").check().out
    assert is_harmless(listed.replace("\n", ""))


def test_logs_are_the_containers_own(evil):
    """As with docker: what a program writes is passed on as it is, and nothing is added."""
    evil("exec", "web", "true").check()
    got = evil("run", "--rm", *NO_NETWORK, "--entrypoint", "printf", "busybox", "\\033[1mx").check()
    assert got.stdout == b"\x1b[1mx"
