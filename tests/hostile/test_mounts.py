"""Destinations that lead out of the root, or change while they are mounted; masked paths and devices that are links."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time

import pytest

from hostile.conftest import NO_NETWORK, layer

FILES = {
    "/dev/null": "666", "/dev/zero": "666", "/dev/full": "666", "/dev/random": "666",
    "/dev/urandom": "666", "/dev/tty": "666",
}  # fmt: skip


def link(path, target):
    return (path, tarfile.SYMTYPE, target)


def directory(path):
    return (path, tarfile.DIRTYPE, b"")


@pytest.fixture
def outside(account):
    """A directory of the host beside the root, with a file in it that stays as it is."""
    place = account.new_dir("outside")
    (place / "file").write_text("mine\n")
    os.chown(place / "file", account.uid, account.gid)
    yield place
    assert sorted(os.listdir(place)) == ["file"]
    assert (place / "file").read_text() == "mine\n"


# ---- destinations


@pytest.mark.parametrize(
    "kind", ["absolute", "relative", "chain", "fd", "dangling", "loop", "root"]
)
def test_destination_that_is_a_link(rcrun, make_image, outside, kind):
    up = "../" * 12
    links = {
        "absolute": [link("data", str(outside))],
        "relative": [link("data", f"{up}{outside}"[: -len(str(outside))] + str(outside)[1:])],
        "chain": [link("data", "b/c"), directory("b"), link("b/c", f"/../..{outside}")],
        "fd": [link("data", "/proc/self/fd/3")],
        "dangling": [link("data", f"{outside}/made")],
        "loop": [link("data", "more"), link("more", "data")],
        "root": [link("data", "/proc/self/root")],
    }[kind]
    make_image(f"link-{kind}", {}, [layer(*links)])
    source = rcrun.account.new_dir("source")
    (source / "seen").write_text("inside\n")
    for target in ("/data", "/data/file", "/data/made/deep"):
        for mount in (("-v", f"{source}:{target}"), ("--tmpfs", target)):
            got = rcrun("run", "--rm", *mount, *NO_NETWORK, f"link-{kind}", "true")
            assert "bug" not in got.err
            assert got.status in (0, 125, 126, 127)
    # A volume is filled from the image's directory: not from the host's.
    got = rcrun("run", "--rm", "-v", "/data", *NO_NETWORK, f"link-{kind}", "ls", "/data/")
    assert "file" not in got.out.split()


@pytest.mark.parametrize("path", ["/../../../x", "/a/../../x", "//x", "/./x", "x"])
def test_destination_with_dots(hostile_bundle, outside, path):
    """They are beneath the root, whatever they say."""
    hostile_bundle.mount(path, "tmpfs", "tmpfs")
    hostile_bundle.process(args=["/attack", "mount", "none", "/x", "none", "0x1020"])
    got = hostile_bundle.run()
    # What is at /x is a mount of the container's or the configuration was refused; nothing is made above the root.
    assert not (hostile_bundle.dir / "x").exists()
    assert not (hostile_bundle.dir.parent / "x").exists()
    assert "bug" not in got.err


@pytest.mark.parametrize("where", ["/", "/.", "/..", "/a/.."])
def test_destination_that_is_the_root(hostile_bundle, where):
    hostile_bundle.make_dir("rootfs/a")
    hostile_bundle.mount(where, "tmpfs", "tmpfs")
    assert hostile_bundle.run().status != 0


@pytest.mark.parametrize("where", ["proc", "sys"])
@pytest.mark.parametrize("kind", ["up", "tmp", "dev", "dangling"])
def test_proc_or_sys_that_is_a_link(rcrun, make_image, where, kind):
    """Masked and read-only paths would be another place's: refused, as runc does."""
    target = {"up": "../../../../tmp", "tmp": "/tmp", "dev": "/dev/shm/p", "dangling": "/none/here"}
    members = [(f".wh.{where}", tarfile.REGTYPE, b"")], [link(where, target[kind])]
    name = f"{where}-{kind}"
    make_image(name, {}, [layer(*each) for each in members])
    got = rcrun("run", "--rm", *NO_NETWORK, name, "true")
    assert got.status != 0
    assert f"/{where}" in got.err


