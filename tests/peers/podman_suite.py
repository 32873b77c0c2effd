"""What podman's system tests need beside their checkout: an image as theirs is, and programs that fetch nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGE = "quay.io/libpod/testimage:20241011"
OURS = Path(__file__).resolve().parents[2] / "rcrun-cli/bin/rcrun"
PROGRAMS = {"ip": "sbin/ip", "socat": "usr/bin/socat", "busybox": "bin/busybox"}
ELSEWHERE = ("usr/sbin/httpd", "usr/bin/env", "usr/bin/test", "usr/bin/nc", "usr/bin/tty")
FOLDERS = "dev etc home/podman mnt opt proc root run srv sys tmp usr/bin usr/sbin usr/lib usr/local/bin bin sbin lib var/mail"
ACCOUNTS = (
    ("root", 0, 0, "/root"),
    ("bin", 1, 1, "/bin"),
    ("mail", 8, 12, "/var/mail"),
    ("games", 35, 35, "/usr/games"),
)
USERS = (*ACCOUNTS, ("guest", 405, 100, "/dev/null"), ("nobody", 65534, 65534, "/"))
GROUPS = "root:0 bin:1 daemon:2 sys:3 adm:4 tty:5 mail:12 games:35 users:100 ping:999 nobody:65534"
OF_ROOT = ("bin", "daemon", "sys", "adm")
SECONDS_TESTED = 1_600_000_000  # the time of testimage-id, which tests ask for
SAYS = """if test -e /uh-oh || test -e /uh-oh-only-once; then
    echo "Uh-oh on stdout!"; echo "Uh-oh on stderr!" >&2; rm -f /uh-oh-only-once; exit 1
fi
echo "Life is Good on stdout"; echo "Life is Good on stderr" >&2
"""
WAITS = "trap 'exit 0' SIGTERM\necho Confirmed: testimage pause invoked as $0\nwhile :; do sleep 0.1; done\n"
SUMS = """cat >/tmp/bytes.$$
echo size=$(stat -c %s /tmp/bytes.$$) hash=$(md5sum </tmp/bytes.$$) head=$(head -c8 /tmp/bytes.$$ | od -An -tx1) \
tail=$(tail -c8 /tmp/bytes.$$ | od -An -tx1)
"""
PRINTS = """[ $# -gt 0 ] || exec env
status=0
for name; do env | grep -q "^$name=" && env | sed -n "s/^$name=//p" || status=1; done
exit $status
"""
CONFIG = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LABEL created_by=test/system/build-testimage",
    "LABEL created_at=2024-10-11T15:25:03Z", "WORKDIR /home/podman", 'CMD ["/bin/echo", "This container is intended for podman CI testing"]',
)  # fmt: skip
# The helpers put the image into podman's store by skopeo, and make certificates with a newer openssl than Debian 12 has.
SKOPEO = """case "$*" in
*"docker://"*" oci-archive:"*) cp {archive} "${{4#oci-archive:}}"; exit ;; # as if it had been fetched
*" containers-storage:"*/testimage:20241011) exec "$PODMAN" load -q -i {archive} ;;
*" containers-storage:"*) echo "skopeo: nothing is fetched" >&2; exit 1 ;;
esac
exec {skopeo} "$@"
"""
OPENSSL = """for word; do
    shift
    case $word in -quiet) ;; rsa:4096) set -- "$@" rsa:2048 ;; *) set -- "$@" "$word" ;; esac
done
exec {openssl} "$@" 2>/dev/null
"""


def make_image(checkout: Path) -> None:
    """testimage.tar in the checkout, an archive of Debian's programs with the names and files of the real one."""
    target = checkout / "testimage.tar"
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        _fill(root)
        tar = Path(folder, "root.tar")
        subprocess.run(
            ["tar", "-C", str(root), "--owner=0", "--group=0", "-cf", str(tar), "."], check=True
        )
        ours = [str(OURS), "--root", f"{folder}/store", "--runroot", f"{folder}/run"]
        changes = [word for line in CONFIG for word in ("-c", line)]
        subprocess.run([*ours, "import", "-q", *changes, str(tar), IMAGE], check=True)
        subprocess.run(
            [*ours, "save", "-q", "--format", "oci-archive", "-o", str(target), IMAGE], check=True
        )
    target.chmod(0o644)


def _fill(root: Path) -> None:
    for name in FOLDERS.split():
        (root / name).mkdir(parents=True)
    for name, place in PROGRAMS.items():
        _copy_program(name, root / place)
    applets = subprocess.run(["busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True)
    for applet in {*applets.stdout.split()} - {"busybox", "ip", "rpm"}:
        (root / "bin" / applet).symlink_to("busybox")
    for place in ELSEWHERE:
        (root / place).symlink_to("../../bin/busybox")
    scripts = {"pause": WAITS, "healthcheck": SAYS, "bytecheck": SUMS}
    for name, text in scripts.items():
        _write_script(root / "home/podman" / name, text)
    _write_script(root / "bin/printenv", PRINTS)
    marker = root / "home/podman/testimage-id"
    marker.write_text("20241011\n")
    os.utime(marker, (SECONDS_TESTED, SECONDS_TESTED))
    rows = [f"{name}:x:{uid}:{gid}:{name}:{home}:/bin/sh\n" for name, uid, gid, home in USERS]
    (root / "etc/passwd").write_text("".join(rows))
    pairs = [word.split(":") for word in GROUPS.split()]
    members = {name: "root" if name in OF_ROOT else "" for name, _ in pairs}
    lines = [f"{name}:x:{gid}:{members[name]}\n" for name, gid in pairs]
    (root / "etc/group").write_text("".join(lines))
    (root / "etc/os-release").write_text('NAME="Alpine Linux"\nID=alpine\n')
    (root / "etc/services").write_text("http 80/tcp\n")
    (root / "tmp").chmod(0o1777)


def _copy_program(name: str, target: Path) -> None:
    """With the libraries that ldd tells of."""
    program = shutil.which(name) or sys.exit(f"suites: {name} is not installed")
    shutil.copy(program, target)
    found = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=False)
    root = next(place for place in target.parents if (place / "home/podman").is_dir())
    for word in found.stdout.split():
        if word.startswith("/"):
            copy = root / word.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, copy)


def _write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def surroundings(checkout: Path, engine: str, folder: Path) -> tuple[dict[str, str], str]:
    """The environment of one file and what goes before its PATH; everything of it is below `folder`."""
    programs = folder / "bin"
    for name in ("bin", "store", "run", "live", "tmp", "home"):
        (folder / name).mkdir(mode=0o700)
    programs.chmod(0o755)
    (programs / "podman").symlink_to(engine)
    skopeo, openssl = (shutil.which(name) or f"/usr/bin/{name}" for name in ("skopeo", "openssl"))
    archive = checkout / "testimage.tar"
    _write_script(programs / "skopeo", SKOPEO.format(archive=archive, skopeo=skopeo))
    _write_script(programs / "openssl", OPENSSL.format(openssl=openssl))
    return {
        "PODMAN": str(programs / "podman"),
        "HOME": str(folder / "home"),
        "RCRUN_ROOT": str(folder / "store"),
        "RCRUN_RUNROOT": str(folder / "run"),
        "XDG_RUNTIME_DIR": str(folder / "live"),
        "BATS_TMPDIR": str(folder / "tmp"),
        "TMPDIR": str(folder / "tmp"),
    }, str(programs)
