"""Every way to fail of the main commands: the whole text, in each of the three names. A text that changes is looked at here.

Each message has the thing, the reason, and where something helps, the hint; none is a trace, none ends with a stop.
"""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]
PREFIX = {"rcrun": "rcrun: error: ", "docker": "docker: ", "podman": "Error: "}
DAEMON = "Error response from daemon: "
MISSING = {
    "rcrun": "rcrun: error: no such container: nosuch\n",
    "docker": DAEMON + "No such container: nosuch\n",
    "podman": 'Error: no container with name or ID "nosuch" found: no such container\n',
}
NO_IMAGE = {
    "rcrun": "rcrun: error: no such image: nosuch\n",
    "docker": DAEMON + "No such image: nosuch\n",
    "podman": "Error: nosuch: image not known\n",
}
STOPPED = {
    "rcrun": "rcrun: error: container ID is not running\n",
    "docker": DAEMON + "container ID is not running\n",
    "podman": "Error: container ID is not running: container state improper\n",
}
IN_USE = {
    "rcrun": 'rcrun: error: the container name "one" is already in use by container "ID"\n',
    "docker": DAEMON + 'Conflict. The container name "/one" is already in use by container "ID"\n',
    "podman": 'Error: creating container storage: the container name "one" is already in use by container "ID":'
    " that name is already in use\n",
}  # fmt: skip
NAME_HINT = "hint: remove or rename that container, or choose another name: rcrun rm one\n"

# a line; the status (of podman where it differs); the texts of three names, or the words behind each one's prefix; the hint
TEXTS = [
    # images
    ("run --pull never nosuch true", 125, NO_IMAGE, "hint: rcrun pull nosuch\n"),
    ("run Bad/Ref", 125, 'invalid reference format "Bad/Ref": the repository must be lower case\n', 'hint: use "bad/ref"\n'),
    ("run busybox:b@d true", 125, "*", None),
    ("run", 125, "no image is given\n", "hint: rcrun run [OPTIONS] IMAGE [COMMAND] [ARG]...\n"),
    ("pull localhost:1/x:1", (1, 125), 'cannot reach registry "localhost:1": connection refused\n',
     "hint: check that the registry runs and the network; behind a proxy set HTTPS_PROXY\n"),
    ("rmi nosuch", 1, NO_IMAGE, ""),
    ("tag nosuch x", (1, 125), NO_IMAGE, "hint: rcrun pull nosuch\n"),
    ("history nosuch", (1, 125), NO_IMAGE, "hint: rcrun pull nosuch\n"),
    ("load -i /nosuch", (1, 125), 'cannot read "/nosuch": no such file or directory\n', ""),
    ("load -i /etc/passwd", (1, 125), 'cannot load "/etc/passwd": this is not a tar archive, or it is damaged\n', ""),
    ("save -o /nosuch/x busybox", (1, 125), 'cannot write "/nosuch/x": no such file or directory\n', ""),
    # containers
    ("start nosuch", (1, 125), MISSING, ""),
    ("stop nosuch", (1, 125), MISSING, ""),
    ("kill nosuch", (1, 125), MISSING, ""),
    ("rm nosuch", 1, MISSING, ""),
    ("logs nosuch", (1, 125), MISSING, ""),
    ("wait nosuch", (1, 125), MISSING, ""),
    ("exec nosuch true", (1, 125), MISSING, ""),
    ("cp nosuch:/x .", (1, 125), MISSING, ""),
    ("create --name one busybox", 125, IN_USE, NAME_HINT),
    ("rename two one", (1, 125), IN_USE, NAME_HINT),
    ("create --name 'a b' busybox", 125,
     'invalid container name "a b": it must have two or more of [a-zA-Z0-9_.-] and begin with a letter or digit\n', ""),
    # states
    ("exec one true", (1, 255), STOPPED, "hint: rcrun start one\n"),
    ("top one", (1, 125), STOPPED, "hint: rcrun start one\n"),
    ("pause one", (1, 125), 'cannot pause container "one": it is created\n', ""),
    ("rm two", (1, 2), {
        "rcrun": 'rcrun: error: cannot remove container "two": container is running: stop the container before removing or force remove\n',
        "docker": DAEMON + 'cannot remove container "two": container is running: stop the container before removing or force remove\n',
        "podman": 'Error: cannot remove container "two": container is running: stop the container before removing or force remove\n',
     }, "hint: rcrun rm -f two\n"),
    # what is run
    ("run --rm --net none busybox nosuch", 127, '"nosuch": executable file not found in $PATH\n',
     "hint: no directory of the container's PATH has it; if it is elsewhere, give its whole path\n"),
    ("run --rm --net none busybox 'echo x'", 127, '"echo x": executable file not found in $PATH\n',
     "hint: these are several words in one: leave the quotes out, or give them to a shell: sh -c\n"),
    ("run --rm --net none busybox /nosuch", 127, 'cannot run "/nosuch": No such file or directory\n',
     "hint: the file, or the interpreter that its first line names, is missing in the container\n"),
    ("run --rm --net none busybox /etc/passwd", 126, 'cannot run "/etc/passwd": Permission denied\n',
     "hint: it is not executable, or its file system is mounted noexec\n"),
    ("run --rm --net none busybox /etc", 126, 'cannot run "/etc": Is a directory\n',
     "hint: name a program: a directory cannot be run\n"),
    ("exec two nosuch", 127, '"nosuch": executable file not found in $PATH\n',
     "hint: no directory of the container's PATH has it; if it is elsewhere, give its whole path\n"),
    ("run --rm --net none -u nosuch busybox true", 125,
     'unable to find user "nosuch": no matching entry in /etc/passwd of the image\n',
     "hint: give a number, which needs no entry: --user 1000\n"),
    ("run --rm --net none -u 0:nosuch busybox true", 125,
     'unable to find group "nosuch": no matching entry in /etc/group of the image\n',
     "hint: give a number, which needs no entry: --user 1000:1000\n"),
    ("run --rm --net none -w /etc/passwd busybox true", 125,
     'cannot make the directory "/etc/passwd": not a directory\n', ""),
    # options
    ("run -v a:b:c:d busybox", 125, 'invalid --volume "a:b:c:d"\n', "hint: write [SOURCE:]DESTINATION[:OPTIONS]\n"),
    ("run --mount type=bind,source=/nosuch,target=/x busybox", 125,
     'cannot mount "/nosuch": it does not exist or cannot be looked at\n', "hint: make it first, or add bind-create-src\n"),
    ("run --net none --security-opt nosuch=1 busybox", 125,
     'invalid --security-opt "nosuch=1": there is no such option\n',
     "hint: options: no-new-privileges seccomp=FILE apparmor=PROFILE systempaths=unconfined mask=PATHS unmask=PATHS label=disable\n"),
    ("run --net none --hostname 'a b' busybox", 125,
     'invalid --hostname "a b": it has at most 64 letters, none of them a blank or a slash\n', ""),
    ("run -p 99999:80 busybox", 125, 'invalid port "99999:80": "99999" is not a port number\n', ""),
    ("run -p 203.0.113.9:8080:80 busybox", 125,
     "cannot publish 203.0.113.9:8080/tcp: the host does not have this address\n", "hint: see which it has: ip address\n"),
    # volumes
    ("volume rm nosuch", 1, {
        "rcrun": "rcrun: error: no such volume: nosuch\n",
        "docker": DAEMON + "get nosuch: no such volume\n",
        "podman": 'Error: no volume with name "nosuch" found: no such volume\n',
     }, "hint: list them with: rcrun volume ls\n"),
    ("volume create 'a b'", (1, 125),
     'invalid volume name "a b": it must have two or more of [a-zA-Z0-9_.-] and begin with a letter or digit\n', ""),
]  # fmt: skip


