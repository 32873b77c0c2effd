"""Keys of GnuPG for the tests, and signatures that skopeo makes with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Keys:
    """Two keys of GnuPG, and one that has expired; signatures made with them."""

    def __init__(self, home: Path) -> None:
        self.env = {**os.environ, "GNUPGHOME": str(home)}
        self.fingerprints = {}
        then = ("--faked-system-time", "20200101T000000")
        for name, time, until in (("me", (), "never"), ("you", (), "never"), ("old", then, "1d")):
            words = ("--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", until)
            self.gpg(*time, *words)
            listed = self.gpg("--with-colons", "--list-keys", name).decode()
            (home / f"{name}.asc").write_bytes(self.gpg("--armor", "--export", name))
            line = next(line for line in listed.splitlines() if line.startswith("fpr:"))
            self.fingerprints[name] = line.split(":")[9]
        self.home = home

    def gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
        return subprocess.run(
            command, check=True, capture_output=True, env=self.env, input=data
        ).stdout

    def path(self, name: str) -> str:
        return str(self.home / f"{name}.asc")

    def public(self, name: str) -> bytes:
        return Path(self.path(name)).read_bytes()

    def sign(self, name: str, manifest: bytes, reference: str) -> bytes:
        """By skopeo, in the way of the containers tools."""
        file = self.home / "manifest"
        file.write_bytes(manifest)
        out = self.home / "signature"
        out.unlink(missing_ok=True)
        words = [str(file), reference, self.fingerprints[name], "--output", str(out)]
        subprocess.run(["skopeo", "standalone-sign", *words], check=True, env=self.env)
        return out.read_bytes()

    def sign_text(self, name: str, text: bytes, *words: str) -> bytes:
        return self.gpg(*words, "--local-user", name, "--sign", data=text)
