"""As docker and as podman: what each prints where they differ, compared with docker-cli 28.5 and podman 5.8."""

from __future__ import annotations

import re
import shlex

import pytest

from accounts import bin_dir
from rcrun_cli import output
from rcrun_cli.spoken import ROWS, spoken

pytestmark = pytest.mark.requires("userns")
USER = pytest.mark.parametrize("account", ["user"], indirect=True)


def test_every_name_has_every_trait() -> None:
    traits = {name: sorted(row) for name, row in output.PERSONALITIES.items()}
    assert traits["rcrun"] == traits["docker"] == traits["podman"]


# our message, docker's line, podman's; None: our words behind the prefix
WORDS = [
    ("no such container: web", "Error response from daemon: No such container: web",
     'Error: no container with name or ID "web" found: no such container'),
    ("no such image: web", "Error response from daemon: No such image: web", "Error: web: image not known"),
    ("no such object: web", "error: no such object: web", 'Error: no such object: "web"'),
    ("no such volume: web", "Error response from daemon: get web: no such volume",
     'Error: no volume with name "web" found: no such volume'),
    ("no such network: web", "Error response from daemon: network web not found",
     "Error: unable to find network with name or ID web: network not found"),
    ("no such artifact: web", None, "Error: web: artifact does not exist"),
    ("no such manifest list: web", None, "Error: web: image not known"),
    ("no such pod: web", None, "Error: no pod with name or ID web found: no such pod"),
    ("no such secret: web", "Error response from daemon: secret web not found",
     'Error: no secret with name or id "web": no such secret'),
    ("no such option: --nosuch Did you mean --no-trunc?", "unknown flag: --nosuch", "Error: unknown flag: --nosuch"),
    ("no such option '--nosuch'. Did you mean '--no-trunc'?", "unknown flag: --nosuch", "Error: unknown flag: --nosuch"),
    ('there is no command "nosuch"; did you mean push?', "docker: unknown command: docker nosuch",
     "Error: unrecognized command `podman nosuch`"),
    ('the container name "web" is already in use by container "4f5"',
     'Error response from daemon: Conflict. The container name "/web" is already in use by container "4f5"',
     'Error: creating container storage: the container name "web" is already in use by container "4f5": '
     "that name is already in use"),
    ("container 4f5 is not running", "Error response from daemon: container 4f5 is not running",
     "Error: container 4f5 is not running: container state improper"),
    ('cannot remove container "web": container is running: stop it',
     'Error response from daemon: cannot remove container "web": container is running: stop it', None),
    ("the input device is not a TTY", "the input device is not a TTY", None),
    ('invalid --volume "a:b:c:d"', None, None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "docker", "podman"), WORDS)
def test_words(message: str, docker: str | None, podman: str | None) -> None:
    assert spoken("docker", message) == docker
    assert spoken("podman", message) == podman
    assert spoken("rcrun", message) is None


def test_every_row_of_their_words_is_tried() -> None:
    for name, rows in ROWS.items():
        at = {"docker": 1, "podman": 2}[name]
        begun = [row[0] for row in WORDS if row[at] is not None]
        skipped = {"conflict: ", "remove ", "cannot kill container ", "cannot attach to container "}
        untried = [start for start, _ in rows if not any(each.startswith(start) for each in begun)]
        assert set(untried) <= skipped


@pytest.fixture
def called(rcrun):
    """`called(NAME, LINE)` runs a command line as that name."""
    folder = rcrun.account.new_dir("bin")
    for name in ("docker", "podman", "rcrun"):
        (folder / name).symlink_to(bin_dir() / "rcrun")
    return lambda name, line: rcrun.account.run(folder / name, *shlex.split(line), env=rcrun.env)


@pytest.fixture
def two(rcrun):
    """`one` was created, with a label; `two` has ended."""
    quiet = ("--network", "none")
    rcrun("create", "--name", "one", "--label", "a=b", *quiet, "busybox", "sleep", "100").check()
    rcrun("run", "--name", "two", *quiet, "busybox", "true").check()
    return rcrun


