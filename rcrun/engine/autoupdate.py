"""`auto-update`: containers whose label asks for it get a newer image, and their unit of systemd is started anew.

Whoever wants it says io.containers.autoupdate=registry or =local; the unit is what PODMAN_SYSTEMD_UNIT said when
the container was made.
"""

from __future__ import annotations

import os

from rcrun.engine.access import Access
from rcrun.engine.pull import pull
from rcrun.engine.tag import tag
from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats import reference as grammar
from rcrun.storage import images
from rcrun.storage.containers import every, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container

    Restart = Callable[[str], None]

LABEL, AUTHFILE, UNIT = (
    "io.containers.autoupdate", "io.containers.autoupdate.authfile", "PODMAN_SYSTEMD_UNIT",
)  # fmt: skip
POLICIES = {"registry": "registry", "image": "registry", "local": "local"}
# The words for what became of a container.
CURRENT, PENDING, DONE, FAILED, BACK = "false", "pending", "true", "failed", "rolled back"


class Candidate:
    """A container that asks for updates. `error` tells why something failed; `updated` is a word of those above."""

    __slots__ = ("container", "error", "image", "policy", "unit", "updated")

    def __init__(self, container: Container) -> None:
        labels = container.record.get("labels") or {}
        self.container = container
        self.policy = POLICIES.get(labels[LABEL], "")
        self.unit = labels.get(UNIT, "")
        self.image = str(container.record.get("image_typed") or "")
        self.updated = CURRENT
        self.error: RcrunError | None = None

    def check(self) -> None:
        name, asked = self.container.name, self.container.record["labels"][LABEL]
        if not self.policy:
            raise InvalidInput(
                f'container "{name}": unknown policy "{asked}" in the label {LABEL}',
                "it is registry or local",
            )
        if not self.unit:
            raise InvalidInput(
                f'container "{name}" was not made by a unit of systemd, which could be started anew',
                "write a .container file for it: rcrun quadlet install FILE",
            )
        names = (grammar.parse(self.image), grammar.local(self.image))
        if self.container.record.get("image") not in [str(name) for name in names]:
            raise InvalidInput(
                f'container "{name}" was made of "{self.image}", which does not say where a newer one is',
                "make it of REGISTRY/REPOSITORY:TAG",
            )

    def fail(self, error: RcrunError, word: str = FAILED) -> None:
        self.error, self.updated = error, word


def candidates(context: Context) -> list[Candidate]:
    """Those that run and have the label, with what is wrong with them, the oldest first."""
    found = []
    for container in reversed(every(context.store)):
        asked = (container.record.get("labels") or {}).get(LABEL, "")
        if asked in ("", "disabled") or not status(container).is_running:
            continue
        candidate = Candidate(container)
        try:
            candidate.check()
        except RcrunError as error:
            candidate.fail(error)
        found.append(candidate)
    return found


def update(
    context: Context, restart: Restart, access: Access, *, dry_run: bool, rollback: bool
) -> list[Candidate]:
    """What became of each; units are started anew one after the other, once each."""
    found = candidates(context)
    for candidate in found:
        if candidate.error is None:
            _look(context, candidate, access)
    if not dry_run:
        for unit in dict.fromkeys(each.unit for each in found if each.updated == PENDING):
            due = [each for each in found if each.unit == unit and each.updated == PENDING]
            _renew(context, unit, due, restart, access, rollback=rollback)
    return found


def _look(context: Context, candidate: Candidate, access: Access) -> None:
    try:
        newest = _newest(context, candidate, access)
    except RcrunError as error:
        candidate.fail(error)
        return
    if newest != candidate.container.record.get("manifest_digest"):
        candidate.updated = PENDING


def _newest(context: Context, candidate: Candidate, access: Access) -> str:
    """The digest of the manifest that the name leads to now, in the registry or in the store."""
    if candidate.policy == "local":
        return images.find(context.store, candidate.image).digest
    reference = grammar.parse(candidate.image)
    client, transport = _access(candidate, access).connect(context, reference)
    with transport:
        document = client.manifest(reference.digest or reference.tag)
        for _ in range(images.DEEPEST_INDEX):
            if not document.is_index:
                break
            chosen = images.choose(document.value)  # type: ignore[arg-type]
            document = client.manifest(chosen["digest"])
    return document.digest


def _access(candidate: Candidate, access: Access) -> Access:
    """The container's own credentials come before those of the command line."""
    authfile = candidate.container.record["labels"].get(AUTHFILE, "")
    if not authfile:
        return access
    return Access(verify=access.verify, authfile=authfile, cert_dir=access.cert_dir)


def _renew(
    context: Context,
    unit: str,
    due: list[Candidate],
    restart: Restart,
    access: Access,
    *,
    rollback: bool,
) -> None:
    """Bring the images and start the unit anew; if that fails, with those that it had."""
    for candidate in due:
        if candidate.policy != "registry":
            continue
        try:
            pull(context, candidate.image, access=_access(candidate, access))
        except RcrunError as error:
            for each in due:
                each.fail(error)
            return
    try:
        restart(unit)
    except RcrunError as error:
        _go_back(context, unit, due, error, restart, rollback=rollback)
        return
    for candidate in due:
        candidate.updated = DONE


def _go_back(
    context: Context,
    unit: str,
    due: list[Candidate],
    error: RcrunError,
    restart: Restart,
    *,
    rollback: bool,
) -> None:
    word = FAILED
    if rollback:
        try:
            for candidate in due:
                record = candidate.container.record
                tag(context.store, record["image_id"], [candidate.image])
            restart(unit)
            word = BACK
        except RcrunError as second:
            error = RcrunError(
                f"{error.message}; nor does the image from before start: {second.message}",
                second.hint,
            )
    for candidate in due:
        candidate.fail(error, word)


def systemd_restart(context: Context) -> Restart:
    from rcrun.engine.quadlet.output import systemctl

    def restart(unit: str) -> None:
        systemctl(context, "restart", unit, is_user=os.geteuid() != 0)

    return restart
