"""build: images from Containerfiles, as a user with many ids, with one, and as root."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from engine.builds import QUIET, Work, cached, forget_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture
def work(rcrun: Rcrun) -> Iterator[Work]:
    yield Work(rcrun)
    forget_images(rcrun)


def test_a_build_of_all_sorts(work: Work) -> None:
    work.file("a.txt", "hello\n")
    work.file("dir/sub/b", "b\n")
    done = work(
        "FROM busybox\n"
        "ARG V=1\n"
        "ENV A=b\n"
        "WORKDIR /src\n"
        "COPY a.txt dir ./\n"
        'RUN echo "$V $A" >out && id -u >>out\n'
        'CMD ["cat", "out"]\n',
        "-t", "made:1", "-t", "made:2", "--build-arg", "V=7",
    ).check()  # fmt: skip
    assert done.out == ""
    assert "[stage-0 5/6] RUN echo" in done.err
    assert work.says("made:1") == "7 b\n0\n"
    assert work.says("made:2", "sh", "-c", "cat a.txt sub/b; pwd") == "hello\nb\n/src\n"
    config = work.config("made:1")
    assert "A=b" in config["Env"]
    assert config["WorkingDir"] == "/src"
    again = work((work.folder / "Containerfile").read_text(), "--build-arg", "V=7").check()
    assert cached(again) == 3
    other = work((work.folder / "Containerfile").read_text(), "--build-arg", "V=8").check()
    assert cached(other) == 2


def test_what_is_printed(work: Work) -> None:
    image = work.image("FROM busybox\nRUN echo heard\n")
    assert image.startswith("sha256:")
    assert len(image) == 71
    told = work("FROM busybox\nRUN echo heard; echo too >&2\n", "--no-cache").check()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == "#1 [stage-0 1/1] RUN echo heard; echo too >&2"
    assert [line.split(" ", 2)[2] for line in lines[1:3]] == ["heard", "too"]
    assert lines[3].startswith("#1 DONE ")
    file = work.rcrun.account.new_dir("out") / "iid"
    facts = file.with_name("facts")
    work.image("FROM busybox\nLABEL a=b\n", "--iidfile", file, "--metadata-file", facts)
    assert json.loads(facts.read_text())["containerimage.config.digest"] == file.read_text()


def test_stages(work: Work) -> None:
    image = work.image(
        "ARG BASE=busybox\n"
        "FROM $BASE AS one\n"
        "RUN echo 1 >/one; chown 5:6 /one\n"
        "FROM one AS unused\n"
        "RUN false\n"
        "FROM busybox AS two\n"
        "COPY --from=one /one /there/\n"
        "RUN echo 2 >/two\n"
        "FROM two\n"
        "COPY --from=0 /one /uno\n"
    )
    assert work.says(image, "sh", "-c", "cat /there/one /two /uno") == "1\n2\n1\n"
    target = work.image((work.folder / "Containerfile").read_text(), "--target", "two")
    assert work.rcrun("run", "--rm", *QUIET, target, "cat", "/uno").status == 1


def test_from_scratch(work: Work) -> None:
    work.file("data/f", "x\n")
    image = work.image("FROM scratch\nCOPY data /data/\nENV A=1\n", "-t", "small")
    files = work.rcrun.account.new_dir("files") / "root.tar"
    work.rcrun("create", *QUIET, "--name", "small1", image, "/x").check()
    work.rcrun("export", "-o", files, "small1").check()
    with tarfile.open(files) as archive:
        assert sorted(archive.getnames()) == ["data", "data/f"]


def test_copy_as_docker_does(work: Work) -> None:
    work.file("f", "f\n")
    work.file("d/x", "x\n")
    work.file("d/y", "y\n")
    image = work.image(
        "FROM busybox\n"
        "COPY f /new\n"
        "COPY f /made/\n"
        "COPY d /tree\n"
        "COPY f d /both/\n"
        "COPY d/* /glob/\n"
        "COPY f /tmp\n"
        "COPY --chmod=640 --chown=11:12 f /owned\n"
        "COPY --exclude=x d /less/\n"
        "COPY --parents d/x /parents/\n"
        "COPY <<a <<b /docs/\n"
        "1\n"
        "a\n"
        "2\n"
        "b\n"
    )
    listing = "find /new /made /tree /both /glob /tmp/f /less /parents /docs -type f | sort"
    assert work.says(image, "sh", "-c", listing).split() == [
        "/both/f", "/both/x", "/both/y", "/docs/a", "/docs/b", "/glob/x", "/glob/y", "/less/y",
        "/made/f", "/new", "/parents/d/x", "/tmp/f", "/tree/x", "/tree/y",
    ]  # fmt: skip
    assert work.says(image, "cat", "/docs/a", "/docs/b") == "1\n2\n"
    assert work.says(image, "stat", "-c", "%a", "/owned") == "640\n"


@pytest.mark.parametrize("account", ["user", "root"], indirect=True)
def test_owners(work: Work) -> None:
    work.file("f", "f\n")
    image = work.image(
        "FROM busybox\n"
        "RUN echo 'someone:x:77:88::/:/bin/sh' >>/etc/passwd\n"
        "COPY f /plain\n"
        "COPY --chown=11:12 f /numbers\n"
        "COPY --chown=13 f /one\n"
        "COPY --chown=someone f /named\n"
        "RUN chown 5:6 /plain\n"
        "USER someone\n"
        "RUN id -u >/tmp/me\n"
    )
    shown = work.says(image, "stat", "-c", "%n %u %g", "/plain", "/numbers", "/one", "/named")
    assert shown.splitlines() == ["/plain 5 6", "/numbers 11 12", "/one 13 13", "/named 77 88"]
    assert work.says(image, "cat", "/tmp/me") == "77\n"


def test_dockerignore(work: Work) -> None:
    for name in ("keep", "drop.log", "dir/a", "dir/keep", "deep/er/x.log", "deep/er/y"):
        work.file(name, "x\n")
    work.file(".dockerignore", "**/*.log\ndir\n!dir/keep\nContainerfile\n.dockerignore\n")
    image = work.image("FROM busybox\nCOPY . /c/\n")
    found = work.says(image, "sh", "-c", "cd /c; find . -type f | sort").split()
    assert found == ["./deep/er/y", "./dir/keep", "./keep"]
    gone = work("FROM busybox\nCOPY drop.log /\n")
    assert gone.status == 1
    assert '"drop.log" is not in the context: it is ignored' in gone.err


def test_content_decides_what_is_cached(work: Work) -> None:
    path = work.file("f", "same\n")
    text = "FROM busybox\nCOPY f /f\nRUN cat /f\n"
    first = work.image(text)
    path.write_text("same\n")  # another time of change
    again = work(text).check()
    assert cached(again) == 2
    path.write_text("other\n")
    assert cached(work(text).check()) == 0
    path.write_text("same\n")
    fresh = work.image(text, "--no-cache")
    layers = "{{json .RootFS.Layers}}"
    told = work.rcrun("image", "inspect", "-f", layers, first, fresh).check().out.splitlines()
    assert told[0] == told[1]


def test_the_same_build_makes_the_same_image(work: Work) -> None:
    text = "FROM busybox\nLABEL a=b\nRUN echo x >/x\nENV c=d\n"
    first = work.image(text)
    assert work.image(text) == first
    assert work.image(text, "--layers=false") != first
    created = work.rcrun(
        "inspect", "-f", "{{.Created}}", "busybox", work.image("FROM busybox\nLABEL a=b\n")
    )
    assert len(set(created.check().out.splitlines())) == 1


def test_a_time_for_everything(work: Work) -> None:
    text = "FROM busybox\nRUN echo x >/x\n"
    first = work.image(text, "--no-cache", "--source-date-epoch", "1700000000")
    second = work.image(text, "--no-cache", "--source-date-epoch", "1700000000")
    assert first == second
    assert work.says(first, "stat", "-c", "%Y", "/x") == "1700000000\n"


def test_here_documents_as_scripts(work: Work) -> None:
    image = work.image(
        "FROM busybox\n"
        "RUN <<EOF\n"
        "set -e\n"
        "A=1\n"
        'echo "shell $A" >/out\n'
        "EOF\n"
        "RUN <<EOF\n"
        "#!/bin/sh\n"
        'echo "script $0" >>/out\n'
        "EOF\n"
        "RUN cat <<x >>/out\n"
        "piped\n"
        "x\n"
    )
    assert work.says(image, "cat", "/out") == "shell 1\nscript /dev/pipes/EOF\npiped\n"


def test_mounts_of_run(work: Work) -> None:
    work.file("src/f", "from the context\n")
    text = (
        "FROM busybox AS other\n"
        "RUN mkdir /o && echo from a stage >/o/f\n"
        "FROM busybox\n"
        "RUN --mount=target=/ctx,source=src cat /ctx/f >/out\n"
        "RUN --mount=type=bind,from=other,source=/o,target=/o cat /o/f >>/out\n"
        "RUN --mount=type=bind,target=/w,rw echo x >/w/new && ls /w/new >>/out\n"
        "RUN --mount=type=tmpfs,target=/t,size=1m stat -f -c %T /t >>/out\n"
        "RUN --mount=type=cache,target=/cache,id=of-the-test date +%s%N >>/cache/n; wc -l </cache/n >>/out\n"
        "RUN --mount=type=secret,id=key cat /run/secrets/key >/secret-length && wc -c </secret-length >>/out; rm /secret-length\n"
        "RUN --mount=type=secret,id=key,env=KEY test ${#KEY} = 10 && echo env >>/out\n"
        "RUN test ! -e /run/secrets/key\n"
    )
    key = work.file("key", "top secret")
    words = ("--secret", f"id=key,src={key}")
    image = work.image(text, *words)
    assert work.says(image, "cat", "/out").split("\n") == [
        "from the context", "from a stage", "/w/new", "tmpfs", "1", "10", "env", "",
    ]  # fmt: skip
    assert not (work.folder / "new").exists()
    archive = work.rcrun.account.new_dir("archive") / "a.tar"
    work.rcrun("save", "-o", archive, image).check()
    assert b"top secret" not in archive.read_bytes()
    assert "\n2\n" in work.says(work.image(text, *words, "--no-cache"), "cat", "/out")


def test_onbuild(work: Work) -> None:
    work.image("FROM busybox\nONBUILD RUN echo triggered >/t\nONBUILD ENV T=1\n", "-t", "base:on")
    image = work.image("FROM base:on\nRUN cat /t\n")
    assert work.says(image, "cat", "/t") == "triggered\n"
    assert "T=1" in work.config(image)["Env"]
    assert not work.config(image).get("OnBuild")


def test_configuration(work: Work) -> None:
    config = work.config(
        work.image(
            "FROM busybox\n"
            'SHELL ["/bin/sh", "-ec"]\n'
            "ENTRYPOINT echo hi\n"
            "EXPOSE 80 53/udp\n"
            "VOLUME /data /more\n"
            "USER 5:6\n"
            "STOPSIGNAL SIGINT\n"
            "LABEL a=b 'c d'=\"e f\"\n"
            "HEALTHCHECK --interval=5s --retries=2 CMD true\n",
            "--label",
            "g=h",
        )
    )
    assert config["Entrypoint"] == ["/bin/sh", "-ec", "echo hi"]
    assert not config.get("Cmd")
    assert set(config["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert set(config["Volumes"]) == {"/data", "/more"}
    assert (config["User"], config["StopSignal"]) == ("5:6", "SIGINT")
    assert {"a": "b", "c d": "e f", "g": "h"}.items() <= config["Labels"].items()
    check = {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000, "Retries": 2}
    assert config["Healthcheck"] == check


def test_platform_arguments(work: Work) -> None:
    image = work.image(
        "FROM --platform=$TARGETPLATFORM busybox\nARG TARGETARCH\nRUN echo $TARGETARCH >/a\n"
    )
    told = json.loads(work.rcrun("image", "inspect", image).check().out)[0]
    assert work.says(image, "cat", "/a").strip() == told["Architecture"]


def test_add_unpacks_archives(work: Work) -> None:
    work.file("t/inner", "inner\n")
    with tarfile.open(work.folder / "a.tar.gz", "w:gz") as archive:
        archive.add(work.folder / "t", "t")
    work.file("plain.gz", "not an archive\n")
    image = work.image(
        "FROM busybox\nADD a.tar.gz plain.gz /x/\nCOPY a.tar.gz /y/\nADD *.gz /glob/\n"
    )
    assert work.says(image, "sh", "-c", "cd /glob; find . -type f | sort").split() == [
        "./plain.gz", "./t/inner",
    ]  # fmt: skip
    assert work.says(image, "sh", "-c", "cat /x/t/inner /x/plain.gz; ls /y") == (
        "inner\nnot an archive\na.tar.gz\n"
    )


def test_named_contexts(work: Work) -> None:
    more = work.rcrun.account.new_dir("more")
    (more / "f").write_text("more\n")
    words = ("--build-context", f"more={more}", "--build-context", "base=docker-image://busybox")
    image = work.image("FROM base\nCOPY --from=more f /f\n", *words)
    assert work.says(image, "cat", "/f") == "more\n"
