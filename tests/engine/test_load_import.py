"""load and import as they are typed."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tiny_image import docker_archive, layer_of, oci_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def listed(rcrun: Rcrun) -> list[str]:
    return sorted(rcrun("images", "--format", "{{.Repository}}:{{.Tag}}").check().out.split())


def written(rcrun: Rcrun, name: str, data: bytes) -> Path:
    path = rcrun.account.new_dir("archives") / name
    path.write_bytes(data)
    path.chmod(0o644)
    return path


def test_load_of_a_docker_archive(rcrun: Rcrun) -> None:
    image = tiny_image()
    archive = docker_archive(image, "some/thing:1", "example.org/thing:2")
    done = rcrun("load", input=archive).check()
    assert done.out.splitlines() == [
        "Loaded image: some/thing:1",
        "Loaded image: example.org/thing:2",
    ]
    assert listed(rcrun) == ["example.org/thing:2", "some/thing:1"]
    told = json.loads(rcrun("image", "inspect", "some/thing:1").check().out)[0]
    assert told["Id"] == image.config_digest
    assert told["RepoTags"] == ["some/thing:1", "example.org/thing:2"]
    assert told["Config"]["Cmd"] == ["/hello"]
    upper = told["GraphDriver"]["Data"]["UpperDir"]
    assert rcrun.account.run("cat", f"{upper}/hello").out == "hello\n"


@pytest.mark.parametrize("packed", [False, True])
def test_load_of_an_oci_archive(rcrun: Rcrun, packed: bool) -> None:
    image = tiny_image()
    data = oci_archive(image, ref_name="1", full_name="docker.io/some/thing:1")
    path = written(rcrun, "archive", gzip.compress(data) if packed else data)
    assert rcrun("load", "-i", path).check().out == "Loaded image: some/thing:1\n"
    told = json.loads(rcrun("inspect", "some/thing:1").check().out)[0]
    assert told["Digest"] == image.digest


def test_load_of_an_image_without_a_name(rcrun: Rcrun) -> None:
    image = tiny_image()
    done = rcrun("load", input=docker_archive(image)).check()
    assert done.out == f"Loaded image ID: {image.config_digest}\n"
    assert listed(rcrun) == ["<none>:<none>"]


def test_load_of_what_is_no_archive(rcrun: Rcrun) -> None:
    for data, words in (
        (b"", "not an image archive"),
        (b"text" * 1000, "tar"),
        (layer_of({"etc/passwd": b""}), "rcrun import FILE NAME"),
        (docker_archive(tiny_image(), "x")[:3000], ""),
    ):
        done = rcrun("load", input=data)
        assert done.status == 1, done
        assert words in done.err, done
        assert "bug" not in done.err, done
    assert listed(rcrun) == []
    missing = rcrun("load", "-i", "/nonexistent")
    assert missing.err == 'rcrun: error: cannot read "/nonexistent": no such file or directory\n'


def test_import(rcrun: Rcrun) -> None:
    root = layer_of({"bin/tool": b"tool"})
    words = ["--change", 'CMD ["/bin/tool"]', "-c", "ENV A=b", "-m", "by hand"]
    done = rcrun("import", *words, "-", "mine:1", input=root).check()
    told = json.loads(rcrun("inspect", "mine:1").check().out)[0]
    assert done.out == told["Id"] + "\n"
    assert told["Config"]["Cmd"] == ["/bin/tool"]
    assert told["Config"]["Env"] == ["A=b"]
    assert told["Comment"] == "by hand"
    assert (
        rcrun.account.run("cat", told["GraphDriver"]["Data"]["UpperDir"] + "/bin/tool").out
        == "tool"
    )


def test_import_without_a_name(rcrun: Rcrun) -> None:
    path = written(rcrun, "root.tar.gz", gzip.compress(layer_of({"x": b""})))
    identity = rcrun("import", path).check().out.strip()
    assert rcrun("images", "-q", "--no-trunc").out.strip() == identity


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--change", "RUN x", "-", "a"), "cannot change an image by"),
        (("-", "UPPER"), "must be lower case"),
        (("-", f"a@sha256:{'0' * 64}"), "a digest is computed"),
        (("/nonexistent",), 'cannot read "/nonexistent"'),
        (("http://127.0.0.1:1/x",), "connection refused"),
        (("https://me:secret@127.0.0.1:1/x",), "must not hold a user name"),
    ],
)
def test_import_of_what_cannot_be(rcrun: Rcrun, words: tuple[str, ...], said: str) -> None:
    done = rcrun("import", *words, input=layer_of({"x": b""}))
    assert done.status == 1
    assert said in done.err
    assert "secret" not in done.err
    assert listed(rcrun) == []
