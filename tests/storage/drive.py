"""What the tests run as another user: `drive.py CHECKOUT COMMAND STORE …`, answering in JSON."""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from rcrun.errors import RcrunError
from rcrun.kernel import identity
from rcrun.paths import Store
from rcrun.storage import collect, images, layers, layout


class Progress:
    def __init__(self) -> None:
        self.unpacked_digests: list[str] = []

    def unpacking(self, digest: str) -> None:
        pass

    def unpacked(self, digest: str) -> None:
        self.unpacked_digests.append(digest)


def ensure(store: Store, name: str) -> dict[str, object]:
    who = identity.current(os.environ)
    progress = Progress()
    image = images.find(store, name)
    lowers = layers.ensure(store, who, image, progress)
    return {
        "kind": who.kind,
        "lowers": lowers,
        "chain": image.chain,
        "unpacked": progress.unpacked_digests,
        "uid_map": who.uid_map,
    }


def load(store: Store, path: str) -> dict[str, object]:
    from rcrun.storage import archive

    return {"names": [each.names for each in archive.load(store, path)]}


def sweep(store: Store) -> dict[str, object]:
    found = collect.collect(store, identity.current(os.environ))
    return {"blobs": found.blobs, "layers": found.layers, "size": found.size}


def forget(store: Store, name: str) -> dict[str, object]:
    layout.remove_reference(store, name)
    return {}


def main() -> int:
    command, store_dir, *words = sys.argv[2:]
    commands = {"ensure": ensure, "load": load, "sweep": sweep, "forget": forget}
    try:
        answer = commands[command](Store(store_dir, ""), *words)
    except RcrunError as error:
        answer = {"error": error.message, "hint": error.hint, "class": type(error).__name__}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
