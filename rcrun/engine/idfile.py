"""Files that get the id of what was made: --cidfile, --pod-id-file; they must not exist before."""

from __future__ import annotations

import os

from rcrun.errors import AlreadyExists, InvalidInput
from rcrun.files import write_new

_FOUND = {
    "container": "container ID file found, make sure the other container isn't running or delete",  # docker's
    "pod": "pod ID file found, make sure the other pod is not running or delete",  # podman's
}


def refuse_existing(path: str, kind: str) -> None:
    if os.path.lexists(path):
        raise _found(path, kind)


def write(path: str, made_id: str, kind: str) -> None:
    try:
        write_new(path, made_id.encode())
    except FileExistsError:
        raise _found(path, kind) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidInput(f'cannot write the {kind} ID file "{path}": {reason}') from error


def _found(path: str, kind: str) -> AlreadyExists:
    return AlreadyExists(f'{_FOUND[kind]} "{path}"')
