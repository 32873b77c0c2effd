"""Faults that runtimes have had, each by what it let happen; FAULTS says which tests keep it from happening here.

The tests of this file are those that had no better place: rcrun-oci, as root and as a user.
"""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.requires("userns")

# Number → the module and the tests.
FAULTS = {
    # a container writes the runtime's own program through /proc/PID/exe
    "CVE-2019-5736": ("test_overwrite", "test_entrypoint_that_is_our_own_program test_exec_of_our_own_program test_program_of_a_created_container"),
    # a volume of the image over /proc: labels are written into a file of its choice
    "CVE-2019-16884": ("test_running", "test_sysctls_and_labels_go_to_procfs_or_nowhere"),
    # /proc of the image is a link: masks and labels go elsewhere
    "CVE-2019-19921": ("test_mounts", "test_oci_proc_or_sys_that_is_a_link test_proc_or_sys_that_is_a_link"),
    "CVE-2023-28642": ("test_mounts", "test_oci_proc_or_sys_that_is_a_link"),
    # a destination becomes a link between the look and the mount
    "CVE-2021-30465": ("test_mounts", "test_destination_swapped_while_mounting test_rootfs_swapped_while_it_runs_rcrun"),
    # inheritable capabilities are left over in exec
    "CVE-2022-29162": ("test_leaks", "test_inheritable_and_ambient_capabilities_of_the_caller"),
    # /sys/fs/cgroup beneath a read-only /sys can be written
    "CVE-2023-25809": ("test_known_faults", "test_cgroups_beneath_a_readonly_sys_are_readonly"),
    # a descriptor of the host is left open, and the working directory leads through it
    "CVE-2024-21626": ("test_leaks", "test_oci_working_directory_through_descriptors test_working_directory_through_a_descriptor_is_refused test_descriptors_of_the_oci_runtime test_descriptors_of_an_oci_exec"),
    # what is made for a mount is made outside of the root
    "CVE-2024-45310": ("test_known_faults", "test_nothing_is_made_outside_of_the_root"),
    # /dev/null is a link while paths are masked with it
    "CVE-2025-31133": ("test_known_faults", "test_what_masks_is_never_a_file_of_the_containers_choice"),
    # /dev/console or /dev/pts/N is a link while the console is bound
    "CVE-2025-52565": ("test_known_faults", "test_console_over_links"),
    # writes to /proc/self/attr and sysctls are redirected
    "CVE-2025-52881": ("test_running", "test_sysctls_and_labels_go_to_procfs_or_nowhere test_oom_score_of_exec_meets_another_proc"),
    # /dev of the image is a link: nodes and links are made, modes changed, outside
    "CVE-2026-41579": ("test_known_faults", "test_dev_that_is_a_link_changes_nothing_outside"),
}  # fmt: skip


# The classes of the design, the same way; modules of hostile/ unless they say another.
CLASSES = {
    "a binary overwritten through /proc/self/exe": ("test_overwrite", "test_entrypoint_that_is_our_own_program test_rcrun_with_our_own_program_as_entrypoint test_nobody_looks_into_a_process_that_enters"),
    "a descriptor leaked": ("test_leaks", "test_descriptors_of_the_first_process test_descriptors_of_an_execed_process test_descriptors_of_the_oci_runtime test_descriptors_of_an_oci_exec"),
    "a working directory leaked": ("test_leaks", "test_working_directory_of_run_through_descriptors_is_refused test_oci_working_directory_through_descriptors"),
    "a mount destination swapped for a link": ("test_mounts", "test_destination_swapped_while_mounting test_rootfs_swapped_while_it_runs_rcrun test_destination_that_is_a_link"),
    "masked paths that are links": ("test_mounts", "test_null_of_the_image_is_not_the_mask test_readonly_paths_through_links"),
    "entries of /dev that are links": ("test_mounts", "test_devices_that_the_image_has_as_something_else test_directories_of_dev_that_are_links test_console_that_is_a_link"),
    "writes to attr and sysctls redirected": ("test_running", "test_sysctls_and_labels_go_to_procfs_or_nowhere test_sysctl_paths"),
    "inheritable capabilities left over": ("test_leaks", "test_inheritable_and_ambient_capabilities_of_the_caller"),
    "a layer that reaches out of the root": ("test_layers", "test_a_layer_that_reaches_out"),
    "a digest that does not match": ("test_archives", "test_a_layout_that_lies"),
    "a digest of a registry that does not match": ("registry.test_client", "test_manifest_with_the_wrong_digest"),
    "credentials that follow a redirect": ("registry.test_client", "test_redirect_elsewhere_takes_no_credentials_along"),
}  # fmt: skip


@pytest.mark.parametrize("fault", [*FAULTS, *CLASSES])
def test_every_known_fault_has_its_tests(fault):
    module, names = {**FAULTS, **CLASSES}[fault]
    tests = importlib.import_module(module if "." in module else f"hostile.{module}")
    assert [name for name in names.split() if not callable(getattr(tests, name, None))] == []


@pytest.fixture
def outside(account):
    """A directory of the host, which stays as it is."""
    place = account.new_dir("outside")
    (place / "file").write_text("mine\n")
    os.chown(place / "file", account.uid, account.gid)
    (place / "file").chmod(0o640)
    before = facts_of(place)
    yield place
    assert facts_of(place) == before


def facts_of(place):
    """All but the times: names, kinds, modes, owners, content."""
    found = {}
    for path in sorted(place.rglob("*")):
        status = path.lstat()
        text = path.read_bytes() if path.is_file() else b""
        found[path.name] = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, text)
    return (place.stat().st_mode, found)


def without_mounts(bundle, *destinations):
    kept = [
        mount
        for mount in bundle.config["mounts"]
        if not mount["destination"].startswith(destinations)
    ]
    bundle.config["mounts"] = kept
    return bundle


