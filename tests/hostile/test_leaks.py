"""Nothing of the caller's or of ours is left in a container: descriptors, directories, environment, groups, rights."""

from __future__ import annotations

import os
import subprocess

import pytest

from hostile.conftest import NO_NETWORK

STREAMS = {"0", "1", "2"}


def numbers(text):
    return {line.split(" ")[0] for line in text.splitlines()}


@pytest.fixture
def host_fds(account):
    """Inheritable descriptors of the host's root, which a careless caller has open."""
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(3)]
    fds += [os.open("/etc", os.O_PATH)]
    high = os.dup2(fds[0], 200, inheritable=True)
    for fd in fds:
        os.set_inheritable(fd, True)
    yield [*fds, high]
    for fd in (*fds, high):
        os.close(fd)


# ---- descriptors


@pytest.mark.parametrize("options", [(), ("-i",), ("--init",)])
def test_descriptors_of_the_first_process(rcrun, attack, host_fds, options):
    words = ("run", "--rm", *options, *NO_NETWORK, *attack, "busybox")
    got = rcrun(*words, "/attack", "fds", pass_fds=host_fds).check()
    assert numbers(got.out) == STREAMS
    assert rcrun(*words, "/attack", "escape", "etc/passwd", pass_fds=host_fds).out == "no way out\n"


def test_descriptors_of_a_detached_process(rcrun, attack, host_fds):
    words = ("--name", "web", *NO_NETWORK, *attack, "busybox", "/attack", "fds")
    rcrun("run", "-d", *words, pass_fds=host_fds).check()
    rcrun("wait", "web").check()
    assert numbers(rcrun("logs", "web").out) == STREAMS


def test_descriptors_after_a_restart(rcrun, attack, host_fds):
    rcrun("create", "--name", "web", *NO_NETWORK, *attack, "busybox", "/attack", "fds").check()
    got = rcrun("start", "-a", "web", pass_fds=host_fds).check()
    assert numbers(got.out) == STREAMS


@pytest.mark.parametrize("options", [(), ("-i",)])
def test_descriptors_of_an_execed_process(rcrun, attack, host_fds, options):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, *attack, "busybox", "sleep", "100").check()
    got = rcrun("exec", *options, "web", "/attack", "fds", pass_fds=host_fds).check()
    assert numbers(got.out) == STREAMS
    got = rcrun("exec", "web", "/attack", "escape", "etc/passwd", pass_fds=host_fds)
    assert got.out == "no way out\n"


def test_descriptors_of_the_init(rcrun, attack):
    rcrun(
        "run", "-d", "--init", "--name", "web", *NO_NETWORK, *attack, "busybox", "sleep", "100"
    ).check()
    got = rcrun("exec", "web", "/attack", "fds", "/proc/1/fd")
    assert got.out in ("", "/proc/1/fd: Permission denied\n")


def test_descriptors_of_the_oci_runtime(hostile_bundle, host_fds):
    hostile_bundle.process(args=["/attack", "fds"])
    assert numbers(hostile_bundle.run(pass_fds=host_fds).check().out) == STREAMS


def test_descriptors_of_a_created_container(hostile_bundle, host_fds):
    hostile_bundle.process(args=["/attack", "fds"]).write()
    with open(hostile_bundle.dir / "output", "wb") as output:
        words = ("create", "-b", str(hostile_bundle.dir), hostile_bundle.id)
        status = hostile_bundle.runtime(
            *words, stdout=output, stderr=output, pass_fds=host_fds
        ).status
    assert status == 0
    hostile_bundle.runtime("start", hostile_bundle.id).check()
    hostile_bundle.said_soon("2 ->")
    assert numbers(hostile_bundle.said()) == STREAMS


def test_descriptors_of_an_oci_exec(hostile_bundle, host_fds):
    hostile_bundle.args("sleep", "100").started()
    got = hostile_bundle.runtime(
        "exec", hostile_bundle.id, "/attack", "fds", pass_fds=host_fds
    ).check()
    assert numbers(got.out) == STREAMS


def test_preserved_descriptors_and_no_more(hostile_bundle):
    hostile_bundle.process(args=["/attack", "fds"]).write()
    words = ("run", "--preserve-fds", "1", "-b", str(hostile_bundle.dir), hostile_bundle.id)
    opened = 'exec 3</dev/null 4</ 5</etc; exec "$@"'
    got = hostile_bundle.account.run("sh", "-c", opened, "sh", *hostile_bundle.words(), *words)
    assert numbers(got.check().out) == STREAMS | {"3"}


