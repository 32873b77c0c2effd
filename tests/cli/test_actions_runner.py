"""The calls that the runner of GitHub Actions makes of `docker`, in its order."""

from __future__ import annotations

import os
import time

import pytest

from accounts import bin_dir
from registry.tiny_registry import TinyRegistry
from tiny_image import tiny_image

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

LABEL = "6a1b2c"
SOCKET = '"/var/run/docker.sock":"/var/run/docker.sock"'


class Runner:
    """Types what the runner types, with its quotes, in a shell that finds `docker` on its PATH."""

    def __init__(self, rcrun):
        self.account = rcrun.account
        folder = self.account.new_dir("bin")
        (folder / "docker").symlink_to(bin_dir() / "rcrun")
        self.work = self.account.new_dir("work")
        self.env = {
            **rcrun.env,
            "PATH": f"{folder}:{self.account.environ['PATH']}",
            "W": str(self.work),
        }
        self("mkdir -p $W/repo/repo $W/_actions $W/_temp/_github_home $W/_temp/_github_workflow")

    def __call__(self, line, status=0, **env):
        got = self.account.run("bash", "-c", line, env={**self.env, **env})
        assert got.status == status, repr(got)
        return got.out


@pytest.fixture
def runner(rcrun):
    return Runner(rcrun)


@pytest.fixture
def job(runner):
    """The job's container."""
    return runner(
        f"docker create --name 0a_busybox_b1 --label {LABEL} --workdir /__w/repo/repo "
        f'-e "HOME=/github/home" -e GITHUB_ACTIONS=true -e CI=true -v {SOCKET} '
        '-v "$W":"/__w" -v "$W/_actions":"/__w/_actions":ro -v "$W/_temp":"/__w/_temp" '
        '-v "$W/_temp/_github_home":"/github/home" -v "$W/_temp/_github_workflow":"/github/workflow" '
        '--entrypoint "tail" busybox "-f" "/dev/null"'
    ).splitlines()[0]


def test_versions(runner):
    for side in ("Server", "Client"):
        version = runner(f"docker version --format '{{{{.{side}.APIVersion}}}}'")
        major, minor = version.strip().split(".")
        assert (int(major), int(minor)) >= (1, 35)


def test_containers_of_an_earlier_job(runner, job):
    found = f'docker ps --all --quiet --no-trunc --filter "label={LABEL}"'
    assert runner(found) == f"{job}\n"
    assert runner(f"docker rm --force {job}") == f"{job}\n"
    assert runner(found) == ""


def test_a_job_in_a_container(runner, job):
    assert runner(f"docker start {job}") == f"{job}\n"
    form = '"{{.ID}} {{.Status}}"'
    status = runner(
        f"docker ps --all --filter id={job} --filter status=running --no-trunc --format {form}"
    )
    assert status.startswith(f"{job} Up ")
    assert runner(f"docker port {job}") == ""
    form = '"{{range .Config.Env}}{{println .}}{{end}}"'
    assert "PATH=/bin" in runner(f"docker inspect --format {form} {job}").splitlines()
    form = '"{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}"'
    assert runner(f"docker inspect --format={form} {job}") == "\n"
    assert "ID=busybox" in runner(f"docker exec {job} sh -c 'cat /etc/*release | grep ^ID'")
    runner("printf 'echo \"$GREETING\" from $0 in $(pwd) > made; exit 3' > $W/_temp/step.sh")
    step = f'docker exec -i --workdir /__w/repo/repo -e GREETING -e PATH="/bin:/x" {job} sh -e /__w/_temp/step.sh'
    runner(step, 3, GREETING="two words")
    made = runner.work / "repo/repo/made"
    assert made.read_text() == "two words from /__w/_temp/step.sh in /__w/repo/repo\n"
    assert made.stat().st_uid == runner.account.uid
    assert runner(f"docker logs --details {job}") == ""
    runner(f"docker exec {job} touch /__w/_actions/no", 1)
    assert runner(f"docker rm --force {job}") == f"{job}\n"