ID = "[0-9a-f]{64}"
SHORT = "[0-9a-f]{12}"
# the line, and for docker and for podman: the status, what it prints, and how stderr begins; patterns
TABLE = [
    ("ps -a --filter name=one", (0, f"CONTAINER ID   IMAGE     COMMAND       CREATED .* NAMES\n{SHORT}   busybox   \"sleep 100\" .* one\n", ""),
     (0, f"CONTAINER ID  IMAGE                             COMMAND     CREATED .* NAMES\n{SHORT}  docker.io/library/busybox:latest  sleep 100   .*  one\n", "")),
    ("ps", (0, "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n", ""),
     (0, "CONTAINER ID  IMAGE       COMMAND     CREATED     STATUS      PORTS       NAMES\n", "")),
    ("ps -a --filter name=one --format {{.Labels}}", (0, "a=b,org.opencontainers.image.title=busybox\n", ""),
     (0, r"map\[a:b org.opencontainers.image.title:busybox\]\n", "")),
    ("images busybox", (0, f"REPOSITORY   TAG       IMAGE ID       CREATED   SIZE\nbusybox      latest    {SHORT}   .*   [0-9.]+MB\n", ""),
     (0, f"REPOSITORY                 TAG         IMAGE ID      CREATED .* SIZE\ndocker.io/library/busybox  latest      {SHORT}  .*  [0-9.]+ MB\n", "")),
    ("inspect -f {{.Name}} one", (0, "/one\n", ""), (0, "one\n", "")),
    ("inspect nosuch", (1, r"\[\]\n", "error: no such object: nosuch"), (125, r"\[\]\n", 'Error: no such object: "nosuch"')),
    ("commit one made", (0, f"sha256:{ID}\n", ""), (0, f"{ID}\n", "")),
    ("rmi made", (0, "Untagged: made:latest\nDeleted: sha256:.*", ""),
     (0, f"Untagged: localhost/made:latest\nDeleted: {ID}\n", "")),
    ("tag busybox mine", (0, "", ""), (0, "", "")),
    ("tag mine other.example/mine:1", (0, "", ""), (0, "", "")),
    ("inspect -f {{.Id}}{{.RepoTags}} mine", (0, rf"sha256:{ID}\[busybox:latest mine:latest other.example/mine:1\]\n", ""),
     (0, rf"{ID}\[docker.io/library/busybox:latest localhost/mine:latest other.example/mine:1\]\n", "")),
    ("images -n mine --format 'table {{.Repository}} {{.Tag}}'", (0, "mine latest\n", ""), (0, "localhost/mine  latest\n", "")),
    ("rmi mine", (0, "Untagged: mine:latest\n", ""), (0, "Untagged: localhost/mine:latest\n", "")),
    ("image exists mine:1", (1, "", ""), (0, "", "")),
    ("untag busybox other.example/mine:1", (0, "", ""), (0, "", "")),
    ("rmi -f nosuch", (0, "", "Error response from daemon: No such image: nosuch"), (0, "", "")),
    ("--storage-driver=vfs --syslog --noout images", (0, "", ""), (0, "", "")),
    ("--module=m images", (1, "", 'docker: option "--module" is not possible'), (125, "", 'Error: there is no module "m" of containers.conf')),
    ("inspect -f {{.Image}} one", (0, f"sha256:{ID}\n", ""), (0, f"{ID}\n", "")),
    ("rm nosuch", (1, "", "Error response from daemon: No such container: nosuch"),
     (1, "", 'Error: no container with name or ID "nosuch" found: no such container')),
    ("rm -f nosuch", (0, "", ""), (0, "", "")),
    ("rmi nosuch", (1, "", "Error response from daemon: No such image: nosuch"), (1, "", "Error: nosuch: image not known")),
    ("rmi busybox", (1, "", "Error response from daemon: conflict: unable to"), (2, "", "Error: ")),
    ("volume create data", (0, "data\n", ""), (0, "data\n", "")),
    ("volume create data", (0, "data\n", ""), (125, "", 'Error: the volume name "data" is already in use')),
    ("volume rm nosuch", (1, "", "Error response from daemon: get nosuch: no such volume"),
     (1, "", 'Error: no volume with name "nosuch" found: no such volume')),
    ("volume rm data", (0, "data\n", ""), (0, "data\n", "")),
    ("stop nosuch", (1, "", "Error response from daemon: No such container: nosuch"), (125, "", "Error: no container with")),
    ("exec one true", (1, "", "Error response from daemon: container [0-9a-f]+ is not running"),
     (255, "", "Error: container [0-9a-f]+ is not running: container state improper")),
    ("exec nosuch true", (1, "", "Error response from daemon: No such container"), (125, "", "Error: no container with")),
    ("run --pull never nosuch true", (125, "", "Error response from daemon: No such image: nosuch"),
     (125, "", "Error: nosuch: image not known")),
    ("create --name one busybox", (125, "", 'Error response from daemon: Conflict. The container name "/one" is already'),
     (125, "", 'Error: creating container storage: the container name "one" is already in use')),
    ("run --rm --net none busybox nosuch", (127, "", 'docker: "nosuch": executable file not found in [$]PATH'),
     (127, "", 'Error: "nosuch": executable file not found in [$]PATH')),
    ("ps --nosuch", (125, "", "unknown flag: --nosuch"), (125, "", "Error: unknown flag: --nosuch\n")),
    ("nosuch", (1, "", "docker: unknown command: docker nosuch\n"), (125, "", "Error: unrecognized command `podman nosuch`\n")),
    ("container exists nosuch", (1, "", ""), (1, "", "")),
    ("version", (0, "Client: rcrun\n Version: .*", ""), (0, "Client:         Podman Engine\nVersion:        5[.].*", "")),
    ("--version", (0, "Docker version 28[.]0[.]0, build .*", ""), (0, "podman version 5[.]8[.]0\n", "")),
    ("container prune -f --filter label=nosuch", (0, "Total reclaimed space: 0B\n", ""), (0, "", "")),
    ("network create --label a=b able", (0, f"{ID}\n", ""), (0, "able\n", "")),
    ("network ls --format {{.Name}}", (0, "bridge\nable\nhost\nnone\n", ""), (0, "able\npodman\n", "")),
    ("network rm able nosuch", (1, "able\n", "Error response from daemon: network nosuch not found"),
     (1, "able\n", "Error: unable to find network with name or ID nosuch: network not found")),
    ("events --since 10m --until 0s --filter event=create --filter type=network", (0, r".* network create [0-9a-f]{12,64} \(name=able, type=bridge\)\n", ""),
     (0, r".* network create [0-9a-f]{12,64} \(name=able, type=bridge\)\n", "")),
    ("volume ls", (0, "DRIVER    VOLUME NAME\n", ""), (0, "DRIVER      VOLUME NAME\n", "")),
]  # fmt: skip


