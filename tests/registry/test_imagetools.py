"""buildx's imagetools, and pushes by digest: what the workflows of several builders do, one for each platform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.test_indexes import DIGEST, IMAGES, WHOLE, has_all, serve
from tiny_image import INDEX, MANIFEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_registry import TinyRegistry

    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
TOOLS = ("buildx", "imagetools")


@pytest.fixture
def rcrun(fresh_rcrun: Callable[..., Rcrun]) -> Rcrun:
    """With an empty store."""
    return fresh_rcrun()


def platforms(data: bytes) -> list[str]:
    return [member["platform"]["architecture"] for member in json.loads(data)["manifests"]]


def test_what_a_registry_has(rcrun: Rcrun, registry: TinyRegistry) -> None:
    name = serve(registry, "1")
    image = IMAGES["amd64"]

    def said(*words: str) -> str:
        return rcrun(*TOOLS, "inspect", *words).check().out

    lines = said(name).splitlines()
    assert lines[:3] == [f"Name:      {name}", f"MediaType: {INDEX}", f"Digest:    {DIGEST}"]
    assert lines[5:8] == [
        f"  Name:        {name}@{image.digest}", f"  MediaType:   {MANIFEST}", "  Platform:    linux/amd64",
    ]  # fmt: skip
    assert said("--raw", name).encode() == WHOLE
    assert said("--format", "{{.Manifest.Digest}} {{.Name}}", name) == f"{DIGEST} {name}\n"
    of_each = "{{range $k, $v := .Image}}{{$k}}={{$v.Architecture}} {{end}}"
    assert said("--format", of_each, name).split() == [
        "linux/amd64=amd64", "linux/arm64/v8=arm64", "linux/s390x=s390x",
    ]  # fmt: skip
    one = f"{registry.address}/some/thing@{image.digest}"
    assert json.loads(said("--format", "{{json .}}", one))["image"] == json.loads(image.config)
    absent = rcrun(*TOOLS, "inspect", f"{registry.address}/some/thing:2")
    assert (absent.status, "not found in registry" in absent.err) == (1, True)
    assert rcrun("images", "-q").check().out == ""


def test_new_names(rcrun: Rcrun, registry: TinyRegistry, elsewhere: TinyRegistry) -> None:
    name = serve(registry, "1")
    folder = rcrun.account.new_dir("facts")

    def create(*words: str) -> str:
        return rcrun(*TOOLS, "create", *words).check().out

    # One index is what it is, under each name, there and in another registry.
    create("-t", f"{elsewhere.address}/a/b:1", "-t", f"{registry.address}/c:1", name)
    assert has_all(elsewhere, "1")
    # Of images an index is made; a digest alone is one of the repository that gets the name.
    digests = [IMAGES[key].digest for key in ("amd64", "s390x")]
    tag = f"{registry.address}/some/thing:both"
    facts = folder / "facts.json"
    words = ("--annotation", "index:k=v", "--metadata-file", str(facts), "-t", tag)
    dry = create("--dry-run", *words, *digests)
    assert "both" not in registry.manifests
    create(*words, *digests)
    made = registry.manifests["both"][1]
    assert dry.rstrip("\n").encode() == made
    assert (platforms(made), json.loads(made)["annotations"]) == (["amd64", "s390x"], {"k": "v"})
    told = json.loads(rcrun.account.run("cat", facts).check().out)
    assert told["containerimage.descriptor"]["digest"] == digest_of(made)
    create("--append", "-t", tag, IMAGES["arm64_v8"].digest)
    assert platforms(registry.manifests["both"][1]) == ["amd64", "s390x", "arm64"]
    create("-t", tag, "--platform", "linux/s390x", name)
    assert platforms(registry.manifests["both"][1]) == ["s390x"]
    create("-t", tag, "--prefer-index=false", digests[0])
    assert registry.manifests["both"][1] == IMAGES["amd64"].manifest
    assert rcrun("images", "-q").check().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-t", "x"], "no image is named"),
        (["x"], "there is no name to push it under"),
        (["-t", "a/b", "-t", "c/d", f"sha256:{'0' * 64}"], "in which repository is"),
        (["-t", f"a@sha256:{'0' * 64}", "x"], "a new name has a tag"),
        (["-t", "a", "--annotation", "manifest:k=v", "x"], 'it is one of manifest'),
    ],
)  # fmt: skip
def test_what_cannot_be(rcrun: Rcrun, words: list[str], said: str) -> None:
    done = rcrun(*TOOLS, "create", *words)
    assert (done.status, said in done.err) == (1, True), done


def test_a_build_is_pushed_by_its_digest(rcrun: Rcrun, registry: TinyRegistry) -> None:
    folder = rcrun.account.new_dir("context")
    rcrun.account.run("sh", "-c", f"echo FROM scratch >{folder}/Containerfile").check()
    facts, name = folder / "facts.json", f"{registry.address}/me/app"
    to = f"type=image,name={name},push-by-digest=true,name-canonical=true,push=true"
    rcrun("build", "-q", "--output", to, "--metadata-file", facts, folder).check()
    digest = json.loads(rcrun.account.run("cat", facts).check().out)["containerimage.digest"]
    assert set(registry.manifests) == {digest}
    tagged = to.replace("app,", "app:1,")
    done = rcrun("build", "-q", "--output", tagged, folder)
    assert (done.status, "by its digest: it has a tag" in done.err) == (1, True), done
    rcrun("image", "prune", "-af").check()
