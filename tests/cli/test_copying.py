"""What cp, commit, save, export and their kin print where: on a terminal, into a pipe, and as docker and podman."""

from __future__ import annotations

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def copied(rcrun):
    rcrun("create", "--network", "none", "--name", "copied", "busybox", "true").check()
    return rcrun


def called(rcrun, name, *words):
    """rcrun through a link of that name."""
    link = rcrun.account.new_dir("bin") / name
    link.symlink_to(bin_dir() / "rcrun")
    return rcrun.account.run(link, *words, env=rcrun.env)


@pytest.mark.parametrize(
    "words", [("save", "busybox"), ("export", "copied"), ("cp", "copied:/etc", "-")]
)
def test_no_archive_goes_to_a_terminal(copied, screen, words):
    shown = screen(*words)
    shown.expect(b"refusing to write an archive to a terminal")
    assert shown.end() == 1
    assert copied(*words).check().stdout[257:262] == b"ustar"


def test_no_archive_comes_from_a_terminal(copied, screen):
    shown = screen("cp", "-", "copied:/tmp")
    shown.expect(b"no archive on standard input")
    assert shown.end() == 1


def test_the_last_word_is_for_a_terminal(copied, screen):
    folder = copied.account.new_dir("files")
    copied.account.run("sh", "-c", "head -c 2048 /dev/zero >x", cwd=folder).check()
    shown = screen("cp", f"{folder}/x", "copied:/tmp")
    shown.expect(b"Successfully copied 2.048kB to copied:/tmp")
    assert shown.end() == 0
    quiet = screen("cp", "-q", f"{folder}/x", "copied:/tmp")
    assert quiet.end() == 0
    assert quiet.seen == b""
    piped = copied("cp", f"{folder}/x", "copied:/tmp").check()
    assert (piped.out, piped.err) == ("", "")


@pytest.mark.parametrize(
    ("name", "status", "prefix"), [("rcrun", 1, "rcrun: error: "), ("docker", 1, "docker: "), ("podman", 125, "Error: ")]
)  # fmt: skip
def test_errors_are_each_personality_s_own(copied, name, status, prefix):
    done = called(copied, name, "cp", "copied:/none", "/tmp/x")
    assert (done.status, done.out) == (status, "")
    assert done.err == f'{prefix}could not find the file "copied:/none"\n'


def test_ids_as_each_prints_them(copied):
    whole = called(copied, "docker", "commit", "copied", "by-docker").check().out
    bare = called(copied, "podman", "commit", "copied", "by-podman").check().out
    assert whole.startswith("sha256:")
    assert len(bare) == len(whole) - len("sha256:")
    copied("untag", "by-podman").check()
    assert called(copied, "podman", "image", "prune", "-f").check().out == bare
    copied("rmi", "by-docker").check()


def test_formats_of_history(copied):
    out = copied("history", "--format", "table {{.ID}}\t{{.CreatedBy}}", "busybox").check().out
    assert next(line.split() for line in out.splitlines()) == ["IMAGE", "CREATED", "BY"]
    out = copied("history", "--format", "json", "busybox").check().out
    assert '"Comment":' in out
    wrong = copied("history", "--format", "{{.Nothing}}", "busybox")
    assert (wrong.status, wrong.out) == (1, "")