@pytest.mark.parametrize("inner", ["proc", "sys", "dev"])
def test_oci_proc_or_sys_that_is_a_link(hostile_bundle, inner):
    if inner == "sys":
        hostile_bundle.mount("/sys", "sysfs", "sysfs", "ro")
    os.symlink("/tmp", hostile_bundle.dir / "rootfs" / inner)
    hostile_bundle.make_dir("rootfs/tmp")
    got = hostile_bundle.args("true").run()
    if inner == "dev":
        assert "bug" not in got.err
    else:
        assert got.status != 0
        assert "must be mounted on ordinary directory" in got.err


@pytest.mark.parametrize("path", ["dev", "dev/pts", "dev/shm", "dev/mqueue", "sys/fs/cgroup"])
def test_directories_of_dev_that_are_links(rcrun, make_image, outside, path):
    """The image's are hidden by our own /dev, or resolved beneath the root."""
    first = path.partition("/")[0]
    members = [(f".wh.{first}", tarfile.REGTYPE, b"")]
    parents = (
        [directory(first), link(path, str(outside))] if "/" in path else [link(path, str(outside))]
    )
    name = "linkdev-" + path.replace("/", "-")
    make_image(name, {}, [layer(*members), layer(*parents)])
    got = rcrun("run", "--rm", *NO_NETWORK, name, "sh", "-c", "echo x > /dev/null && echo fine")
    assert got.out == "fine\n" or got.status == 125 or got.status == 1
    assert "bug" not in got.err


# ---- a destination that is swapped while it is mounted


@pytest.mark.parametrize("account", ["root", "user"], indirect=True)
def test_destination_swapped_while_mounting(account, attack_program, hostile_bundle, outside):
    """A process with the same root exchanges a directory and a link out of it, all the time."""
    bundle = hostile_bundle
    bundle.make_dir("rootfs/real/sub")
    os.symlink(str(outside), bundle.dir / "rootfs/fake")
    bundle.mount("/real/sub", "tmpfs", "tmpfs", "rw")
    bundle.mount("/real/sub/deep", "bind", str(bundle.make_dir("source")), "bind")
    bundle.config["linux"]["maskedPaths"] = ["/real/file", "/real"]
    bundle.config["linux"]["readonlyPaths"] = ["/real"]
    program = bundle.put("swapper", attack_program.read_bytes(), 0o755)
    names = [str(bundle.dir / "rootfs" / name) for name in ("real", "fake")]
    swapper = account.popen(program, "swap", *names)
    before = mounts_of(account)
    try:
        statuses = {bundle.args("true").run().status for _ in range(15)}
    finally:
        swapper.kill()
        swapper.wait()
    assert statuses <= {0, 1, 125, 126, 127}
    assert mounts_of(account) == before
    assert not list(outside.glob("sub"))


def mounts_of(account):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [line for line in file if str(account.dir) in line]


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_rootfs_swapped_while_it_runs_rcrun(rcrun, account, attack, attack_program, outside):
    """--rootfs of somebody who changes it meanwhile."""
    root = account.new_dir("root")
    for name in ("bin", "dev", "proc", "sys", "etc", "run", "tmp", "etc2"):
        (root / name).mkdir()
    (root / "bin/attack").write_bytes(attack_program.read_bytes())
    (root / "bin/attack").chmod(0o755)
    os.symlink(str(outside), root / "fake")
    subprocess.run(["chown", "-hR", f"{account.uid}:{account.gid}", str(root)], check=True)
    swappers = [
        account.popen(root / "bin/attack", "swap", root / name, root / "fake")
        for name in ("etc", "run", "dev")
    ]
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            got = rcrun("run", "--rm", *NO_NETWORK, "--rootfs", root, "/bin/attack", "escape", "x")
            assert "bug" not in got.err
    finally:
        for swapper in swappers:
            swapper.kill()
            swapper.wait()


# ---- masked and readonly paths


def test_masked_paths_are_masked(rcrun, attack):
    got = rcrun(
        "run", "--rm", *NO_NETWORK, *attack, "busybox",
        "/attack", "read", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware/x",
    )  # fmt: skip
    for line in got.out.splitlines():
        assert line.endswith(("Permission denied", "No such file or directory", "read ")), line