def test_a_container_action(runner):
    line = (
        f"docker run --name act_b2 --label {LABEL} --workdir /github/workspace --rm "
        f'-e "INPUT_WHO" -e "GITHUB_WORKSPACE=/github/workspace" -v {SOCKET} '
        '-v "$W/_temp/_github_home":"/github/home" -v "$W/repo/repo":"/github/workspace" '
        "busybox sh -c 'echo \"hello $INPUT_WHO\" && mkdir -p dist && echo built > dist/file' "
    )
    assert runner(line, INPUT_WHO="you all") == "hello you all\n"
    built = runner.work / "repo/repo/dist/file"
    assert (built.read_text(), built.stat().st_uid) == ("built\n", runner.account.uid)
    assert os.stat(built.parent).st_uid == runner.account.uid
    runner("echo more >> $W/repo/repo/dist/file && rm -r $W/repo/repo/dist")
    assert runner(line.replace("echo", "exit 7; echo", 1), 7) == ""
    assert runner("docker ps -aq") == ""


@pytest.mark.requires("network")
def test_a_service_with_a_port(runner):
    runner(
        f"docker create --name svc_b3 --label {LABEL} -p 80 -e KEY=v busybox httpd -f -p 80 -h /var/www"
    )
    runner("docker start svc_b3")
    port, _, place = runner("docker port svc_b3").splitlines()[0].partition(" -> ")
    assert port == "80/tcp"
    number = place.rpartition(":")[2]
    get = (
        f"exec 3<>/dev/tcp/127.0.0.1/{number} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    )
    assert "It works." in runner(
        f"for n in $(seq 200); do {get} | grep . && break; sleep 0.2; done"
    )


# ---- what needs a registry, here one that asks for a password; `--config` stands before the verb


@pytest.fixture
def private_registry():
    with TinyRegistry() as server:
        server.auth = "basic"
        server.anonymous = False
        server.users["octo"] = "s3cret"
        server.put(tiny_image(), "v1")
        yield server


def test_login_and_pull_with_a_configuration_of_its_own(runner, private_registry):
    image = f"{private_registry.address}/team/tool:v1"
    folder = "$W/_temp/.docker_6a1b"
    runner(f"mkdir -p {folder}")
    runner(f"docker pull {image}", 1)
    login = f"docker --config {folder} login {private_registry.address} -u octo --password-stdin"
    assert runner(f"echo s3cret | {login}") == "Login Succeeded\n"
    runner(f"echo wrong | {login}", 1)
    kept = runner.work / "_temp/.docker_6a1b/config.json"
    assert private_registry.address in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    assert runner(f"docker --config {folder} pull {image}").splitlines()[-1] == image
    runner(f"docker pull {image}", 1)  # the account itself has not logged in
    made = runner(f"docker create --name pulled --network none {image} true")
    assert len(made.splitlines()[0]) == 64
    assert runner("docker inspect --format '{{.Config.Image}}' pulled") == f"{image}\n"
    assert runner(f"docker --config {folder} logout {private_registry.address}").startswith(
        "Removing login"
    )
    runner(f"docker --config {folder} pull {image}", 1)
    runner("docker rm -f pulled")
    runner(f"docker rmi {image}")


def test_the_file_of_environment_variables_and_outputs(runner, job):
    """Steps write to files that the runner names in the environment."""
    runner(f"docker start {job}")
    runner(
        "touch $W/_temp/output && printf 'echo \"name=value\" >> $GITHUB_OUTPUT' > $W/_temp/step.sh"
    )
    step = (
        f"docker exec -i --workdir /__w/repo/repo -e GITHUB_OUTPUT {job} sh -e /__w/_temp/step.sh"
    )
    runner(step, GITHUB_OUTPUT="/__w/_temp/output")
    assert (runner.work / "_temp/output").read_text() == "name=value\n"
    runner(f"docker rm --force {job}")


def test_the_clean_up_of_steps_with_docker(runner):
    """What users' own steps end with."""
    runner("docker run -d --name left --network none busybox sleep 100")
    runner("docker ps -q | xargs -r docker stop -t 0")
    assert runner("docker ps -aq | xargs -r docker rm -f | wc -l").strip() == "1"
    runner("docker rm -f $(docker ps -aq) 2>/dev/null || true")
    assert "Total reclaimed space" in runner("docker container prune --force")


@pytest.mark.requires("network")
def test_the_network_of_a_job(runner):
    stale = f'docker network prune --force --filter "label={LABEL}"'
    name = "github_network_0a1b2c"
    assert len(runner(f"docker network create --label {LABEL} {name}")) == 65
    service = (
        f"docker create --name svc --label {LABEL} --network {name} --network-alias redis busybox"
    )
    runner(f"{service} httpd -f -p 80 -h /var/www")
    runner(
        f"docker create --name job --label {LABEL} --network {name} --entrypoint tail busybox -f /dev/null"
    )
    for container in ("svc", "job"):
        assert runner(f"docker start {container}") == f"{container}\n"
    form = "'{{range .NetworkSettings.Networks}}{{.IPAddress}} {{json .Aliases}}{{end}}'"
    address, _, aliases = runner(f"docker inspect --format {form} svc").partition(" ")
    assert '"redis"' in aliases
    page = f"for n in $(seq 200); do wget -qO- http://{address}/ && break; sleep 0.2; done"
    assert "It works." in runner(f"docker exec job sh -c '{page}'")
    assert runner(stale) == ""  # it is in use
    assert runner("docker rm --force svc job") == "svc\njob\n"
    assert runner(stale).split() == ["Deleted", "Networks:", name]
    runner(f"docker network rm {name}", 1)


def test_the_health_of_a_service(runner):
    """The runner asks until it hears healthy or unhealthy, and shows the log of one that is not well."""
    form = '"{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}"'

    def health(name):
        for _ in range(1000):
            word = runner(f"docker inspect --format={form} {name}").strip()
            if word != "starting":
                return word
            time.sleep(0.05)
        return "starting"

    options = "--health-interval 1s --health-retries 2 --network none"
    sick = "busybox sh -c 'echo what I said; sleep 100'"
    runner(f'docker create --name well {options} --health-cmd "true" busybox sleep 100')
    runner(f'docker create --name sick {options} --health-cmd "exit 1" {sick}')
    runner("docker create --name none --network none busybox sleep 100")
    for name in ("well", "sick", "none"):
        runner(f"docker start {name}")
    assert [health(name) for name in ("well", "sick", "none")] == ["healthy", "unhealthy", ""]
    assert "what I said" in runner("docker logs --details sick")
    runner("docker rm --force well sick none")


def test_a_container_action_that_is_built(runner):
    """Built from the action's Dockerfile, and run with everything that a step has."""
    runner(
        "mkdir -p $W/_actions/act && printf '%s\\n' 'FROM busybox' 'COPY entry.sh /entry.sh' "
        '\'ENTRYPOINT ["sh", "/entry.sh"]\' >$W/_actions/act/Dockerfile && '
        "echo 'echo \"$INPUT_WHO $1 in $PWD\"; echo made >made' >$W/_actions/act/entry.sh"
    )
    tag = f"{LABEL}:0a1b2c"
    runner(f'docker build -t {tag} -f "$W/_actions/act/Dockerfile" "$W/_actions/act"')
    said = runner(
        f"docker run --name act_{LABEL} --label {LABEL} --workdir /github/workspace --rm -e INPUT_WHO -e CI=true "
        f'-v {SOCKET} -v "$W/_temp/_github_home":"/github/home" -v "$W/repo/repo":"/github/workspace" {tag} "word"',
        INPUT_WHO="me",
    )
    assert said == "me word in /github/workspace\n"
    made = runner.work / "repo/repo/made"
    assert made.read_text() == "made\n"
    assert made.stat().st_uid == runner.account.uid  # so that the next step can change it
    runner(f"docker rmi {tag}")
