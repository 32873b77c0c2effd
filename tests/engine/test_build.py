"""build: images from Containerfiles, as a user with many ids, with one, and as root."""

from __future__ import annotations

import json
import signal
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accounts import Result
    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")

QUIET = ("--network", "none")


class Work:
    """A context directory, and builds of it."""

    def __init__(self, rcrun: Rcrun) -> None:
        self.rcrun = rcrun
        self.folder: Path = rcrun.account.new_dir("context")

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def __call__(self, text: str, *words: object) -> Result:
        self.file("Containerfile", text)
        return self.rcrun("build", *QUIET, *map(str, words), self.folder)

    def image(self, text: str, *words: object) -> str:
        return self(text, "-q", *words).check().out.strip()

    def says(self, image: str, *argv: str) -> str:
        return self.rcrun("run", "--rm", *QUIET, image, *argv).check().out

    def config(self, image: str) -> dict[str, Any]:
        return json.loads(self.rcrun("image", "inspect", image).check().out)[0]["Config"]


@pytest.fixture
def work(rcrun: Rcrun) -> Work:
    return Work(rcrun)


def cached(done: Result) -> int:
    return done.err.count(" CACHED\n")


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
    image = work.image("FROM busybox\nADD a.tar.gz plain.gz /x/\nCOPY a.tar.gz /y/\n")
    assert work.says(image, "sh", "-c", "cat /x/t/inner /x/plain.gz; ls /y") == (
        "inner\nnot an archive\na.tar.gz\n"
    )


def test_named_contexts(work: Work) -> None:
    more = work.rcrun.account.new_dir("more")
    (more / "f").write_text("more\n")
    words = ("--build-context", f"more={more}", "--build-context", "base=docker-image://busybox")
    image = work.image("FROM base\nCOPY --from=more f /f\n", *words)
    assert work.says(image, "cat", "/f") == "more\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM busybox\nRUN exit 3\n", 'Containerfile:2: RUN exit 3: the command "/bin/sh -c exit 3" returned a non-zero code: 3'),
        ("FROM busybox\nCOPY nothing /\n", 'Containerfile:2: COPY nothing /: "nothing" is not in the context'),
        ("FROM busybox\nCOPY ../x /\n", "leads out of the context"),
        ("FROM busybox\nNOPE\n", 'Containerfile:2: unknown instruction "NOPE"'),
        ("FROM $NONE\n", "Containerfile:1: the image of FROM is empty"),
        ("FROM busybox\nCOPY --from=9 a b\n", "there is no stage 9"),
        ("FROM busybox\nRUN --security=insecure true\n", "--security=insecure is not allowed"),
        ("FROM busybox\nRUN --mount=type=secret,id=no,required true\n", 'the secret "no" is required'),
        ("FROM busybox\nCOPY --chown=nobody-here Containerfile /\n", "unable to find user"),
        ("FROM busybox\nENV ${X?}=1\n", "X: not allowed to be unset"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_what_fails(work: Work, text: str, said: str) -> None:
    done = work(text)
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert work.rcrun("ps", "-aq").check().out == ""


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_quiet_build_shows_what_failed(work: Work) -> None:
    done = work("FROM busybox\nRUN echo the reason; false\n", "-q")
    assert done.status == 1
    assert done.err.startswith("the reason\n")


def test_a_link_in_the_image_leads_nowhere_else(work: Work) -> None:
    """The image is hostile: what it calls /out is a link to the host's files."""
    work.file("f", "f\n")
    outside = f"/srv/rcrun-{work.folder.name}"
    image = work.image(
        "FROM busybox\n"
        f"RUN ln -s ../../../../..{outside} /out && ln -s {outside}/g /to-a-file\n"
        "COPY f /out/f\n"
        "COPY f /to-a-file\n"
    )
    assert not Path(outside).exists()
    assert work.says(image, "cat", f"{outside}/f", "/to-a-file") == "f\nf\n"


def test_sources_stay_in_the_context(work: Work) -> None:
    (work.folder / "link").symlink_to("/etc/passwd")
    (work.folder / "d").mkdir()
    (work.folder / "d/link").symlink_to("/etc/passwd")
    done = work("FROM busybox\nCOPY link /p\n")
    assert done.status == 1
    image = work.image("FROM busybox\nCOPY d /d/\n")
    assert work.says(image, "readlink", "/d/link") == "/etc/passwd\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_an_interrupted_build_leaves_nothing(work: Work) -> None:
    work.file("Containerfile", "FROM busybox\nRUN echo begun; sleep 1234\n")
    process = work.rcrun.popen("build", *QUIET, work.folder, stderr=-1)
    for line in process.stderr:
        if line.endswith(b"begun\n"):
            break
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 130
    deadline = time.monotonic() + 10
    while any("sleep 1234" in line for line in work.rcrun.account.processes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert work.rcrun("ps", "-aq").check().out == ""


def test_stages_side_by_side(work: Work) -> None:
    """Each waits for the other one's sign in a cache that both have."""
    wait = "for i in $(seq 200); do test -e /c/{} && exit 0; sleep 0.1; done; exit 9"
    text = (
        "FROM busybox AS a\n"
        f"RUN --mount=type=cache,target=/c,id=meet touch /c/a; {wait.format('b')}\n"
        "FROM busybox AS b\n"
        f"RUN --mount=type=cache,target=/c,id=meet touch /c/b; {wait.format('a')}\n"
        "FROM busybox\n"
        "COPY --from=a /etc/passwd /a\n"
        "COPY --from=b /etc/passwd /b\n"
    )
    work.image(text)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_the_cache_is_kept_and_pruned(work: Work) -> None:
    text = "FROM busybox\nRUN echo kept >/k\n"
    image = work.image(text)
    work.rcrun("rmi", "-f", image).check()
    work.rcrun("image", "prune", "-f").check()
    assert cached(work(text).check()) == 1
    work.rcrun("image", "prune", "-f").check()
    pruned = work.rcrun("builder", "prune", "-f", "-a").check()
    assert pruned.out.splitlines()[-1].startswith("Total:")
    assert cached(work(text).check()) == 0
    assert work.rcrun("buildx", "version").check().out.startswith("rcrun build ")


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_builds_at_the_same_time(work: Work) -> None:
    work.file("Containerfile", "FROM busybox\nRUN echo same >/s\nRUN cat /s\n")
    running = [
        work.rcrun.popen("build", "-q", *QUIET, "--no-cache", work.folder, stdout=-1)
        for _ in range(4)
    ]
    images = {process.communicate()[0].decode().strip() for process in running}
    assert [process.returncode for process in running] == [0] * 4
    for image in images:
        assert work.says(image, "cat", "/s") == "same\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_an_image_that_was_built_is_the_same_everywhere(work: Work, tmp_path: Path) -> None:
    image = work.image(
        "FROM busybox\nRUN rm -r /var/www; mkdir /var/www; echo n >/var/www/n\n", "-t", "moved:1"
    )
    archive = work.rcrun.account.new_dir("archive") / "a.tar"
    before = work.says("moved:1", "ls", "/var/www")
    work.rcrun("save", "-o", archive, "moved:1").check()
    work.rcrun("rmi", "-f", "moved:1").check()
    work.rcrun("load", "-i", archive).check()
    assert work.says("moved:1", "ls", "/var/www") == before == "n\n"
    assert work.rcrun("inspect", "-f", "{{.Id}}", "moved:1").out.strip() == image