def test_null_of_the_image_is_not_the_mask(hostile_bundle):
    """/dev/null of the image is another file: what covers a masked path is the host's."""
    hostile_bundle.config["mounts"] = [
        mount
        for mount in hostile_bundle.config["mounts"]
        if not mount["destination"].startswith("/dev")
    ]
    hostile_bundle.put("rootfs/dev/null", "not null\n")
    hostile_bundle.put("rootfs/secret", "secret\n")
    os.symlink("/secret", hostile_bundle.dir / "rootfs/alias")
    hostile_bundle.linux(maskedPaths=["/alias", "/proc/kcore"])
    hostile_bundle.process(args=["/attack", "read", "/secret", "/dev/null"])
    got = hostile_bundle.run().check()
    assert "secret\n" not in got.out.replace("/secret", "")
    assert "not null" not in got.out


def test_readonly_paths_through_links(hostile_bundle, outside):
    hostile_bundle.make_dir("rootfs/real")
    os.symlink("/real", hostile_bundle.dir / "rootfs/alias")
    os.symlink(f"/../../..{outside}", hostile_bundle.dir / "rootfs/out")
    hostile_bundle.linux(readonlyPaths=["/alias", "/out", "/out/file", "/none"])
    assert "Read-only" in hostile_bundle.args("write", "/real/x", "y").run().err


@pytest.mark.parametrize("path", FILES)
def test_devices_that_the_image_has_as_something_else(hostile_bundle, outside, path):
    """Without a /dev of our own the image's entries are in the way."""
    hostile_bundle.config["mounts"] = hostile_bundle.config["mounts"][:1]
    hostile_bundle.make_dir("rootfs/dev")
    os.symlink(str(outside / "file"), hostile_bundle.dir / f"rootfs{path}")
    got = hostile_bundle.args("write", path, "overwritten").run()
    assert "bug" not in got.err


def test_console_that_is_a_link(hostile_bundle, outside):
    hostile_bundle.config["mounts"] = [
        mount for mount in hostile_bundle.config["mounts"] if mount["destination"] != "/dev"
    ]
    hostile_bundle.make_dir("rootfs/dev/pts")
    os.symlink(str(outside / "file"), hostile_bundle.dir / "rootfs/dev/console")
    hostile_bundle.process(terminal=True, args=["/init", "echo", "hello"])
    hostile_bundle.write()
    script = " ".join(
        [*hostile_bundle.words(), "run", "-b", str(hostile_bundle.dir), hostile_bundle.id]
    )
    got = hostile_bundle.account.run("script", "-qec", script, "/dev/null")
    assert "bug" not in got.out


# ---- device nodes


@pytest.mark.parametrize("account", ["root"], indirect=True)
@pytest.mark.parametrize("options", [(), ("--init",), ("-v", "/data"), ("--tmpfs", "/data")])
def test_device_nodes_made_in_a_container_open_nothing(rcrun, attack, options):
    """Root's container has CAP_MKNOD, as with docker: no node that it makes may lead to the host's devices."""
    script = (
        "mkdir -p /data; for d in / /dev /dev/shm /tmp /data /run /etc; do"
        " /attack mknod $d/n 1 3 >/dev/null; /attack read $d/n; done"
    )
    words = ("run", "--rm", *options, *NO_NETWORK, *attack, "busybox", "sh", "-c", script)
    for line in rcrun(*words).check().out.splitlines():
        assert line.endswith(("Permission denied", "No such file or directory")), line


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_device_nodes_of_an_image_open_nothing(rcrun, make_image, attack):
    make_image("nodes", {"Volumes": {"/vol": {}}}, [
        layer(
            directory("vol"),
            ("n", tarfile.CHRTYPE, (1, 3)),
            ("vol/n", tarfile.CHRTYPE, (1, 3)),
            ("etc/n", tarfile.CHRTYPE, (1, 3)),
        )
    ])  # fmt: skip
    got = rcrun(
        "run", "--rm", *NO_NETWORK, *attack, "nodes", "/attack", "read", "/n", "/vol/n", "/etc/n"
    )
    for line in got.check().out.splitlines():
        assert line.endswith(("Permission denied", "No such file or directory")), line


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_the_container_s_own_devices_work(rcrun, attack):
    script = (
        "for d in null zero full random urandom tty; do /attack read /dev/$d; done; ls -l /dev/null"
    )
    got = rcrun("run", "--rm", *NO_NETWORK, *attack, "busybox", "sh", "-c", script).check()
    assert "Permission denied" not in got.out
    assert "crw-rw-rw-" in got.out
    more = ("--device", "/dev/net/tun", "--device", "/dev/fuse:/dev/x")
    got = rcrun("run", "--rm", *more, *NO_NETWORK, *attack, "busybox", "/attack", "read", "/dev/x")
    assert "ermission denied" not in got.check().out


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_privileged_has_devices(rcrun, attack):
    script = "/attack mknod /n 1 3 && /attack read /n"
    got = rcrun("run", "--rm", "--privileged", *NO_NETWORK, *attack, "busybox", "sh", "-c", script)
    assert got.check().out == "/n: done\n/n: read \n"


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_oci_device_rules_hold(hostile_bundle):
    """`resources.devices` denies all: what cannot be done with a cgroup is done with mounts."""
    hostile_bundle.linux(resources={"devices": [{"allow": False, "access": "rwm"}]})
    for name in ("bounding", "effective", "permitted"):
        hostile_bundle.config["process"]["capabilities"][name] = ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    hostile_bundle.process(args=["/attack", "mknod", "/n", "1", "3"])
    hostile_bundle.run().check()
    hostile_bundle.process(args=["/attack", "read", "/n", "/dev/null"])
    got = hostile_bundle.run().check()
    assert got.out == "/n: Permission denied\n/dev/null: read \n"


