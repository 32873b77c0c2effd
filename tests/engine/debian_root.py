"""A root with apt and dpkg out of the host's own programs, and a repository of tiny packages: no network is needed."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

PROGRAMS = (
    "dash dpkg dpkg-deb dpkg-split dpkg-query dpkg-statoverride dpkg-trigger apt-get tar useradd groupadd setpriv sed grep id cat"
    " chown chgrp chmod cp mv ln ls mkdir mknod mkfifo rm rmdir stat touch true test env install"
).split()
METHODS = "/usr/lib/apt/methods"
STUBS = ("ldconfig", "start-stop-daemon", "diff")  # dpkg asks that they are there
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/bin/false\nman:x:6:12::/:/bin/sh\n",
    "etc/group": "root:x:0:\nshadow:x:42:\nman:x:12:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/gshadow": "root:*::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\n",
    "etc/apt/sources.list": "deb [trusted=yes] file:/repo ./\n",
    "var/lib/dpkg/status": "",
    "var/lib/dpkg/available": "",
}
DIRECTORIES = (
    "tmp root home dev proc sys run var/tmp var/log/apt var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers"
    " var/lib/apt/lists/partial var/cache/apt/archives/partial etc/apt/apt.conf.d etc/apt/preferences.d"
).split()
POSTINST = """#!/bin/sh
set -e
groupadd -g 101 tiny
useradd -r -u 101 -g tiny -d /var/lib/tiny tiny
chown -R tiny:man /var/lib/tiny
chmod 4750 /usr/bin/tiny
chown root:tiny /usr/bin/tiny.link
chown -h tiny: /var/lib/tiny/link
test "$(stat -c %u:%g /var/lib/tiny)" = 101:12
setpriv --reuid tiny --regid tiny --clear-groups sh -ec 'umask 077; id -u; echo made >/var/lib/tiny/own'
"""


def _libraries(program: str) -> list[str]:
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    words = [word for line in told.splitlines() for word in line.split()]
    return [word for word in words if word.startswith("/")]


def image_tar() -> bytes:
    """The root as a tar, owned by root but for what Debian gives to others."""
    found = {name: shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    assert not missing, f"the host lacks {missing}"
    methods = [f"{METHODS}/{name}" for name in ("file", "store", "copy", "gpgv")]
    programs = {f"usr/bin/{name}": str(path) for name, path in found.items()}
    programs |= {path.lstrip("/"): path for path in methods if Path(path).exists()}
    libraries = {name for path in programs.values() for name in _libraries(path)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in DIRECTORIES:
            _add(archive, name, None, 0o1777 if name in ("tmp", "var/tmp") else 0o755)
        for link, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("usr/bin/sh", "dash")):
            _add(archive, link, target, 0o777)
        for name, path in programs.items():
            _add(archive, name, Path(path).read_bytes(), 0o755)
        for library in libraries:
            _add(archive, library.lstrip("/"), Path(library).read_bytes(), 0o755)
        for path in Path("/usr/share/dpkg").glob("*table"):
            _add(archive, str(path).lstrip("/"), path.read_bytes(), 0o644)
        for name in STUBS:
            _add(archive, f"usr/bin/{name}", b"#!/bin/sh\n", 0o755)
        for name, text in FILES.items():
            owner = (0, 42) if name.endswith("shadow") else (0, 0)
            _add(archive, name, text.encode(), 0o640 if owner[1] else 0o644, owner)
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile,
    name: str,
    content: bytes | str | None,
    mode: int,
    owner: tuple[int, int] = (0, 0),
) -> None:
    """A directory (None), a link to a text, or a file."""
    entry = tarfile.TarInfo(name)
    entry.mode, (entry.uid, entry.gid) = mode, owner
    entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    if isinstance(content, str):
        entry.type, entry.linkname = tarfile.SYMTYPE, content
    data = content if isinstance(content, bytes) else b""
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def make_repository(folder: Path) -> None:
    """Two packages; the second one's files belong to others, and its postinst makes a user."""
    base, tiny = folder / "src/base", folder / "src/tiny"
    _put(base / "usr/share/base/file", "base\n")
    _put(tiny / "usr/bin/tiny", "#!/bin/sh\n", 0o755)
    _put(tiny / "var/lib/tiny/data", "data\n")
    (tiny / "usr/bin/tiny.link").hardlink_to(tiny / "usr/bin/tiny")
    (tiny / "var/lib/tiny/link").symlink_to("data")
    _put(tiny / "DEBIAN/postinst", POSTINST, 0o755)
    listed = [_package(folder, base, "base", ""), _package(folder, tiny, "tiny", "Depends: base\n")]
    (folder / "Packages").write_text("\n".join(listed))
    shutil.rmtree(folder / "src")


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _package(folder: Path, source: Path, name: str, more: str) -> str:
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\n{more}Description: tiny\n"
    _put(source / "DEBIAN/control", control)
    for path in [source, *source.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    target = folder / f"{name}.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(source), str(target)]
    subprocess.run(words, check=True, capture_output=True)
    data = target.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"{control}Filename: ./{name}.deb\nSize: {len(data)}\nSHA256: {digest}\n"
