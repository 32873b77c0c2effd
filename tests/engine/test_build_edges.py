"""build: what fails, what is hostile, what is interrupted, and what is kept."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import signal
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.builds import QUIET, Work, cached, forget_images
from network.servers import free_port, is_refused
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Rcrun

pytestmark = pytest.mark.requires("userns", "overlay")


@pytest.fixture
def work(rcrun: Rcrun) -> Iterator[Work]:
    yield Work(rcrun)
    forget_images(rcrun)


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
    assert "\nthe reason\n------\nContainerfile:2\n" in done.err
    assert "\n   2 | >>> RUN echo the reason; false\n" in done.err


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
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_leaves_nothing(work: Work, number: int, status: int) -> None:
    work.file("Containerfile", "FROM busybox\nRUN echo begun; sleep 1234\n")
    process = work.rcrun.popen("build", *QUIET, work.folder, stderr=-1)
    for line in process.stderr:
        if line.endswith(b"begun\n"):
            break
    process.send_signal(number)
    process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == status
    wait_for(lambda: not any("sleep 1234" in line for line in work.rcrun.account.processes()))
    assert work.rcrun("ps", "-aq").check().out == ""


def test_stages_side_by_side(work: Work) -> None:
    """Each waits for the other one's sign in a cache that both have."""
    wait = "for i in $(seq 1000); do test -e /c/{} && exit 0; sleep 0.1; done; exit 9"
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
    form = ("--format", "{{.Type}} {{.TotalCount}}")
    assert "Build Cache 0\n" not in work.rcrun("system", "df", *form).check().out
    assert "CACHE ID" in work.rcrun("system", "df", "-v").check().out
    assert cached(work(text).check()) == 1
    work.rcrun("image", "prune", "-f").check()
    pruned = work.rcrun("builder", "prune", "-f", "-a").check()
    assert pruned.out.splitlines()[-1].startswith("Total:")
    assert cached(work(text).check()) == 0


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


