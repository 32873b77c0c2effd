"""build: where the result goes, and how it is made and looked at."""

from __future__ import annotations

import json
import os
import re
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from engine.builds import Work, cached, forget_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

FEW = """FROM busybox
RUN echo old >/old; echo gone >/gone; mkdir /d; echo in >/d/in; chmod 4755 /old; chown 5:6 /d
RUN rm /gone; echo new >/new; ln /new /again; rm -r /d; mkdir /d; echo on >/d/on
COPY Containerfile /c/
LABEL a=b
"""
CROSS = """FROM --platform=$BUILDPLATFORM busybox AS made
ARG TARGETARCH
RUN echo for $TARGETARCH >/out
FROM scratch
COPY --from=made /out /
"""


@pytest.fixture
def work(rcrun: Rcrun) -> Iterator[Work]:
    yield Work(rcrun)
    forget_images(rcrun)


def test_files_and_archives(work: Work) -> None:
    out = work.rcrun.account.new_dir("out")
    done = work(FEW, "-t", "few", "-o", out / "files", "-o", f"type=tar,dest={out}/few.tar",
                "-o", f"type=oci,dest={out}/few.oci", "-o", f"type=docker,dest={out}/few.docker")  # fmt: skip
    assert "not kept in the store" in done.check().err
    assert not work.rcrun("images", "-q", "few").check().out
    files = out / "files"
    assert (files / "d/on").read_text() == "on\n"
    assert not any((files / name).exists() for name in ("gone", "d/in"))
    look = (files / "old").stat()
    # nobody else may become the caller by it
    assert (look.st_uid, stat.S_IMODE(look.st_mode)) == (out.stat().st_uid, 0o755)
    with tarfile.open(out / "few.tar") as tar:
        found = {each.name: each for each in tar}
    assert (found["old"].mode, found["old"].uid, "gone" in found) == (0o4755, 0, False)
    for name in ("few.oci", "few.docker"):
        assert "few" in work.rcrun("load", "-i", out / name).check().out
        assert work.says("few", "cat", "/old", "/again", "/d/on") == "old\nnew\non\n"
        work.rcrun("rmi", "few").check()
    with tarfile.open(out / "few.oci") as tar:
        index = json.load(tar.extractfile("index.json") or pytest.fail("no index"))
        manifest = json.load(tar.extractfile(f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"))  # type: ignore[arg-type]
    assert all(each["mediaType"].endswith("+gzip") for each in manifest["layers"])


def test_standard_output_and_what_cannot_be(work: Work) -> None:
    out = work.rcrun.account.new_dir("out")
    done = work(FEW, "-q", "-o", "-")
    assert (done.status, done.err) == (0, "")
    for words, said in (
        (("-o", "/nosuch/dir"), 'cannot make the directory "/nosuch/dir"'),
        (("-o", "type=tar,dest=/nosuch/x"), 'cannot write "/nosuch/x"'),
        (("-o", "-", "-o", "type=oci,dest=-"), "only one --output can be standard output"),
        (("--push",), "there is no name to push the image under"),
        (("--call", "outline"), '--call "outline" is not possible'),
        (("--provenance=true",), "rcrun makes no attestations"),
        (("--metadata-file", f"{out}/no/x", "-q"), f'cannot write "{out}/no/x"'),
    ):
        failed = work(FEW, *words)
        assert (failed.status, said in failed.err) == (1, True), failed.err


def test_fewer_layers(work: Work) -> None:
    plain = work.image(FEW)
    layers = {"--squash": 2, "--layers=false": 2, "--squash-all": 1}
    for option, count in layers.items():
        image = work.image(FEW, option)
        facts = json.loads(work.rcrun("image", "inspect", image).check().out)[0]
        assert len(facts["RootFS"]["Layers"]) == count
        assert facts["Config"]["Labels"]["a"] == "b"
        script = "cat /old /new /d/on; ls -lA /d /old; test ! -e /gone; stat -c %h /again"
        assert work.says(image, "sh", "-c", script) == work.says(plain, "sh", "-c", script)
        assert "COPY Containerfile" in work.rcrun("history", "--no-trunc", image).check().out


def test_several_platforms(work: Work) -> None:
    out = work.rcrun.account.new_dir("out")
    both = ("--platform", "linux/amd64,linux/arm64", "--metadata-file", out / "facts")
    work(
        CROSS, *both, "-t", "cross", "-o", out, "-o", f"type=oci,dest={out}/x.oci", "--load"
    ).check()
    assert (out / "linux_arm64/out").read_text() == "for arm64\n"
    assert (out / "linux_amd64/out").read_text() == "for amd64\n"
    facts = json.loads((out / "facts").read_text())
    assert facts["containerimage.descriptor"]["mediaType"].endswith("index.v1+json")
    with tarfile.open(out / "x.oci") as tar:
        assert len([name for name in tar.getnames() if name.startswith("blobs/")]) == 7
    shown = work.rcrun("images", "-q", "--no-trunc", "cross").check().out.strip()
    assert shown
    for platform in ("linux/arm64", "linux/amd64"):
        work(CROSS, "-q", "--platform", platform, "--manifest", "list").check()
    assert work.rcrun("images", "-q", "list").check().out.strip()


def test_a_program_of_another_machine(work: Work) -> None:
    """An ELF header of an architecture that neither the host nor binfmt runs."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x02\x00\x01\x00\x00\x00"
    (work.folder / "sh").write_bytes(header + bytes(4096))
    os.chmod(work.folder / "sh", 0o755)
    done = work("FROM scratch\nCOPY sh /bin/sh\nRUN true\n", "--platform", "linux/sparc64")
    assert "cannot run programs for sparc64\nhint: build in a stage of the host's own" in done.err


def test_built_twice(work: Work) -> None:
    assert (
        work("FROM busybox\nRUN echo 1 >/x\n", "--verify", "-q").check().out.startswith("sha256:")
    )
    random = "FROM busybox\nRUN echo same >/y; cat /proc/sys/kernel/random/uuid >/x\n"
    done = work(random, "--verify", "-q", "-t", "never")
    assert done.status == 1
    assert 'made two different layers; they differ in "/x"\nhint: ' in done.err
    assert not work.rcrun("images", "-q", "never").check().out


def test_the_time_is_part_of_what_a_step_is(work: Work) -> None:
    """What was built here before, with another time, does not show."""
    text = "FROM busybox\nRUN echo 1 >/x\n"
    first = work.image(text, "--source-date-epoch", "86400")
    work.image(text)
    assert work.image(text, "--source-date-epoch", "86400") == first
    assert "Jan  2  1970" in work.says(first, "ls", "-l", "--full-time", "/x") or (
        "1970-01-02" in work.says(first, "ls", "-l", "--full-time", "/x")
    )


def test_a_shell_where_a_step_failed(work: Work) -> None:
    text = (
        "FROM busybox\nARG WHO=me\nRUN echo before >/a\nRUN echo half >/b; echo the end; exit 3\n"
    )
    done = work(text, "--shell-on-failure")
    assert done.status == 1
    assert (
        " > RUN echo half >/b; echo the end; exit 3:\nthe end\n------\nContainerfile:4\n"
        in done.err
    )
    command = re.search(
        r"the step failed here: rcrun run --rm -it --network none (\w+)\n", done.err
    )
    assert command is not None
    assert work.says(command[1], "sh", "-c", "cat /a /b; echo $WHO") == "before\nhalf\nme\n"
    early = work("FROM scratch\nCOPY nothing /\n", "--shell-on-failure")
    assert "nothing to open a shell in" in early.err


def test_what_the_image_says_of_itself(work: Work) -> None:
    image = work.image(
        "FROM busybox\nENV A=1 B=2\nLABEL x=1 y=2\n",
        "--env", "C=3", "--unsetenv", "A", "--unsetlabel", "x", "--label", "z=3", "--omit-history",
    )  # fmt: skip
    config = work.config(image)
    assert {"B=2", "C=3"} <= set(config["Env"])
    assert "A=1" not in config["Env"]
    assert {key: config["Labels"].get(key) for key in "xyz"} == {"x": None, "y": "2", "z": "3"}
    other = work.image(
        "FROM nowhere\nRUN true\n", "--from", "busybox", "--build-arg-file", _arguments(work)
    )
    assert other
    assert (
        work("FROM busybox AS a\nRUN false\nFROM busybox\n", "--skip-unused-stages=false").status
        == 1
    )
    assert work("FROM busybox\n", "--check").check().err == "Check complete, no warnings found.\n"
    assert work("FROM busybox\nENV x\n", "--check").status == 1


def _arguments(work: Work) -> Path:
    return work.file("arguments", "# none\nA=1\n")


def test_devices(work: Work) -> None:
    home = work.rcrun.account.new_dir("config")
    (home / "cdi").mkdir()
    (home / "cdi/x.json").write_text(
        '{"cdiVersion":"0.6.0","kind":"x.com/dev","devices":[{"name":"a","containerEdits":{"env":["GOT=a"]}}]}'
    )
    text = "FROM busybox\nRUN --device=x.com/dev=a --device=x.com/dev=none echo got $GOT\n"
    work.file("Containerfile", text)
    words = ("build", "--network", "none", "--no-cache", "--allow")
    env = {"XDG_CONFIG_HOME": str(home)}
    assert " got a\n" in work.rcrun(*words, "device", work.folder, env=env).check().err
    refused = work.rcrun(*words, "device=x.com/dev=a", work.folder, env=env)
    assert (
        '--device "x.com/dev=none" is not allowed\nhint: rcrun build --allow device=x.com/dev=none'
        in refused.err
    )
    missing = work("FROM busybox\nRUN --device=x.com/dev=no,required true\n", "--allow", "device")
    assert (missing.status, "no such device" in missing.err) == (1, True)


def test_progress(work: Work) -> None:
    text = "FROM busybox\nRUN echo hello\n"
    lines = [
        json.loads(line)
        for line in work(text, "--progress", "rawjson").check().err.splitlines()[:-1]
    ]
    names = [each["name"] for line in lines for each in line.get("vertexes", [])]
    assert names[0] == "[stage-0 1/1] RUN echo hello"
    assert any(each["data"] == "aGVsbG8K" for line in lines for each in line.get("logs", []))
    again = work(text, "--progress", "rawjson").check().err.splitlines()
    assert json.loads(again[1])["vertexes"][0]["cached"] is True
    assert cached(work(text, "--no-cache-filter", "stage-0,0").check()) == 0
    assert cached(work(text, "--cache-ttl", "1ns").check()) == 0
    assert cached(work(text, "--cache-ttl", "1h").check()) == 1
    log = work.folder / "log"
    assert work(text, "--logfile", log).check().err.startswith("image sha256:")
    assert "CACHED" in log.read_text()