# ---- the working directory


@pytest.mark.parametrize("fd", range(3, 12))
def test_working_directory_through_a_descriptor_is_refused(rcrun, host_fds, fd):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    got = rcrun("exec", "-w", f"/proc/self/fd/{fd}", "web", "cat", "etc/passwd", pass_fds=host_fds)
    assert got.status != 0
    assert got.out == ""


def test_working_directory_of_run_through_descriptors_is_refused(rcrun, host_fds):
    for fd in range(3, 12):
        path = f"/proc/self/fd/{fd}"
        got = rcrun("run", "--rm", "-w", path, *NO_NETWORK, "busybox", "pwd", pass_fds=host_fds)
        assert got.status != 0, path
        assert got.out == ""


def test_working_directory_that_is_a_link_to_a_descriptor(rcrun, make_image):
    """As runc's of 2024: the link is the image's, the descriptor ours."""
    import tarfile

    from hostile.conftest import layer

    links = [(f"d{fd}", tarfile.SYMTYPE, f"/proc/self/fd/{fd}") for fd in range(3, 12)]
    make_image("cwd", None, [layer(*links)])
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "cwd", "sleep", "100").check()
    for fd in range(3, 12):
        assert rcrun("run", "--rm", "-w", f"/d{fd}", *NO_NETWORK, "cwd", "pwd").status != 0
        assert rcrun("exec", "-w", f"/d{fd}", "web", "pwd").status != 0


def test_oci_working_directory_through_descriptors(hostile_bundle, host_fds):
    hostile_bundle.args("sleep", "100").started()
    for fd in range(3, 12):
        got = hostile_bundle.runtime(
            "exec", "--cwd", f"/proc/self/fd/{fd}", hostile_bundle.id, "/init", "cwd",
            pass_fds=host_fds,
        )  # fmt: skip
        assert got.status != 0, fd


# ---- environment


