"""What docker's config.json and the variables of docker, podman and buildah say where the command line does not."""

from __future__ import annotations

import json
import shlex

import pytest

from accounts import bin_dir
from cli.screens import NO_NETWORK, PROMPT, SHELL, state_of

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


@pytest.fixture
def configured(rcrun):
    """`configured(LINE, **MEMBERS)` runs a line with such a config.json; the first word may be another name of rcrun's."""
    folder = rcrun.account.new_dir("docker")
    for name in ("docker", "podman"):
        (folder / name).symlink_to(bin_dir() / "rcrun")

    def run(line, text=None, env=None, **members):
        (folder / "config.json").write_text(json.dumps(members) if text is None else text)
        first, *words = shlex.split(line)
        program = folder / first if first != "rcrun" else bin_dir() / first
        env = {**rcrun.env, "DOCKER_CONFIG": str(folder), **(env or {})}
        return rcrun.account.run(program, *words, env=env)

    run.folder = folder
    return run


LISTS = [
    ("psFormat", "table {{.Names}}", "ps -a", "NAMES\none\n"),
    ("psFormat", "{{.Nosuch", "ps -aq --no-trunc", "ID\n"),
    ("psFormat", "{{.Names}}", "container ls -a --format {{.State}}", "created\n"),
    ("psFormat", "{{.Nosuch", "ps -a --ns", None),
    ("imagesFormat", "{{.Repository}}:{{.Tag}}", "images", "busybox:latest\n"),
    ("imagesFormat", "{{.Nosuch", "image ls --tree", None),
    ("networksFormat", "n {{.Name}}", "network ls", "n bridge\nn host\nn none\n"),
    ("volumesFormat", "v {{.Name}}", "volume ls", "v data\n"),
    ("secretFormat", "json", "secret ls --filter name=nosuch", ""),
    ("statsFormat", "table {{.PIDs}}", "stats --no-stream", "PIDS\n"),
]


def test_formats_of_lists(rcrun, configured):
    """Of docker and rcrun, where neither --format nor -q nor another view is asked for; podman knows none."""
    rcrun("volume", "create", "data").check()
    made = rcrun("create", "--name", "one", *NO_NETWORK, "busybox", "true").check().out
    for key, form, line, out in LISTS:
        done = configured(f"docker {line}", **{key: form}).check()
        assert out in (None, done.out.replace(made.strip(), "ID")), f"{key} {line}: {done.out}"
    members = {"psFormat": "{{.Nosuch", "volumesFormat": "{{"}
    assert "docker.io/library/busybox:latest" in configured("podman ps -a", **members).check().out
    elsewhere = f"rcrun --config {configured.folder}/nosuch ps -a --filter name=one"
    assert "CONTAINER ID" in configured(elsewhere, **members).check().out


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ""),
        ('{"auths": {}, "currentContext": "x"}', ""),
        ("{", "it is not valid JSON: "),
        ("[]", "it does not hold a JSON object\n"),
        ('{"psFormat": ["x"], "imagesFormat": "y"}', '"psFormat" is not a text\n'),
    ],
)
def test_a_file_that_cannot_be_used(configured, text, fault):
    """As with docker a warning, and everything goes on."""
    done = configured("rcrun ps", text).check()
    assert done.out.startswith("CONTAINER ID")
    begin = f'rcrun: warning: cannot use "{configured.folder}/config.json": {fault}'
    assert done.err.startswith(begin) if fault else done.err == ""
    assert configured("podman ps", text).check().err == ""


PROXIES = {"default": {"httpProxy": "http://p", "noProxy": "n"}, "tcp://h:1": {"ftpProxy": "f"}}
DEFAULTS = ["HTTP_PROXY=http://p", "NO_PROXY=n", "http_proxy=http://p", "no_proxy=n"]
CONTAINERS = [
    ("docker", "", {}, DEFAULTS),
    ("docker", "-e HTTP_PROXY=own -e no_proxy", {}, ["HTTP_PROXY=own", *DEFAULTS[1:3]]),
    ("rcrun", "", {"DOCKER_HOST": "tcp://h:1"}, ["FTP_PROXY=f", "HTTP_PROXY=file", "ftp_proxy=f", "no_proxy=file"]),
    ("rcrun", "--http-proxy", {"http_proxy": "host"}, ["HTTP_PROXY=file", "http_proxy=host", "no_proxy=file"]),
    ("podman", "", {}, ["HTTP_PROXY=file", "no_proxy=file"]),
]  # fmt: skip


def test_proxies_of_containers(rcrun, configured):
    """Stronger than --env-file, weaker than --env and --http-proxy; of the entry for DOCKER_HOST, else the default."""
    file = configured.folder / "env"
    file.write_text("HTTP_PROXY=file\nno_proxy=file\n")
    for name, options, env, expected in CONTAINERS:
        line = f"{name} create --env-file {file} --network none {options} busybox true"
        made = configured(line, env=env, proxies=PROXIES).check().out.strip()
        found = json.loads(rcrun("inspect", "-f", "{{json .Config.Env}}", made).check().out)
        assert sorted(word for word in found if "_proxy=" in word.lower()) == expected, line


