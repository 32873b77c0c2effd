"""A message signed with OpenPGP, verified by gpgv: it needs neither a home nor an agent, and trusts exactly the keys it is given.

The program rather than a library: it is on every host that has GnuPG, gets its fixes from the distribution, and judges
expired, revoked and weak keys as the rest of the host does.
"""

from __future__ import annotations

import base64
import os
import subprocess

from rcrun.errors import HostLacks
from rcrun.registry.payload import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "gpgv"
SECONDS = 30
_BEGIN, _END = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", b"-----END PGP PUBLIC KEY BLOCK-----"
_ONCE = ("NEWSIG", "GOODSIG", "VALIDSIG")
_NEVER = {
    "BADSIG": "the signature is wrong",
    "ERRSIG": "none of the keys made it",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key is revoked",
}


def signed_content(data: bytes, keyrings: Sequence[bytes], environ: Mapping[str, str]) -> bytes:
    """What was signed by one of the keys; Refused for everything else."""
    files = [_memory("keyring", binary_keyring(each)) for each in keyrings]
    status = _memory("status", b"")
    try:
        words = [word for fd in files for word in ("--keyring", f"/proc/self/fd/{fd}")]
        done = subprocess.run(
            [PROGRAM, "--quiet", "--status-fd", str(status), *words, "--output", "-", "-"],
            input=data,
            capture_output=True,
            pass_fds=[*files, status],
            timeout=SECONDS,
            env={"PATH": environ.get("PATH", os.defpath), "LC_ALL": "C"},
            check=False,
        )
        said = os.pread(status, 1 << 20, 0).decode(errors="replace")
    except FileNotFoundError as error:
        raise HostLacks(
            f'a signature must be verified, and there is no program "{PROGRAM}"',
            "sudo apt-get install gpgv, or gnupg2 on distributions with rpm",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f'"{PROGRAM}" did not come to an end') from error
    finally:
        for fd in (*files, status):
            os.close(fd)
    _judge(done.returncode, said)
    return done.stdout


def _judge(status: int, said: str) -> None:
    """Exactly one signature, and a good one."""
    words = [line.split()[1] for line in said.splitlines() if line.startswith("[GNUPG:] ")]
    for word, reason in _NEVER.items():
        if word in words:
            raise Refused(reason)
    if status != 0 or any(words.count(word) != 1 for word in _ONCE):
        raise Refused("it is no message of OpenPGP with one signature, or a damaged one")


def _memory(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def binary_keyring(data: bytes) -> bytes:
    """gpgv reads binary keyrings only; a file may hold several blocks of text."""
    if _BEGIN not in data:
        return data
    keyring = b""
    for block in data.split(_BEGIN)[1:]:
        body, end, _ = block.partition(_END)
        lines = [line.strip() for line in body.splitlines()]
        if not end or b"" not in lines[1:]:
            raise Refused("a key file is cut off")
        # Headers until the first empty line; a line with "=" before it is a checksum.
        content = lines[lines.index(b"", 1) + 1 :]
        text = b"".join(line for line in content if not line.startswith(b"="))
        try:
            keyring += base64.b64decode(text, validate=True)
        except ValueError as error:
            raise Refused(f"a key file is not proper base64: {error}") from error
    return keyring
