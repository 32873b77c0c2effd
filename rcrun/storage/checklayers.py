"""`system check`, of layers: what stands beside each, and its files against the blob that they came from."""

from __future__ import annotations

import os

from rcrun.errors import RcrunError
from rcrun.files import read_json_or_none, subdirectories
from rcrun.storage import containers, images, owners, recipes
from rcrun.storage.checkcontainers import lowers
from rcrun.storage.faults import UNREAD, Fault, reason
from rcrun.storage.layers import jobs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store


def faults(store: Store, identity: Identity, *, quick: bool) -> Iterator[Fault]:
    users = _users(store)
    sound = []
    for kind in sorted(subdirectories(store.path("layers"))):
        for chain in sorted(subdirectories(store.path("layers", kind))):
            found = record_fault(store, kind, chain)
            if found:
                yield _fault(kind, chain, found, users)
            elif kind == identity.layer_kind():
                sound.append(chain)
    if not quick and sound and os.path.isdir(store.tmp_dir()):
        kind = identity.layer_kind()
        for chain, found in (
            *compare(store, identity, sound),
            *_made_again(store, identity, sound),
        ):
            yield _fault(kind, chain, found, users)


def _fault(kind: str, chain: str, found: str, users: dict[str, list[str]]) -> Fault:
    names = ", ".join(f'"{name}"' for name in users.get(chain, []))
    cost = f"these see wrong files or cannot start: {names}" if names else "nothing yet: no container has it"  # fmt: skip
    if found.startswith(UNREAD):
        return Fault(f'layer "{chain[:12]}" ({kind}): {found}', "a damage in it would not be told")
    return Fault(f'layer "{chain[:12]}" ({kind}) is damaged: {found}', cost, "layer", (kind, chain))


def _users(store: Store) -> dict[str, list[str]]:
    """The names of the containers that stand on a layer."""
    found: dict[str, list[str]] = {}
    for container in containers.every(store):
        for _, chain in lowers(container):
            found.setdefault(chain, []).append(container.name)
    return found


def record_fault(store: Store, kind: str, chain: str) -> str:
    """Of what is seen without reading its files; empty when all is well."""
    folder = store.layer_dir(kind, chain)
    try:
        record = read_json_or_none(f"{folder}/layer.json")
    except (ValueError, OSError) as error:
        return f"layer.json: {reason(error)}"
    if not os.path.isdir(folder):
        return ""  # collected meanwhile
    if not os.path.isdir(f"{folder}/diff"):
        return "its directory of files is missing"
    if record is None:
        return "layer.json is missing"
    if not isinstance(record, dict) or record.get("chain_id") != f"sha256:{chain}":
        return "layer.json is another layer's"
    try:
        owners.read(f"{folder}/owners.jsonl")
    except (ValueError, TypeError, OSError) as error:
        return f"owners.jsonl: {reason(error)}"
    return ""


def compare(store: Store, identity: Identity, chains: Iterable[str]) -> list[tuple[str, str]]:
    """Each that differs from what its blob unpacks to, and where; those without a sound blob are left out."""
    from rcrun.storage.work import run

    wanted, words = set(chains), []
    try:
        known = images.every(store)
    except RcrunError:
        return []  # the index is damaged, which is told
    for image in known:
        for digest, jobs in jobs_of(image, wanted).items():
            if os.path.lexists(store.blob_to_read(digest)):
                words += jobs
                wanted -= {job.partition(",")[0] for job in jobs}
    found: list[tuple[str, str]] = []
    if words:
        command = ["compare", store.root_dir, identity.layer_kind(), *words]
        run(identity, command, lambda event: found.append((event["chain"], event["fault"])))
    return found


def _made_again(store: Store, identity: Identity, sound: Container[str]) -> list[tuple[str, str]]:
    """Each of those whose blob was dropped that is not the tar any more which it was."""
    from rcrun.storage.work import run

    kind, words = identity.layer_kind(), []
    for recipe in recipes.of_layers(store):
        is_ours = recipe.layer == f"{kind}/{recipe.chain}" and recipe.chain in sound
        if is_ours and recipe.is_needed():
            words += [recipe.digest[7:], recipe.chain]
    found: list[tuple[str, str]] = []
    if words:
        command = ["check-headers", store.root_dir, kind, *words]
        run(identity, command, lambda event: found.append((event["chain"], event["fault"])))
    return found
