"""`buildx bake` as a user types it, and as docker/bake-action does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from network.servers import free_port, is_refused
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accounts import Result
    from conftest import Rcrun

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

DEFINITION = """
variable "WHO" { default = "nobody" }
group "default" { targets = ["app", "files"] }
target "base" {
  dockerfile-inline = <<-EOF
    FROM scratch
    ARG MADE=by-itself
    COPY hello /base
    LABEL made=$${MADE}
  EOF
  args = { MADE = null }
}
target "app" {
  dockerfile = "app.Dockerfile"
  contexts = { base = "target:base" }
  args = { WHO = WHO }
  labels = { "a" = "${WHO}!" }
  tags = ["baked:${lower(WHO)}"]
}
target "files" {
  context = "sub"
  output = ["type=local,dest=out"]
}
target "on-files" {
  dockerfile-inline = "FROM scratch\\nCOPY --from=given f /g\\n"
  contexts = { given = "target:files" }
  output = ["type=local,dest=on"]
}
target "broken" {
  dockerfile-inline = "FROM scratch\\nCOPY nothing /\\n"
}
target "open" {
  network = "host"
  context = "sub"
}
"""


class Project:
    """A directory with a definition, and what is said in it."""

    def __init__(self, rcrun: Rcrun) -> None:
        self.rcrun = rcrun
        self.folder: Path = rcrun.account.new_dir("project")
        self.file("docker-bake.hcl", DEFINITION)
        self.file("app.Dockerfile", "FROM base\nARG WHO\nLABEL who=$WHO\nCOPY hello /app\n")
        self.file("sub/Containerfile", "FROM scratch\nCOPY f /\n")
        self.file("sub/f", "f")
        self.file("hello", "hello")

    def file(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o777)
        path.write_text(text)

    def __call__(self, *words: str, **options: Any) -> Result:
        return self.rcrun("buildx", "bake", *words, cwd=self.folder, **options)

    def images(self) -> list[str]:
        form = "{{.Repository}}:{{.Tag}}"
        return sorted(self.rcrun("images", "-a", "--format", form).check().out.split())

    def labels(self, name: str) -> Any:
        form = "{{json .Config.Labels}}"
        return json.loads(self.rcrun("inspect", "--format", form, name).check().out)


@pytest.fixture
def project(fresh_rcrun: Callable[..., Rcrun]) -> Project:
    return Project(fresh_rcrun())


def test_targets_stand_on_each_other(project: Project) -> None:
    done = project("--metadata-file", "facts.json", env={"WHO": "Me"}).check()
    begun = [line for line in done.err.splitlines() if line.startswith("==> ")]
    assert begun == ["==> base", "==> app", "==> files"]
    assert project.images() == ["baked:me"]
    assert project.labels("baked:me") == {"made": "by-itself", "who": "Me", "a": "Me!"}
    assert (project.folder / "out/f").read_text() == "f"
    facts = json.loads((project.folder / "facts.json").read_text())
    assert set(facts) == {"base", "app", "files"}
    assert facts["app"]["image.name"] == "docker.io/library/baked:me"
    again = project("--progress", "quiet", "on-files", "files", "--set", "*.output=out2").check()
    assert "==>" not in again.err
    assert (project.folder / "out2/g").read_text() == "f"
    assert project.images() == ["baked:me"]
    project("base").check()  # asked for, and nobody gave it a name
    assert project.images() == ["<none>:<none>", "baked:me"]


def test_the_first_failure_ends_it(project: Project) -> None:
    done = project("broken", "files")
    assert done.status == 1
    assert done.err.endswith('rcrun: error: target "broken" was not built\n')
    assert not (project.folder / "out").exists()
    open_ = project("open")
    assert (open_.status, open_.err) == (
        1,
        'rcrun: error: target "open" asks for network.host\nhint: grant it: --allow network.host\n',
    )
    project("open", "--allow", "network.host", "--allow", "fs=*").check()
    refused = project("files", "--set", "files.attest=type=sbom")
    assert refused.err.startswith(
        'rcrun: error: target "files": rcrun makes no attestations\nhint: '
    )
    off = ("--set", "files.attest=type=sbom", "--sbom=false", "--provenance=false")
    assert "Check complete" in project("files", *off, "--check").check().err
    assert not (project.folder / "out").exists()


def test_an_end_from_outside(rcrun: Rcrun) -> None:
    """The build tidies up before bake ends: nothing of it runs on."""
    folder = rcrun.account.new_dir("slow")
    inline = "FROM busybox\\nRUN sleep 1000\\n"
    text = f'target "default" {{\n  network = "none"\n  dockerfile-inline = "{inline}"\n}}\n'
    (folder / "docker-bake.hcl").write_text(text)
    told = folder / "told"
    with told.open("w") as stderr:
        process = rcrun.popen("bake", cwd=folder, stderr=stderr)
    wait_for(lambda: "RUN sleep" in told.read_text())
    process.terminate()
    assert process.wait(120) == 143
    assert told.read_text().endswith('target "default" was not built\n')
    wait_for(lambda: not [line for line in rcrun.account.processes() if "sleep 1000" in line])


def test_what_is_shown(project: Project) -> None:
    printed = json.loads(
        project("--print", "app", "--push", "--no-cache", "--var=WHO=v").check().out
    )
    assert printed["group"] == {"default": {"targets": ["app"]}}
    assert printed["target"]["app"]["args"] == {"WHO": "v"}
    assert printed["target"]["app"]["output"] == [{"push": "true", "type": "image"}]
    assert printed["target"]["app"]["no-cache"] is True
    shown = project("--list", "targets").check().out.splitlines()
    assert shown[:3] == ["TARGET\t\tDESCRIPTION", "app", "base"]
    rows = json.loads(project("--list=variables,format=json", env={"WHO": "x"}).check().out)
    assert rows == [{"name": "WHO", "value": "x"}]
    # Other files: standard input, a variable of the environment, compose.
    stdin = project(
        "-f", "-", "--print", input='{"target": {"default": {"tags": ["t${1 + 1}"]}}}'
    ).check()
    assert json.loads(stdin.out)["target"]["default"]["tags"] == ["t2"]
    project.file("one.hcl", 'target "other" {\n  contxt = "x"\n}\n')
    env = {"BUILDX_BAKE_FILE": "one.hcl;docker-bake.hcl", "BUILDX_BAKE_PATH_SEPARATOR": ";"}
    warned = project("--print", "app", "other", env=env).check()
    assert 'one.hcl:2: a target has no "contxt"' in warned.err
    project.file(".env", "TAG=from-file\n")
    project.file("compose.yaml", "services:\n  web:\n    build: sub\n    image: web:$TAG\n")
    both = json.loads(project("--print", "web", "files").check().out)["target"]
    assert both["web"] == {"context": "sub", "dockerfile": "Dockerfile", "tags": ["web:from-file"]}
    wrong = project("--print", "nope")
    assert (wrong.status, wrong.err.splitlines()[0]) == (
        1,
        'rcrun: error: there is no target "nope"',
    )
    empty = project.rcrun("buildx", "bake", cwd=project.folder / "sub")
    assert empty.err.startswith("rcrun: error: there is no definition here\nhint: ")


def test_a_definition_elsewhere(project: Project) -> None:
    """As docker/bake-action has it: everything is of a repository, and what is written comes here."""
    run = project.rcrun.account.run
    here = project.rcrun.account.new_dir("here")
    files = {
        "docker-bake.hcl": 'target "default" {\n  context = "sub"\n  output = ["out"]\n  args = { C = BAKE_CMD_CONTEXT }\n}\n'
        'target "far" {\n  inherits = ["default"]\n  output = ["/elsewhere"]\n}\n'
        'target "up" { context = "../.." }\n',
        "sub/Containerfile": "FROM scratch\nCOPY f /\n",
        "sub/f": "there",
    }
    source = project.rcrun.account.new_dir("source")
    (source / "sub").mkdir()
    for name, text in files.items():
        (source / name).write_text(text)
    git = ("git", "-C", source, "-c", "user.name=n", "-c", "user.email=e@x")
    run("git", "init", "-q", source).check()
    run(*git, "add", ".").check()
    run(*git, "commit", "-qm", "one").check()
    port = free_port()
    words = (
        "--export-all",
        f"--base-path={source.parent}",
        "--listen=127.0.0.1",
        f"--port={port}",
    )
    daemon = project.rcrun.account.popen("git", "daemon", *words, stderr=-3)
    url = f"git://127.0.0.1:{port}/{source.name}"

    def bake(*options: str, **others: Any) -> Result:
        return project.rcrun("buildx", "bake", url, *options, cwd=here, **others)

    try:
        wait_for(lambda: not is_refused("127.0.0.1", port))
        printed = json.loads(bake("--print").check().out)["target"]["default"]
        assert (printed["context"], printed["args"]) == (f"{url}#:sub", {"C": "cwd://"})
        bake().check()
        assert (here / "out/f").read_text() == "there"
        assert 'wants to write "/elsewhere"' in bake("far").err
        assert '"../.." leads out of' in bake("up").err
        local = bake("--set", "*.context=cwd://", "--set", "*.output=out2")
        assert local.status == 1  # there is no Containerfile here
        text = 'target "default" { args = { MINE = 1 } }\n'
        (here / "mine.hcl").write_text(text)
        both = bake("-f", "docker-bake.hcl", "-f", "cwd://mine.hcl", "--print").check()
        assert json.loads(both.out)["target"]["default"]["args"] == {"C": "cwd://", "MINE": "1"}
    finally:
        daemon.terminate()
        daemon.wait(60)