@USER
@pytest.mark.parametrize("name", ["docker", "podman"])
def test_what_differs(called, two, name):
    failures = []
    for line, docker, podman in TABLE:
        status, out, err = docker if name == "docker" else podman
        got = called(name, line)
        fits = re.fullmatch(out, got.out, re.S) and re.match(err if err else "$", got.err)
        if got.status != status or not fits:
            failures.append(f"{line}: expected {status}, {out!r}, {err!r}\n{got!r}")
    assert not failures, "\n".join(failures)


@USER
def test_a_build_as_podman(called, two):
    """What it prints is on stdout, its name is found again, and a step's exit status is its own."""
    folder = two.account.new_dir("context")
    (folder / "Containerfile").write_text("FROM busybox\nLABEL a=b\n")
    (folder / "fails").write_text("FROM busybox\nRUN exit 42\n")
    lines = called("podman", f"build -t made {folder}").check().out.splitlines()
    assert lines[:4] == [
        "STEP 1/2: FROM busybox",
        "STEP 2/2: LABEL a=b",
        "COMMIT made",
        f"--> {lines[-1][:12]}",
    ]
    assert lines[4] == "Successfully tagged localhost/made:latest"
    assert called("rcrun", "inspect -f {{.Id}} made").out == f"sha256:{lines[5]}\n"
    for line, docker, podman in (
        (f"build --network none -f {folder}/fails {folder}", 1, 42),
        (f"build -f nosuch {folder}", 1, 125),
        ("rmi localhost/made", 0, 1),
    ):
        assert (called("docker", line).status, called("podman", line).status) == (docker, podman), (
            line
        )


@USER
def test_pull_prints_a_reference_or_an_id(called, two):
    """Out of an archive, which needs no registry."""
    archive = two.account.new_dir("archive") / "a.tar"
    two("save", "-o", archive, "busybox").check()
    assert called("docker", f"pull docker-archive:{archive}").out.endswith(
        "docker.io/library/busybox:latest\n"
    )
    assert re.fullmatch(f"{ID}\n", called("podman", f"pull -q docker-archive:{archive}").out)
    two("rmi", "--no-prune", "nosuch")
