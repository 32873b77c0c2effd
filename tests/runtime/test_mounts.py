"""The root, mounts, devices and paths of config.json, as the program inside finds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.conftest import Bundle, not_on

pytestmark = pytest.mark.requires("userns")


class Mount:
    """A line of mountinfo."""

    def __init__(self, line: str) -> None:
        left, right = line.split(" - ")
        fields = left.split()
        self.point, self.options, self.optional = fields[4], fields[5].split(","), fields[6:]
        self.type = right.split()[0]
        self.data = right.split()[2].split(",")


def mounts(bundle: Bundle) -> dict[str, Mount]:
    """By mount point; the last of several is the one that is seen."""
    text = bundle.output("cat", "/proc/self/mountinfo")
    return {mount.point: mount for mount in map(Mount, text.splitlines())}


def test_the_root_is_all_that_is_seen(bundle: Bundle) -> None:
    assert bundle.output("ls", "/").split() == ["dev", "init", "proc"]
    points = mounts(bundle)
    assert not [point for point in points if str(bundle.dir) in point]


def test_a_readonly_root(bundle: Bundle) -> None:
    bundle.config["root"]["readonly"] = True
    result = bundle.args("write", "/file", "x").run()
    assert result.status == 1
    assert "Read-only file system" in result.err
    assert "ro" in mounts(bundle)["/"].options


def test_a_writable_root(bundle: Bundle) -> None:
    bundle.args("write", "/file", "text").run().check()
    assert (bundle.dir / "rootfs/file").read_text(encoding="utf-8") == "text"


@pytest.mark.parametrize("word", ["nosuid", "nodev", "noexec", "noatime", "ro", "nodiratime"])
def test_attributes(bundle: Bundle, word: str) -> None:
    bundle.mount("/t", "tmpfs", "tmpfs", word, "size=1m")
    mount = mounts(bundle)["/t"]
    assert mount.type == "tmpfs"
    assert word in mount.options
    assert "size=1024k" in mount.data


@pytest.mark.parametrize("word", ["nosuid", "nodev", "noexec", "ro"])
def test_attributes_of_a_bind_mount(bundle: Bundle, word: str) -> None:
    bundle.make_dir("data")
    bundle.mount("/t", "bind", str(bundle.dir / "data"), "bind", word)
    assert word in mounts(bundle)["/t"].options


def test_a_bind_mount(bundle: Bundle) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/deep/data", "bind", str(bundle.dir / "data"), "rbind", "rw")
    assert bundle.output("cat", "/deep/data/file") == "content"
    bundle.args("write", "/deep/data/new", "x").run().check()
    assert (bundle.dir / "data/new").exists()


def test_a_bind_mount_of_a_file(bundle: Bundle) -> None:
    bundle.put("file", "content")
    bundle.mount("/etc/file", "bind", "file", "bind")
    assert bundle.output("cat", "/etc/file") == "content"


def test_a_recursive_bind_mount_is_readonly_all_the_way(bundle: Bundle) -> None:
    """rro also reaches what is mounted beneath."""
    bundle.mount("/a", "bind", "/dev", "rbind", "rro")
    points = mounts(bundle)
    beneath = [mount for point, mount in points.items() if point.startswith("/a")]
    assert all("ro" in mount.options for mount in beneath)


def test_a_missing_source(bundle: Bundle) -> None:
    bundle.mount("/t", "bind", "/no/where", "bind")
    result = bundle.run()
    assert result.status != 0
    assert "/no/where" in result.err
    assert "o such file or directory" in result.err


def test_mounts_come_in_their_order(bundle: Bundle) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/t", "tmpfs", "tmpfs").mount("/t/data", "bind", "data", "bind")
    assert bundle.output("ls", "/t") == "data"
    assert bundle.output("cat", "/t/data/file") == "content"


def test_a_tmpfs_over_what_was_there(bundle: Bundle) -> None:
    bundle.put("rootfs/etc/file", "content", 0o640)
    bundle.mount("/etc", "tmpfs", "tmpfs")
    assert bundle.output("ls", "/etc") == ""


def test_a_tmpfs_that_begins_with_what_was_there(bundle: Bundle) -> None:
    bundle.put("rootfs/etc/deep/file", "content", 0o640)
    bundle.mount("/etc", "tmpfs", "tmpfs", "tmpcopyup")
    assert bundle.output("cat", "/etc/deep/file") == "content"
    assert "100640" in bundle.output("stat", "/etc/deep/file")
    bundle.args("write", "/etc/new", "x").run().check()
    assert not (bundle.dir / "rootfs/etc/new").exists()


def test_a_read_only_tmpfs_with_mounts_on_it(bundle: Bundle) -> None:
    """As podman run --read-only --read-only-tmpfs=false has /dev: read-only when all is in it."""
    for mount in bundle.config["mounts"]:
        if mount["destination"] == "/dev":
            mount["options"] = [*mount["options"], "ro"]
    assert "null" in bundle.output("ls", "/dev")
    given = bundle.args("write", "/dev/new", "x").run()
    assert given.status != 0
    assert "Read-only file system" in given.err
    bundle.args("write", "/dev/null", "x").run().check()


@pytest.mark.parametrize("word", ["rprivate", "rslave"])
def test_propagation(bundle: Bundle, word: str) -> None:
    bundle.make_dir("data")
    bundle.mount("/t", "bind", "data", "rbind", word)
    optional = mounts(bundle)["/t"].optional
    assert not [field for field in optional if field.startswith("shared")]


def test_propagation_of_the_root(bundle: Bundle) -> None:
    bundle.linux(rootfsPropagation="shared")
    assert [field for field in mounts(bundle)["/"].optional if field.startswith("shared:")]


def test_devices(bundle: Bundle) -> None:
    numbers = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}  # fmt: skip
    for line in bundle.output("stat", *(f"/dev/{name}" for name in numbers)).splitlines():
        path, mode, *_, device = line.split()
        assert mode == "20666"
        assert device == numbers[path.removeprefix("/dev/")]
    links = bundle.output(
        "stat", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/ptmx"
    )
    assert links.splitlines() == [
        "/dev/fd -> /proc/self/fd",
        "/dev/stdin -> /proc/self/fd/0",
        "/dev/stdout -> /proc/self/fd/1",
        "/dev/stderr -> /proc/self/fd/2",
        "/dev/ptmx -> pts/ptmx",
    ]


def test_null_swallows(bundle: Bundle) -> None:
    bundle.args("write", "/dev/null", "x").run().check()


def test_a_device_more(bundle: Bundle, ours: None) -> None:
    device = {"path": "/dev/extra/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}
    bundle.linux(devices=[device])
    if bundle.account.kind != "root":
        device["path"] = "/dev/null"  # a user has only the host's nodes, under the host's names
    line = bundle.output("stat", device["path"])
    assert line.split()[-1] == "1:3"
    if bundle.account.kind == "root":
        assert line.split()[1] == "20600"


def test_a_fifo(bundle: Bundle, ours: None) -> None:
    bundle.linux(devices=[{"path": "/dev/pipe", "type": "p", "fileMode": 0o620}])
    assert bundle.output("stat", "/dev/pipe").split()[1] == "10620"


def test_masked_and_readonly_paths(bundle: Bundle) -> None:
    bundle.put("rootfs/dir/file", "secret")
    bundle.put("rootfs/file", "secret")
    bundle.put("rootfs/keep/file", "text")
    bundle.linux(
        maskedPaths=["/dir", "/file", "/missing", "/proc/timer_list"],
        readonlyPaths=["/keep", "/proc/sys", "/missing"],
    )
    assert bundle.output("ls", "/dir") == ""
    assert bundle.output("cat", "/file", "/proc/timer_list") == ""
    assert bundle.output("cat", "/keep/file") == "text"
    for path in ("/keep/file", "/proc/sys/kernel/hostname", "/dir/new"):
        result = bundle.args("write", path, "x").run()
        assert result.status == 1
        assert "Read-only" in result.err


def test_sysctls(bundle: Bundle) -> None:
    bundle.linux(sysctl={"net.ipv4.ip_forward": "1"}, readonlyPaths=["/proc/sys"])
    assert bundle.output("cat", "/proc/sys/net/ipv4/ip_forward") == "1"


def test_hostname_and_domainname(bundle: Bundle) -> None:
    bundle.config.update(hostname="inside", domainname="example.org", ociVersion="1.1.0")
    if os.environ.get("OCI_RUNTIME"):
        bundle.config.update(ociVersion="1.0.2")
    assert bundle.output("uname").split()[:2] == ["inside", "example.org"]


def test_sysfs_and_cgroups(bundle: Bundle) -> None:
    closed = ("nosuid", "noexec", "nodev", "ro")
    bundle.mount("/sys", "sysfs", "sysfs", *closed)
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", *closed)
    bundle.config["linux"]["namespaces"].append({"type": "cgroup"})
    points = mounts(bundle)
    assert points["/sys"].type == "sysfs"
    assert "ro" in points["/sys"].options
    beneath = [mount for point, mount in points.items() if point.startswith("/sys/fs/cgroup")]
    assert beneath
    assert all("ro" in mount.options for mount in beneath)


def test_the_hosts_network_and_sysfs(bundle: Bundle) -> None:
    bundle.without_namespace("network").mount(
        "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"
    )
    assert mounts(bundle)["/sys"].type == "sysfs"
    assert bundle.output("ls", "/sys/class/net").split() == sorted(os.listdir("/sys/class/net"))


def test_the_hosts_processes(bundle: Bundle, ours: None) -> None:
    bundle.without_namespace("pid")
    assert bundle.output("cat", "/proc/self/status").count("NSpid:") == 1
    assert int(bundle.output("session").split()[1]) > 1


# ---- hostile roots


def test_a_destination_that_leaves_the_root(bundle: Bundle) -> None:
    """A link of the image leads into the image, never to the host."""
    target = bundle.make_dir("outside")
    (bundle.dir / "rootfs/out").symlink_to(target)
    bundle.put("data/file", "content")
    bundle.mount("/out/data", "bind", "data", "bind")
    bundle.run()
    assert list(target.iterdir()) == []


def test_a_destination_with_dots(bundle: Bundle) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/../../../data", "bind", "data", "bind")
    assert bundle.output("cat", "/data/file") == "content"


def test_an_absolute_link_is_of_the_root(bundle: Bundle) -> None:
    bundle.make_dir("rootfs/real")
    (bundle.dir / "rootfs/link").symlink_to("/real")
    bundle.put("data/file", "content")
    bundle.mount("/link", "bind", "data", "bind")
    assert bundle.output("cat", "/real/file") == "content"


def test_a_linked_dev(bundle: Bundle) -> None:
    target = bundle.make_dir("outside")
    (bundle.dir / "rootfs/dev").symlink_to(target)
    bundle.run()
    assert list(target.iterdir()) == []


def test_a_masked_path_that_is_a_link(bundle: Bundle) -> None:
    secret = bundle.put("secret", "text")
    (bundle.dir / "rootfs/masked").symlink_to(secret)
    bundle.linux(maskedPaths=["/masked"], readonlyPaths=["/masked"])
    bundle.run().check()
    assert secret.read_text(encoding="utf-8") == "text"


def test_something_else_at_proc(bundle: Bundle, ours: None) -> None:
    """What is written to /proc must be a procfs, whatever the image or a mount put there."""
    bundle.config["mounts"][0] = {"destination": "/proc", "type": "tmpfs", "source": "tmpfs"}
    bundle.linux(sysctl={"net.ipv4.ip_forward": "1"})
    result = bundle.run()
    assert result.status == 1
    assert "sysctl" in result.err


def test_the_root_is_a_file(bundle: Bundle, ours: None) -> None:
    bundle.put("plain")
    bundle.config["root"]["path"] = "plain"
    result = bundle.run()
    assert result.status == 1
    assert "root file system" in result.err
    assert Path(bundle.dir, "plain").read_bytes() == b""


# ---- links


@pytest.mark.parametrize(
    ("target", "made"), [("../deep/file", "deep/file"), ("/deep/file", "deep/file")]
)
def test_a_dangling_link_is_filled_beneath_the_root(bundle: Bundle, target: str, made: str) -> None:
    bundle.put("data", "content")
    bundle.make_dir("rootfs/etc")
    (bundle.dir / "rootfs/etc/link").symlink_to(target)
    bundle.mount("/etc/link", "bind", str(bundle.dir / "data"), "bind")
    assert bundle.output("cat", "/etc/link") == "content"
    assert (bundle.dir / "rootfs" / made).exists()


@not_on("crun", "refuses such a link, as one that leads nowhere")
def test_a_dangling_link_never_leads_out_of_the_root(bundle: Bundle) -> None:
    outside = Path("/tmp") / bundle.id
    bundle.make_dir("data")
    for name, target in {"up": "../" * 20 + str(outside), "absolute": str(outside)}.items():
        bundle.make_dir("rootfs")
        (bundle.dir / "rootfs" / name).symlink_to(target)
        bundle.mount(f"/{name}", "bind", str(bundle.dir / "data"), "bind")
    bundle.output("ls", "/")
    assert not outside.exists()
    assert (bundle.dir / f"rootfs{outside}").is_dir()


def test_links_in_a_circle_are_an_error(bundle: Bundle) -> None:
    bundle.make_dir("rootfs")
    (bundle.dir / "rootfs/a").symlink_to("b")
    (bundle.dir / "rootfs/b").symlink_to("a")
    bundle.mount("/a", "tmpfs", "tmpfs")
    result = bundle.run()
    assert result.status != 0
    assert "symbolic links" in result.err


@not_on("crun", "1.8 does not know dest-nofollow; later ones do")
def test_links_are_mounted_and_mounted_on(bundle: Bundle) -> None:
    bundle.put("file", "content")
    bundle.make_dir("rootfs")
    (bundle.dir / "link").symlink_to("file")
    (bundle.dir / "rootfs/target").symlink_to("nowhere")
    bundle.mount("/target", "bind", str(bundle.dir / "link"), "bind", "dest-nofollow")
    assert bundle.output("cat", "/target") == "content"
    assert not (bundle.dir / "rootfs/nowhere").exists()
    bundle.config["mounts"][-1]["options"].append("src-nofollow")
    assert bundle.output("stat", "/target") == "/target -> file"


def test_no_link_of_procfs_is_mounted_on(bundle: Bundle) -> None:
    bundle.put("file", "content")
    bundle.mount("/proc/self", "bind", str(bundle.dir / "file"), "bind", "dest-nofollow")
    assert bundle.run().status != 0


@not_on("crun", "1.8 does not know copy-symlink; later ones do")
def test_a_link_is_copied(bundle: Bundle) -> None:
    (bundle.dir / "link").symlink_to("to-nowhere")
    bundle.mount("/deep/link", "bind", str(bundle.dir / "link"), "rbind", "copy-symlink")
    for _ in range(2):  # then it is there already
        assert bundle.output("stat", "/deep/link") == "/deep/link -> to-nowhere"
    (bundle.dir / "link").unlink()
    (bundle.dir / "link").symlink_to("elsewhere")
    assert "exists" in bundle.run().err


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_user_is_told_that_idmapped_mounts_take_root(bundle: Bundle, ours: None) -> None:
    bundle.put("data/file", "content")
    bundle.mount("/data", "bind", str(bundle.dir / "data"), "bind")
    rows = [{"containerID": 0, "hostID": 0, "size": 10}]
    bundle.config["mounts"][-1].update(uidMappings=rows, gidMappings=rows)
    result = bundle.run()
    assert result.status != 0
    assert 'cannot map the ids of the mount "/data"' in result.err