@pytest.mark.parametrize("account", ["single"], indirect=True)
def test_with_one_id(work: Work) -> None:
    work.file("f", "f\n")
    image = work.image(
        "FROM busybox\nCOPY --chown=5:6 f /d/\nRUN cat /d/f >/out; mkdir /more\nWORKDIR /w\n"
    )
    assert work.says(image, "cat", "/out") == "f\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_contexts_from_standard_input(work: Work) -> None:
    text = "FROM busybox\nRUN echo in >/in\n"
    alone = work.rcrun("build", "-q", *QUIET, "-", input=text).check().out.strip()
    assert work.says(alone, "cat", "/in") == "in\n"
    work.file("f", "f\n")
    work.file("sub/Dockerfile", "FROM busybox\nCOPY f /f\n")
    archive = work.rcrun.account.new_dir("tar") / "c.tgz"
    work.rcrun.account.run("tar", "-C", work.folder, "-czf", archive, ".").check()
    words = ("build", "-q", *QUIET, "-f", "sub/Dockerfile", "-")
    packed = work.rcrun(*words, input=archive.read_bytes()).check().out.strip()
    assert work.says(packed, "cat", "/f") == "f\n"
    piped = work.rcrun(
        "build", "-q", *QUIET, "-f", "-", work.folder, input="FROM busybox\nCOPY f /g\n"
    )
    assert work.says(piped.check().out.strip(), "cat", "/g") == "f\n"


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(work: Work) -> Iterator[str]:
    """The context, served."""
    handler = functools.partial(Files, directory=str(work.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_addresses(work: Work, server: str) -> None:
    work.file("f.txt", "fetched\n")
    digest = "sha256:" + hashlib.sha256(b"fetched\n").hexdigest()
    text = f"FROM busybox\nADD --checksum={digest} {server}/f.txt /d/\nADD {server}/f.txt /named\n"
    image = work.image(text)
    assert work.says(image, "cat", "/d/f.txt", "/named") == "fetched\nfetched\n"
    assert work.says(image, "stat", "-c", "%a", "/named") == "600\n"
    wrong = work(text.replace(digest, "sha256:" + "0" * 64))
    assert wrong.status == 1
    assert f'its digest is "{digest}"' in wrong.err
    work.file("remote", "FROM busybox\nRUN echo remote >/r\n")
    built = work.rcrun("build", "-q", *QUIET, f"{server}/remote").check().out.strip()
    assert work.says(built, "cat", "/r") == "remote\n"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_repositories(work: Work) -> None:
    source = work.folder / "source"
    run = work.rcrun.account.run
    text = "FROM busybox\\nCOPY . /c/\\n"
    run("sh", "-ec", f"mkdir -p {source}/sub; printf '{text}' >{source}/sub/Containerfile").check()
    run("git", "init", "-q", "-b", "main", source).check()
    identity = ("-c", "user.name=n", "-c", "user.email=e@x")
    run("git", "-C", source, "add", ".").check()
    run("git", "-C", source, *identity, "commit", "-qm", "one").check()
    port = free_port()
    words = [
        "git",
        "daemon",
        "--export-all",
        f"--base-path={work.folder}",
        "--listen=127.0.0.1",
        f"--port={port}",
    ]
    daemon = work.rcrun.account.popen(*words, stderr=-3)
    try:
        wait_for(lambda: not is_refused("127.0.0.1", port))
        url = f"git://127.0.0.1:{port}/source"
        build = ("build", "-q", *QUIET)
        image = work.rcrun(*build, f"{url}#main:sub").check().out.strip()
        assert work.says(image, "ls", "/c") == "Containerfile\n"
        refused = work.rcrun(*build, f"{url}#nope")
        assert refused.status == 1
        assert refused.err.startswith("rcrun: error: git: ")
        added = work.image(f"FROM busybox\nADD {url} /s\n")
        assert work.says(added, "ls", "-A", "/s") == "sub\n"
    finally:
        daemon.terminate()
        daemon.wait(60)


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_build_is_an_event(work: Work) -> None:
    image = work.image("FROM busybox\nLABEL a=b\n", "-t", "told:1")
    words = ("events", "--since", "1", "--until", "0s", "--filter", "event=build")
    told = work.rcrun(*words, "--format", "{{.Actor.ID}} {{.Actor.Attributes.name}}").check().out
    assert f"{image} told:1\n" in told


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_patterns_and_owners_as_buildkit_has_them(work: Work) -> None:
    """The last of several files has the name; a pattern may fit nothing beside what is there; WORKDIR is the USER's."""
    for number in "12":
        work.file(f"g/f{number}", f"{number}\n")
    image = work.image(
        "FROM busybox\nCOPY g/f* /one\nCOPY nomatch* g/f1 /many/\nUSER nobody\nWORKDIR /wd\nUSER stranger\nWORKDIR /other\n"
        "COPY g/f1 .\nUSER 0\nENV\tWITH\ta tab\nRUN echo $HOSTNAME $(hostname) >/host\n"
    )
    script = "cat /one /many/* /other/f1; stat -c %U /wd /other; echo $WITH; cat /host"
    assert work.says(image, "sh", "-c", script) == "2\n1\n1\nnobody\nroot\na tab\nbuild build\n"
    assert "nothing fits the pattern" in work("FROM busybox\nCOPY nomatch* /x/\n").err
    assert work.config(work.image("FROM scratch\nCOPY g /\n"))["WorkingDir"] == "/"


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_pivot_and_an_archive_with_links(work: Work) -> None:
    """Of --parents what stands before `/./` is left out; what an archive has behind its own links goes where they lead."""
    work.file("x/y/a", "a\n")
    work.file("x/top", "top\n")
    with tarfile.open(work.folder / "root.tar", "w") as tar:
        for name, kind, target in (
            ("usr/lib", tarfile.DIRTYPE, ""),
            ("lib", tarfile.SYMTYPE, "usr/lib"),
            ("out", tarfile.SYMTYPE, "../o"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, target, 0o755
            tar.addfile(entry)
        for name in ("lib/f", "out/f", "folder"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"f\n"))
    image = work.image(
        "FROM busybox\nRUN mkdir -p /o /r/folder/full /r/o\nCOPY --parents x/./y/* /1/\nCOPY --parents ./x/./ /2/\nCOPY --parents x/top /3/\nADD root.tar /r/\n"
        "COPY --parents --chmod=u=rwX,go=X **/a /4/\nRUN test $(stat -c %a /4/x/y/a /4/x | tr '\\n' -) = 600-711-\n"
    )
    found = work.says(image, "find", "/1", "/2", "/3", "/4", "/r", "/o", "-type", "f").split()
    assert sorted(found) == [
        "/1/y/a",
        "/2/top",
        "/2/y/a",
        "/3/x/top",
        "/4/x/y/a",
        "/r/folder",
        "/r/o/f",
        "/r/usr/lib/f",
    ]