# ---- what is the whole host's


def test_the_kernel_of_the_host_cannot_be_configured(rcrun, attack):
    """Root's container, too, reads at most: what these files do, they do to the host."""
    script = """
    for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/panic_on_oom \
        /proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger /proc/irq/0/smp_affinity \
        /sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state \
        /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent /sys/fs/cgroup/cgroup.procs \
        /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/*/tasks /sys/firmware/x; do
        [ -e $f ] && (: > $f) 2>/dev/null && echo wrote $f
    done
    mount -o remount,rw /sys 2>/dev/null && echo remounted
    mount -t sysfs x /mnt 2>/dev/null && echo mounted
    mkdir -p /m; mount -t tmpfs x /m 2>/dev/null && echo mounted
    echo over"""
    for options in ((), ("--network", "host"), ("--init",)):
        more = options if "host" in options else (*options, *NO_NETWORK)
        got = rcrun("run", "--rm", *more, "busybox", "sh", "-c", script)
        assert got.out == "over\n", options


@pytest.mark.parametrize("account", ["root"], indirect=True)
def test_capabilities_that_would_be_the_hosts(rcrun):
    got = rcrun("run", "--rm", *NO_NETWORK, "busybox", "grep", "CapBnd", "/proc/self/status")
    mask = int(got.check().out.split()[1], 16)
    # SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, SYS_TIME, SYSLOG, NET_ADMIN, BPF
    for bit in (16, 17, 19, 21, 22, 25, 34, 12, 39, 2):
        assert not mask >> bit & 1, bit


@pytest.mark.parametrize("path", ["etc/resolv.conf", "etc/hosts", "etc/hostname"])
def test_bound_files_over_dangling_links(rcrun, make_image, path):
    """As images made for systemd have them: the file is beneath the root, wherever the link says it is."""
    name = "dangling-" + path.replace("/", "-")
    make_image(name, {}, [layer(link(path, "../run/none/such/file"))])
    got = rcrun(
        "run", "--rm", *NO_NETWORK, name, "sh", "-c", f"cat /{path} >/dev/null && echo fine"
    )
    assert got.out == "fine\n", got


@pytest.mark.parametrize("path", ["etc", "run", "etc/resolv.conf", "etc/hosts"])
def test_places_of_bound_files_that_lead_out(rcrun, make_image, outside, path):
    members = [(f".wh.{path}", tarfile.REGTYPE, b"")] if "/" not in path else []
    target = str(outside) if "/" not in path else str(outside / "file")
    name = "out-" + path.replace("/", "-")
    make_image(name, {}, [*([layer(*members)] if members else []), layer(link(path, target))])
    got = rcrun("run", "--rm", *NO_NETWORK, name, "true")
    assert "bug" not in got.err