@pytest.fixture
def called(rcrun):
    folder = rcrun.account.new_dir("bin")
    for name in PREFIX:
        (folder / name).symlink_to(bin_dir() / "rcrun")
    return lambda name, line: rcrun.account.run(folder / name, *shlex.split(line), env=rcrun.env)


@pytest.fixture
def there(rcrun):
    """`one` was created, `two` runs."""
    quiet = ("--network", "none")
    rcrun("create", "--name", "one", *quiet, "busybox", "true").check()
    rcrun("run", "-d", "--name", "two", *quiet, "busybox", "sleep", "100").check()
    return rcrun


def text_of(got) -> str:
    return re.sub("[0-9a-f]{64}", "ID", got.err)


@pytest.mark.parametrize("name", PREFIX)
def test_the_whole_text(called, there, name):
    failures = []
    for line, status, texts, hint in TEXTS:
        expected = status if isinstance(status, int) else status[name == "podman"]
        got = called(name, line)
        said = text_of(got).removeprefix("Trying to pull localhost:1/x:1...\n")
        if texts == "*":
            right = said.startswith(PREFIX[name])
        else:
            message = texts[name] if isinstance(texts, dict) else PREFIX[name] + texts
            right = said == message + hint
        if got.status != expected or not right:
            failures.append(f"{line}: {got!r}")
        failures += [f"{line}: {fault}" for fault in faults(said)]
    assert not failures, "\n".join(failures)


def faults(said: str) -> list[str]:
    """What no error may be."""
    lines = said.splitlines()
    found = ["a trace"] if "Traceback" in said or "this is a bug" in said else []
    found += ["no text"] if not lines else []
    found += [
        f"ends with a stop: {line}" for line in lines if line.endswith(".") and "..." not in line
    ]
    found += ["more than a message and a hint"] if len(lines) > 2 else []
    return found


# ---- the host refuses


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("prepare", "line", "text"),
    [
        ("mount --bind $store $store; mount -o remount,bind,ro $store",
         "create busybox", '"$store/gate.lock": read-only file system\nhint: run: rcrun doctor\n'),
        ("mount --bind $store $store; mount -o remount,bind,ro $store",
         "rm one", "read-only file system\nhint: run: rcrun doctor\n"),
        ("mount -t tmpfs -o mode=000 none $store", "images",
         "permission denied\nhint: it belongs to root, as after sudo; run: sudo find $store -user root -exec chown -h $me: {} +\n"),
    ],
)  # fmt: skip
def test_a_store_that_refuses(rcrun, there, prepare, line, text):
    account = rcrun.account
    become = f"setpriv --reuid {account.uid} --regid {account.gid} --clear-groups"
    script = f'store={rcrun.store_dir}\n{prepare}\nexec {become} "$@"'
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "slave", "sh", "-euc", script, "sh", bin_dir() / "rcrun", *line.split()],
        env={**account.environ, **rcrun.env}, cwd=account.home, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 125)
    said = re.sub("[0-9a-f]{64}", "ID", done.stderr)
    assert said.startswith("rcrun: error: ")
    text = text.replace("$store", str(rcrun.store_dir)).replace("$me", account.name)
    assert said.endswith(text)
    assert str(rcrun.store_dir) in said or "one" in said
    assert not faults(said)


def test_a_port_in_use(rcrun):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        got = rcrun("run", "--rm", "-p", f"127.0.0.1:{port}:80", "busybox", "true")
    assert got.status == 125
    assert got.err == (
        f"rcrun: error: cannot publish 127.0.0.1:{port}/tcp: port is already allocated\n"
        f"hint: publish another one, or see who has it: ss -lntp 'sport = :{port}'\n"
    )
