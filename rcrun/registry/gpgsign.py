"""Messages signed by a key of the caller's GnuPG: the program asks for its passphrase itself, unless it was told."""

from __future__ import annotations

import os
import subprocess

from rcrun.errors import HostLacks, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "gpg"


def signed(
    text: bytes, key: str, environ: Mapping[str, str], passphrase: bytes | None = None
) -> bytes:
    """A message of OpenPGP that holds the text."""
    words = ["--local-user", key, "--sign"]
    if passphrase is None:
        return _run(words, text, key, environ)
    fd = os.memfd_create("passphrase", os.MFD_CLOEXEC)
    try:
        os.write(fd, passphrase + b"\n")
        os.lseek(fd, 0, os.SEEK_SET)
        way = ["--pinentry-mode", "loopback", "--passphrase-fd", str(fd)]
        return _run([*way, *words], text, key, environ, (fd,))
    finally:
        os.close(fd)


def public_key(key: str, environ: Mapping[str, str]) -> bytes:
    """The keyring that has it; InvalidInput when there is none of that name."""
    found = _run(["--export", key], b"", key, environ)
    if not found:
        raise InvalidInput(
            f'there is no key "{key}" in GnuPG\'s keyring', "see the fingerprints: gpg -K"
        )
    return found


def _run(
    words: Sequence[str],
    text: bytes,
    key: str,
    environ: Mapping[str, str],
    fds: tuple[int, ...] = (),
) -> bytes:
    try:
        done = subprocess.run(
            [PROGRAM, "--batch", "--quiet", "--no-armor", "--output", "-", *words],
            input=text,
            capture_output=True,
            pass_fds=fds,
            env=dict(environ),
            check=False,
        )
    except FileNotFoundError as error:
        raise HostLacks(
            f'an image must be signed, and there is no program "{PROGRAM}"',
            "sudo apt-get install gnupg, or gnupg2 on distributions with rpm",
        ) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix("gpg: ") if said else f"status {done.returncode}"
        raise InvalidInput(
            f'GnuPG does not sign with "{key}": {reason}', "see the fingerprints: gpg -K"
        )
    return done.stdout