@pytest.mark.requires("overlay")
def test_proxies_of_builds(rcrun, configured):
    """RUN has them in both spellings; what it made in an office with a proxy is taken in one without."""
    context = rcrun.account.new_dir("context")
    (context / "Containerfile").write_text("FROM busybox\nRUN env | grep -i _proxy | sort\n")
    line = f"rcrun build --progress plain {context}"
    first = configured(line, proxies=PROXIES).check().err
    assert [word for word in DEFAULTS if f" {word}\n" in first] == DEFAULTS
    again = configured(line).check().err
    assert "CACHED" in again
    assert again.splitlines()[-1] == first.splitlines()[-1]
    own = configured(f"{line} --no-cache --build-arg http_proxy=own", proxies=PROXIES).check().err
    for name in (*PROXIES, "nobody"):
        proxies = {"default": PROXIES.get(name, {})}
        (context / "Containerfile").write_text("FROM busybox\nARG FTP_PROXY\nRUN true\n")
        asked = configured(line, proxies=proxies).check().err
        assert ("CACHED" in asked) is (name == "nobody"), "an ARG makes it count"
    assert all(f" {word}\n" in own for word in ("HTTP_PROXY=own", "http_proxy=own", "NO_PROXY=n"))


def test_keys_that_detach(rcrun, configured, screen):
    config = configured.folder / "config.json"
    config.write_text('{"detachKeys": "ctrl-e,x"}')
    shown = screen("--config", configured.folder, "run", "-it", *SHELL)
    shown.expect(PROMPT)
    shown.type(b"\x05x")
    assert shown.end() == 0
    assert state_of(rcrun) == "running"
    done = configured("docker start -a web", detachKeys="ctrl-ö")
    assert done.status == 1
    assert done.err.startswith(f'docker: "{config}": invalid detach keys "ctrl-ö"\nhint: ')
    rcrun("rm", "-f", "web").check()


def test_filters_of_prunes(rcrun, configured):
    rcrun("create", "--name", "kept", "--label", "keep", *NO_NETWORK, "busybox", "true").check()
    made = rcrun("create", "--name", "other", *NO_NETWORK, "busybox", "true").check().out
    rcrun("volume", "create", "--label", "keep", "kept").check()
    rcrun("volume", "create", "other").check()
    members = {"pruneFilters": ["label!=keep"]}
    asked = configured("docker system prune", **members)
    assert "  Items to be pruned will be filtered with:\n  - label!=keep\n" in asked.err
    done = configured("docker container prune -f", **members).check()
    assert done.out.startswith(f"Deleted Containers:\n{made}\nTotal")
    done = configured("docker volume prune -af", **members).check()
    assert done.out.startswith("Deleted Volumes:\nother\n\n")
    for words in ("image prune -f", "network prune -f", "builder prune -f"):
        configured(f"docker {words}", **members).check()
    # Who asks for the opposite gets it.
    done = configured("rcrun container prune -f --filter label=keep", **members).check()
    assert "Deleted Containers:\n" in done.out


PLATFORM = {"DOCKER_DEFAULT_PLATFORM": "linux/arm64"}


def test_platform(rcrun, configured):
    """Of docker's run, create, pull, import and build; --platform wins, and podman does not know it."""
    context = rcrun.account.new_dir("context")
    (context / "Containerfile").write_text("FROM scratch\nLABEL a=b\n")
    rcrun("save", "-o", context / "saved.tar", "busybox").check()
    for line, status in (
        ("docker create --pull never --network none busybox true", 125),
        ("docker create --network none --platform linux/amd64 busybox true", 0),
        ("podman create --network none busybox true", 0),
        (f"rcrun pull oci-archive:{context}/saved.tar", 1),
        (f"rcrun pull --all-platforms oci-archive:{context}/saved.tar", 0),
        (f"docker import {context}/saved.tar made", 0),
        (f"docker build -q -t built {context}", 0),
        (f"docker build -q -t mine --platform linux/s390x {context}", 0),
    ):
        done = configured(line, env=PLATFORM)
        assert done.status == status, f"{line}: {done.err}"
        assert status == 0 or 'not for "linux/arm64"' in done.err
    found = rcrun("inspect", "-f", "{{.Architecture}}", "made", "built", "mine").check().out
    assert found == "arm64\narm64\ns390x\n"


def test_variables_of_podman_and_buildah(rcrun, configured):
    env = {"PODMAN_USERNS": "keep-id"}
    quiet = "--network none busybox true"
    for line, expected in (
        (f"podman create {quiet}", "keep-id"),
        (f"rcrun create {quiet}", "keep-id"),
        (f"podman create --userns host {quiet}", "host"),
        (f"podman create --uidmap 0:0:5 {quiet}", ""),
        (f"docker create {quiet}", ""),
    ):
        made = configured(line, env=env).check().out.strip()
        got = rcrun("inspect", "-f", "{{.HostConfig.UsernsMode}}", made).check().out.strip()
        assert got == expected, line
    configured("podman pod create --name inside --network none", env=env).check()
    made = configured("podman create --pod inside busybox true", env=env).check().out.strip()
    got = rcrun("inspect", "-f", "{{.HostConfig.UsernsMode}}", made).check().out
    assert got.startswith("container:")
    configured("podman pod rm -f inside").check()
    context = rcrun.account.new_dir("context")
    (context / "Containerfile").write_text("FROM busybox\nCOPY Containerfile /a\nCOPY . /b\n")
    for line, count in (("podman build", 2), ("podman build --layers", 3), ("docker build", 3)):
        configured(f"{line} -q -t made {context}", env={"BUILDAH_LAYERS": "False"}).check()
        got = rcrun("inspect", "-f", "{{len .RootFS.Layers}}", "made").check().out
        assert got == f"{count}\n", line
    env = {"BUILDAH_ISOLATION": "hyperv", "DOCKER_BUILDKIT": "maybe", "DOCKER_API_VERSION": "1.40"}
    assert configured(f"docker build -q {context}", env=env).check().err == ""
    done = configured(f"podman build -q {context}", env=env)
    assert done.err.startswith('Error: invalid BUILDAH_ISOLATION "hyperv"\n')


def test_contexts(configured):
    assert configured("docker --context default --tlsverify ps").check().err == ""
    done = configured("docker --context far ps")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith('docker: cannot use the context "far": rcrun has no daemon')