def test_environment_of_the_caller(rcrun):
    caller = {"SECRET_OF_THE_CALLER": "1", "LD_PRELOAD": "", "HTTP_TOKEN": "2"}
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100", env=caller).check()
    for words in (
        ("run", "--rm", *NO_NETWORK, "busybox", "env"),
        ("run", "--rm", "--init", *NO_NETWORK, "busybox", "env"),
        ("exec", "web", "env"),
        ("exec", "web", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ"),
    ):
        got = rcrun(*words, env=caller).check()
        names = {line.partition("=")[0] for line in got.out.splitlines()}
        assert names - {"PATH", "HOSTNAME", "HOME", "container", "TERM"} == set(), words


def test_environment_that_was_asked_for(rcrun):
    caller = {"ONE": "1", "TWO": "2"}
    got = rcrun("run", "--rm", "-e", "ONE", *NO_NETWORK, "busybox", "env", env=caller).check()
    assert "ONE=1" in got.out
    assert "TWO" not in got.out


def test_environment_of_an_image_takes_nothing_from_the_caller(rcrun, make_image):
    """In an image's Env a bare name has no value; it must not become the caller's."""
    make_image("bare", {"Env": ["PATH=/bin", "SECRET_OF_THE_CALLER", "=x", "B=${HOME}"]})
    got = rcrun(
        "run", "--rm", *NO_NETWORK, "bare", "env", env={"SECRET_OF_THE_CALLER": "mine"}
    ).check()
    assert "mine" not in got.out


@pytest.mark.skipif(
    os.environ.get("RCRUN_SANITIZE") == "1",
    reason="with sanitizers: terabytes of shadow memory are searched in vain",
)
def test_environment_and_memory_of_the_init(rcrun, attack, secret):
    """The plan, with the host's paths, was in the memory of the process that is pid 1 with --init."""
    caller = {"SECRET_OF_THE_CALLER": "in-the-environment"}
    rcrun(
        "run", "-d", "--init", "--name", "web", *NO_NETWORK, *attack, "busybox", "sleep", "100",
        env=caller,
    ).check()  # fmt: skip
    got = rcrun("exec", "web", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/cmdline")
    assert "in-the-environment" not in got.out
    assert str(rcrun.store_dir) not in got.out
    place = str(rcrun.store_dir / "containers")
    for text in (place, "in-the-environment", "attach.sock"):
        got = rcrun("exec", "web", "/attack", "search", "1", text[:4], text[4:])
        assert got.out in ("not there\n", "/proc/1/mem: Permission denied\n"), text


# ---- groups and rights


def test_supplementary_groups(rcrun):
    """The caller's groups are not the container's; those of the image's files are."""
    got = rcrun("run", "--rm", "-u", "1000", *NO_NETWORK, "busybox", "id", "-G").check()
    assert got.out.split() == ["1000", "10"]
    got = rcrun("run", "--rm", *NO_NETWORK, "busybox", "grep", "Groups", "/proc/self/status")
    groups = set(got.check().out.split()[1:])
    assert groups <= {"0", "10"}, "only those that the image's files give to root"


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_supplementary_groups_of_root(rcrun):
    """Root's caller may be in more groups than the image knows."""
    words = ("run", "--rm", *NO_NETWORK, "busybox", "grep", "Groups", "/proc/self/status")
    process = subprocess.run(
        ["setpriv", "--groups", "4,6,27", str(program(rcrun)), *words],
        env={**rcrun.account.environ, **rcrun.env},
        capture_output=True,
        check=True,
        text=True,
    )
    assert set(process.stdout.split()[1:]) <= {"0", "10"}


def program(rcrun):
    from accounts import bin_dir

    return bin_dir() / "rcrun"


def capability_sets(text):
    words = (line.split() for line in text.splitlines() if line.startswith("Cap"))
    return {name.rstrip(":"): int(mask, 16) for name, mask in words}


@pytest.mark.parametrize("account", ["root"], indirect=True)
@pytest.mark.parametrize("verb", ["run", "exec", "oci"])
def test_inheritable_and_ambient_capabilities_of_the_caller(rcrun, hostile_bundle, verb):
    """They would be those of any program with file capabilities in the image."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    status = ("cat", "/proc/self/status")
    words = {
        "run": [str(program(rcrun)), "run", "--rm", *NO_NETWORK, "busybox", *status],
        "exec": [str(program(rcrun)), "exec", "web", *status],
        "oci": [],
    }[verb]
    if verb == "oci":
        hostile_bundle.args("cat", "/proc/self/status").write()
        words = [*hostile_bundle.words(), "run", "-b", str(hostile_bundle.dir), hostile_bundle.id]
    setpriv = ["setpriv", "--inh-caps", "+sys_admin,+net_admin", "--ambient-caps", "+sys_admin"]
    process = subprocess.run(
        [*setpriv, *words],
        env={**rcrun.account.environ, **rcrun.env},
        capture_output=True,
        check=True,
        text=True,
    )
    sets = capability_sets(process.stdout)
    assert sets["CapInh"] == sets["CapAmb"] == 0
    assert not sets["CapBnd"] & (1 << 21)


def test_rights_of_the_first_process_and_of_exec(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    first = capability_sets(rcrun("exec", "web", "cat", "/proc/1/status").check().out)
    second = capability_sets(rcrun("exec", "web", "cat", "/proc/self/status").check().out)
    assert first == second
    assert first["CapInh"] == first["CapAmb"] == 0
    assert not first["CapBnd"] & (1 << 21), "CAP_SYS_ADMIN"


def test_rights_of_another_user(rcrun):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    for words in (
        ("run", "--rm", "-u", "1000", *NO_NETWORK, "busybox"),
        ("exec", "-u", "1000", "web"),
        ("exec", "-u", "guest", "web"),
    ):
        sets = capability_sets(rcrun(*words, "cat", "/proc/self/status").check().out)
        assert sets["CapEff"] == sets["CapPrm"] == sets["CapAmb"] == sets["CapInh"] == 0, words


def test_no_new_privileges_and_the_filter_are_on_in_exec(rcrun):
    rcrun(
        "run", "-d", "--name", "web", "--security-opt", "no-new-privileges", *NO_NETWORK,
        "busybox", "sleep", "100",
    ).check()  # fmt: skip
    facts = ("grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status")
    for words in (("exec", "web"), ("exec", "-u", "1000", "web"), ("exec", "-d", "web")):
        if "-d" in words:
            rcrun(*words, "sh", "-c", f"{' '.join(facts[:2])} '{facts[2]}' {facts[3]} > /told")
            got = rcrun(
                "exec", "web", "sh", "-c", "until grep -q Sec /told; do sleep 0.05; done; cat /told"
            ).check()
        else:
            got = rcrun(*words, *facts).check()
        assert got.out.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"], words


@pytest.mark.parametrize("words", [("run", "--rm", *NO_NETWORK, "busybox"), ("exec", "web")])
def test_the_filter_refuses(rcrun, words):
    """unshare needs no capability for a user namespace: only the filter stands before it."""
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    got = rcrun(*words, "unshare", "-U", "true")
    assert got.status != 0
    assert "Operation not permitted" in got.err
