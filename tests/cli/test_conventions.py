"""Exit statuses and streams as scripts rely on them, as rcrun, as docker and as podman."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

NO_NETWORK = ("--network", "none")
ID = "0123456789abcdef"


@pytest.fixture
def called(rcrun):
    """`called(NAME)(ARG…)` starts rcrun through a link of that name."""
    folder = rcrun.account.new_dir("bin")

    def link(name):
        (folder / name).symlink_to(bin_dir() / "rcrun")
        return lambda *words: rcrun.account.run(folder / name, *words, env=rcrun.env)

    return link


@pytest.fixture
def stopped(rcrun):
    """`one` runs, `two` ended with status 3, `three` was created."""
    rcrun(
        "run",
        "-d",
        "--name",
        "one",
        "--stop-signal",
        "KILL",
        *NO_NETWORK,
        "busybox",
        "sleep",
        "100",
    ).check()
    rcrun(
        "run", "--name", "two", *NO_NETWORK, "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"
    )
    rcrun("create", "--name", "three", *NO_NETWORK, "busybox", "echo", "hello").check()
    return rcrun


# ---- one command, its status, what it prints and what it complains of; ERR: any words that hold this

TABLE = [
    # run, create, start -a: the container's status, or 125, 126, 127
    ("run --rm busybox true", 0, "", ""),
    ("run --rm busybox sh -c 'exit 42'", 42, "", ""),
    ("run --rm --init busybox sh -c 'kill -9 $$'", 137, "", ""),
    ("run --rm busybox sh -c 'kill -15 $$; sleep 1'", 0, "", ""),  # the first process is not killed by it
    ("run --rm --init busybox sh -c 'kill -15 $$; sleep 1'", 143, "", ""),
    ("run --rm busybox nosuch", 127, "", "executable file not found"),
    ("run --rm busybox /no/such", 127, "", "No such file or directory"),
    ("run --rm busybox /etc", 126, "", "Is a directory"),
    ("run --rm busybox /etc/passwd", 126, "", "Permission denied"),
    ("run --rm -w /etc/passwd busybox true", 125, "", "not a directory"),
    ("run --nosuch busybox true", 125, "", "no such option"),
    ("run --rm --memory x busybox true", 125, "", "x"),
    ("run --rm -v a:b:c:d busybox true", 125, "", "a:b:c:d"),
    ("run --rm --name one busybox true", 125, "", "already in use"),
    ("run --rm --pull never nosuch true", 125, "", "nosuch"),
    ("run", 125, "", "no image is given"),
    ("run --rm -u nosuch busybox true", 125, "", 'unable to find user "nosuch"'),
    ("create --name two busybox", 125, "", "already in use"),
    ("start -a two", 3, "out\n", "err\n"),
    ("start -a three", 0, "hello\n", ""),
    ("start one two", 0, "one\ntwo\n", ""),
    ("start one nosuch", 1, "one\n", "no such container: nosuch"),
    ("start -a one two", 1, "", "cannot start and attach multiple containers"),
    # exec
    ("exec one true", 0, "", ""),
    ("exec one sh -c 'exit 9'", 9, "", ""),
    ("exec one sh -c 'kill -9 $$'", 137, "", ""),
    ("exec one nosuch", 127, "", "executable file not found"),
    ("exec one /etc", 126, "", "Is a directory"),
    ("exec two true", 1, "", "is not running"),
    ("exec nosuch true", 1, "", "no such container: nosuch"),
    ("exec one", 1, "", "no command is given"),
    ("exec --nosuch one true", 125, "", "--nosuch"),
    # several names, each printed as typed; an error does not stop the rest
    ("stop -t 0 one two", 0, "one\ntwo\n", ""),
    ("stop -t 0 nosuch one", 1, "one\n", "no such container: nosuch"),
    ("restart -t 0 one three", 0, "one\nthree\n", ""),
    ("kill one", 0, "one\n", ""),
    ("kill -s USR1 one nosuch", 1, "one\n", "no such container: nosuch"),
    ("kill two", 1, "", "is not running"),
    ("kill -s NOSUCH one", 1, "", "NOSUCH"),
    ("rm two three", 0, "two\nthree\n", ""),
    ("rm nosuch two", 1, "two\n", "no such container: nosuch"),
    ("rm one two", 1, "two\n", "is running"),
    ("rm -f one nosuch", 0, "one\n", ""),
    ("rm", 1, "", "at least one container"),
    ("wait two three", 0, "3\n0\n", ""),
    ("wait nosuch", 1, "", "no such container: nosuch"),
    ("rename two four", 0, "", ""),
    ("rename two one", 1, "", "already in use"),
    ("inspect nosuch", 1, "[]\n", "no such object: nosuch"),
    ("inspect -f {{.Name}} nosuch two", 1, "/two\n", "no such object: nosuch"),
    ("logs two", 0, "out\n", "err\n"),
    ("logs nosuch", 1, "", "no such container: nosuch"),
    ("port one 80", 1, "", "80"),
    ("container exists one", 0, "", ""),
    ("container exists nosuch", 1, "", ""),
    ("image exists busybox", 0, "", ""),
    ("image exists nosuch", 1, "", ""),
    ("image validate busybox", 0, "", ""),
    ("image validate nosuch", 1, "", "no such image: nosuch"),
    ("image validate ./nosuch", 1, "", 'there is no "./nosuch"'),
    ("image validate .", 1, "", "is no image layout"),
    ("image validate", 1, "", "missing argument"),
    ("rmi nosuch", 1, "", "no such image: nosuch"),
    ("rmi busybox", 1, "", "conflict"),
    ("tag nosuch other", 1, "", "no such image: nosuch"),
    ("ps --filter nosuch=1", 1, "", 'invalid filter "nosuch=1"'),
    ("ps --format {{.Nosuch}}", 1, "", "Nosuch"),
    ("ps --format {{.Names", 1, "", "template"),
    ("ps extra", 1, "", "extra"),
    ("nosuch", 1, "", 'there is no command "nosuch"'),
    ("images -q nosuch", 0, "", ""),
    ("pull localhost:1/nosuch", 1, "", "cannot reach registry"),
    ("attach two", 1, "", "start the container first"),
    ("attach nosuch", 1, "", "no such container: nosuch"),
    ("top two", 1, "", "is not running"),
]  # fmt: skip


def words_of(line):
    words = shlex.split(line)
    if words[0] in ("run", "create") and "busybox" in words:
        words[1:1] = NO_NETWORK
    return words


@pytest.mark.parametrize(("line", "status", "out", "err"), TABLE)
def test_status_and_streams(stopped, line, status, out, err):
    got = stopped(*words_of(line))
    assert (got.status, got.out) == (status, out), repr(got)
    assert err in got.err, repr(got)
    if not err:
        assert got.err == ""


PODMAN = [
    ("rm nosuch", 1),
    ("rm one", 2),
    ("rm nosuch one", 2),
    ("rmi nosuch", 1),
    ("rmi busybox", 2),
    ("inspect nosuch", 125),
    ("start nosuch", 125),
    ("ps --nosuch", 125),
    ("nosuch", 125),
    ("container exists nosuch", 1),
    ("exec two true", 255),
    ("run --rm busybox nosuch", 127),
]


@pytest.mark.parametrize(("line", "status"), PODMAN)
def test_podman_has_statuses_of_its_own(stopped, called, line, status):
    got = called("podman")(*words_of(line))
    assert got.status == status, repr(got)
    assert status in (1, 127) or got.err.startswith("Error: ")


def test_docker_says_no_such_container_as_scripts_look_for_it(called):
    got = called("docker")("stop", "nosuch")
    assert got.err == "Error response from daemon: No such container: nosuch\n"


def test_ids_are_whole_where_something_was_made_and_short_in_lists(rcrun):
    made = rcrun("run", "-d", *NO_NETWORK, "busybox", "sleep", "100").check()
    created = rcrun("create", *NO_NETWORK, "busybox").check()
    for got in (made, created):
        assert len(got.out) == 65
        assert set(got.out.strip()) <= set(ID)
        assert got.err == ""
    short = rcrun("ps", "-q").check().out
    assert made.out.startswith(short.strip())
    assert len(short) == 13
    assert rcrun("ps", "-q", "--no-trunc").out == made.out
    assert len(rcrun("images", "-q").out.split()[0]) == 12
    assert rcrun("images", "-q", "--no-trunc").out.startswith("sha256:")


def test_tables_have_a_header_without_rows_and_no_colour(fresh_rcrun):
    empty = fresh_rcrun()
    assert (
        empty("ps").check().out
        == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    )
    assert empty("images").check().out == "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n"
    assert empty("ps", "-q").out == empty("images", "-q").out == ""


def test_a_tags_removal_says_untagged(rcrun):
    rcrun("tag", "busybox", "other:1").check()
    assert rcrun("rmi", "other:1").check().out == "Untagged: other:1\n"


# ---- --format, as public scripts write it


@pytest.fixture
def service(rcrun):
    words = (
        "--name",
        "web",
        "-e",
        "A=b c",
        "--label",
        "com.example.role=db",
        "-p",
        "127.0.0.1::5432",
        "-v",
        "data:/data",
    )
    rcrun("create", *words, "busybox", "sleep", "100").check()
    yield rcrun
    rcrun("rm", "-f", "-v", "web")


INSPECT = [
    ("{{.State.Running}}", "false"),
    ("{{.State.Status}}", "created"),
    ("{{.State.ExitCode}} {{.State.Pid}} {{.State.OOMKilled}} {{.RestartCount}}", "0 0 false 0"),
    ("{{.State.StartedAt}}", "0001-01-01T00:00:00Z"),
    ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
    ("{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}", ""),
    ('{{(index (index .HostConfig.PortBindings "5432/tcp") 0).HostIp}}', "127.0.0.1"),
    ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{.Gateway}}{{end}}", ""),
    ("{{.NetworkSettings.IPAddress}}", ""),
    ("{{range .Mounts}}{{.Name}} {{.Destination}} {{.Type}}{{end}}", "data /data volume"),
    ('{{index .Config.Labels "com.example.role"}}|{{index .Config.Labels "none"}}', "db|"),
    ("{{range .Config.Env}}{{println .}}{{end}}", "*A=b c\n*"),
    ("{{.Config.Image}} {{.Name}}", "busybox /web"),
    ("{{.HostConfig.AutoRemove}} {{.HostConfig.Privileged}} {{.HostConfig.RestartPolicy.Name}}", "false false no"),
    ("{{.Config.Cmd}} {{json .Config.Cmd}}", '[[]sleep 100] [[]"sleep","100"]'),
    ("{{.Config.Entrypoint}} {{json .Config.Entrypoint}}", "[[]] null"),
    ("{{json .Config.ExposedPorts}}", '{"5432/tcp":{}}'),
    ("{{eq .Id .ID}} {{len .Id}} {{len (slice .Id 0 12)}} {{len .Image}}", "true 64 12 71"),
    ("{{json .State.Health}}", "null"),
    ("{{.GraphDriver.Data.MergedDir}}", "*/rootfs"),
    ("{{.LogPath}}", "*/log"),
    ("{{range $port, $bound := .NetworkSettings.Ports}}{{$port}}{{end}}", ""),
]  # fmt: skip


def test_inspect_formats(service):
    for form, text in INSPECT:
        got = service("inspect", "--format", form, "web").check().out
        assert fnmatchcase(got.removesuffix("\n"), text), (form, got)


def test_the_port_that_a_service_got(service):
    service("start", "web").check()
    form = '{{(index (index .NetworkSettings.Ports "5432/tcp") 0).HostPort}}'
    port = service("inspect", "-f", form, "web").check().out.strip()
    assert int(port) > 1024
    assert service("port", "web").out == f"5432/tcp -> 127.0.0.1:{port}\n"
    assert service("port", "web", "5432").out == f"127.0.0.1:{port}\n"
    assert service("ps", "--format", "{{.Ports}}").out == f"127.0.0.1:{port}->5432/tcp\n"


PS = [
    ("{{.ID}}", "????????????"),
    ("{{.Names}} {{.Image}} {{.Command}}", 'web busybox "sleep 100"'),
    ("{{.CreatedAt}}", "20??-??-?? ??:??:?? +0000 UTC"),
    ("{{.RunningFor}}", "*second* ago"),
    ("{{.State}} {{.Status}}|{{.Ports}}|", "created Created||"),
    ("{{.Labels}}", "com.example.role=db,org.opencontainers.image.title=busybox"),
    ('{{.Label "com.example.role"}}', "db"),
    ("{{.Mounts}} {{.LocalVolumes}} {{.Networks}}", "data 1 *"),
    ("{{.Size}}", "0B (virtual *MB)"),
    ("{{.Platform}}{{.HealthStatus}}", ""),
    ("table {{.Names}}\\t{{.Status}}", "NAMES     STATUS\nweb       Created"),
    ("{{.Names}}: {{.Status}}", "web: Created"),
    ("{{json .Names}}", '"web"'),
]


def test_ps_formats(service):
    for form, text in PS:
        got = service("ps", "-a", "--format", form).check().out
        assert fnmatchcase(got.removesuffix("\n"), text), (form, got)


LISTS = [
    ("images", "{{.Repository}}:{{.Tag}} {{.Digest}}", "busybox:latest <none>"),
    ("images", "{{.ID}} {{.Size}}", "???????????? *MB"),
    ("image inspect busybox", "{{.Id}}", "sha256:*"),
    ("image inspect busybox", "{{.RepoTags}} {{index .RepoTags 0}} {{.RepoDigests}}", "[[]busybox:latest] busybox:latest [[]]"),
    ("image inspect busybox", "{{.Architecture}} {{.Os}} {{.Config.Entrypoint}} {{len .RootFS.Layers}}", "* linux [[]] 1"),
    ("image inspect busybox", "{{json .Config.Cmd}} {{.Size}}", '[[]"sh"] [0-9]*'),
    ("version", "{{.Server.APIVersion}} {{.Client.APIVersion}}", "1.* 1.*"),
    ("version", "{{.Server.Version}} {{.Server.Os}}", "* linux"),
    ("info", "{{.ServerVersion}} {{.Driver}} {{.OSType}} {{.NCPU}} {{.MemTotal}}", "* * linux [0-9]* [0-9]*"),
    ("info", "{{.CgroupVersion}} {{.Architecture}} {{.DockerRootDir}}", "[12] * /*"),
    ("info", "{{range .SecurityOptions}}{{println .}}{{end}}", "*name=rootless\n*"),
    ("info", "{{.Host.Security.Rootless}} {{.Store.GraphRoot}}", "true /*"),
    ("info", "{{json .Runtimes}}", '{"rcrun":*}'),
]  # fmt: skip


def test_formats_of_lists(rcrun):
    for command, form, text in LISTS:
        got = rcrun(*command.split(), "--format", form).check().out
        assert fnmatchcase(got.removesuffix("\n"), text), (command, form, got)