def assert_no_bug(got):
    assert "bug" not in got.err
    assert "Traceback" not in got.err
    assert got.status in (0, 1, 125, 126, 127), repr(got)


@pytest.fixture
def swapping(account, hostile_bundle, attack_program):
    """Two names of the root exchanged by a process of the host's, all the time."""
    program = hostile_bundle.put("swapper", attack_program.read_bytes(), 0o755)
    started = []

    def start(*names):
        paths = [str(hostile_bundle.dir / "rootfs" / name) for name in names]
        started.append(account.popen(program, "swap", *paths))

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_cgroups_beneath_a_readonly_sys_are_readonly(hostile_bundle):
    """The host's network brings the host's /sys, bound with what is mounted in it."""
    bundle = hostile_bundle.without_namespace("network").without_namespace("cgroup")
    bundle.mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    groups = [path for path in mounts if path.startswith("/sys/")]
    assert groups
    bundle.process(args=["/attack", "overwrite", *[f"{path}/cgroup.procs" for path in groups]])
    got = bundle.run().check()
    for line in got.out.splitlines():
        assert line.endswith(("Read-only file system", "No such file or directory", "Permission denied")), line  # fmt: skip


@pytest.mark.parametrize("kind", ["bind", "file", "tmpfs"])
def test_nothing_is_made_outside_of_the_root(hostile_bundle, outside, swapping, kind):
    """The missing end of a destination is made while a directory on its way becomes a link out."""
    bundle = hostile_bundle
    bundle.make_dir("rootfs/real")
    os.symlink(str(outside), bundle.dir / "rootfs/fake")
    if kind == "tmpfs":
        bundle.mount("/real/new/deep", "tmpfs", "tmpfs")
    else:
        source = bundle.put("source", "x") if kind == "file" else bundle.make_dir("sources")
        bundle.mount("/real/new/deep", "bind", str(source), "bind")
    bundle.process(cwd="/real/cwd/made", args=["/init", "true"])
    swapping("real", "fake")
    for _ in range(12):
        assert_no_bug(bundle.run())


def test_what_masks_is_never_a_file_of_the_containers_choice(hostile_bundle, outside, swapping):
    """/dev/null is exchanged with a link while paths are masked: nothing but an empty device covers them."""
    bundle = without_mounts(hostile_bundle, "/dev")
    bundle.put("rootfs/dev/null", "planted\n")
    os.symlink("/planted", bundle.dir / "rootfs/dev/other")
    bundle.put("rootfs/planted", "planted\n")
    bundle.put("rootfs/secret", "secret\n")
    bundle.linux(maskedPaths=["/secret", "/proc/keys", "/proc/timer_list"])
    bundle.process(args=["/attack", "read", "/secret", "/proc/keys", "/proc/timer_list"])
    swapping("dev/null", "dev/other")
    for _ in range(8):
        got = bundle.run()
        assert_no_bug(got)
        assert "planted" not in got.out
        assert "secret\n" not in got.out.replace("/secret", "")


@pytest.mark.parametrize("name", ["console", "ptmx", "pts", "pts/0"])
def test_console_over_links(hostile_bundle, outside, name):
    """Where the terminal is bound, and what it is taken from, are links of the image's."""
    bundle = without_mounts(
        hostile_bundle, *(["/dev"] if name == "pts/0" else ["/dev/pts", "/dev"])
    )
    path = bundle.dir / "rootfs/dev" / name
    bundle.make_dir(f"rootfs/dev/{name}").rmdir()
    path.symlink_to(outside if name == "pts" else outside / "file")
    bundle.own(path)
    bundle.process(terminal=True, args=["/init", "tty"])
    bundle.write()
    script = " ".join([*bundle.words(), "run", "-b", str(bundle.dir), bundle.id])
    got = bundle.account.run("script", "-qec", script, "/dev/null")
    assert "bug" not in got.out
    assert "mine" not in got.out


@pytest.mark.parametrize("where", ["/", "", "relative"])
@pytest.mark.parametrize("kept", ["none", "dev", "pts"])
def test_dev_that_is_a_link_changes_nothing_outside(hostile_bundle, outside, where, kept):
    """Nodes, links, directories and mounts of /dev, with and without a file system of its own."""
    gone = {"none": ["/dev"], "dev": ["/dev/pts"], "pts": ["/dev"]}[kept]
    pts = hostile_bundle.config["mounts"][2]
    bundle = without_mounts(hostile_bundle, *gone)
    if kept == "pts":
        bundle.config["mounts"].append(pts)
    if kept == "dev":
        bundle.mount("/dev", "tmpfs", "tmpfs", "mode=755")
    up = "../" * 20 + str(outside)[1:]
    (bundle.dir / "rootfs/dev").symlink_to(
        {"/": str(outside), "": f"/..{outside}", "relative": up}[where]
    )
    bundle.linux(
        devices=[{"path": "/dev/more", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 0, "gid": 0}],
        maskedPaths=["/dev/file"], readonlyPaths=["/dev"],
    )  # fmt: skip
    assert_no_bug(bundle.args("true").run())


def test_a_container_in_the_making_is_not_entered_by_another(hostile_bundle, new_bundle, outside):
    """Two containers of one root, one of which renames what the other's launch walks over."""
    bundle, other = hostile_bundle, new_bundle()
    bundle.make_dir("rootfs/real/a")
    (bundle.dir / "rootfs/fake").symlink_to(outside)
    other.config["root"]["path"] = str(bundle.dir / "rootfs")
    other.process(args=["/attack", "swap", "/real", "/fake"]).started()
    bundle.mount("/real/a/b", "tmpfs", "tmpfs")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert_no_bug(bundle.args("true").run())
