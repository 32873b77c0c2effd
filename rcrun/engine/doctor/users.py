"""User namespaces and ids."""

from __future__ import annotations

from rcrun.engine.doctor.finding import broken, fine, limited
from rcrun.files import read_text
from rcrun.formats.idmap import subordinate_ranges
from rcrun.runtime.hints_host import SUBIDS, single_id_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here
    from rcrun.errors import RcrunError
    from rcrun.kernel.identity import Identity
    from rcrun.runtime.hints_host import HostFacts


def try_user_namespaces(here: Here) -> Finding:
    if here.context.identity.kind == "root":
        return fine("not needed: this is root")
    return judge_user_namespaces(here.failure("mount", [], here.one_id()))


def judge_user_namespaces(error: RcrunError | None) -> Finding:
    """A mount namespace with it, since AppArmor lets it be made and then takes its privileges away."""
    if error is None:
        return fine("made, with privileges in it")
    return broken(
        "refused",
        means="no container can be started without root",
        why=error.message,
        hint=error.hint or "ask who runs this host to allow unprivileged user namespaces",
    )


def try_ids(here: Here) -> Finding:
    identity = here.context.identity
    error = None
    if identity.kind == "mapped":
        error = here.failure("mount", [])
    files = [read_text("/etc/subuid"), read_text("/etc/subgid")]
    shared = next(filter(None, [others(text, here.user, here.uid) for text in files]), "")
    return judge_ids(identity, error, shared, here.facts)


def judge_ids(
    identity: Identity, error: RcrunError | None, shared: str, facts: HostFacts
) -> Finding:
    """`shared`: who has some of our ids as well."""
    one = "files of other owners and daemons that change their user see one user only"
    if identity.kind == "root":
        return fine("not needed: this is root")
    if identity.kind == "single":
        return limited(
            "one id is mapped",
            means=f"{one}, but in builds and with `run --root-emulation on`",
            why=identity.why,
            hint=single_id_hint(identity.why, facts),
        )
    if error is not None:
        return broken(
            "the ids of /etc/subuid and /etc/subgid are refused",
            means="no container can be started, except with RCRUN_IDMAP=single, which maps one id",
            why=error.message,
            hint=error.hint or "",
        )
    count = sum(size for _, _, size in identity.uid_map)
    if shared:
        return limited(
            f"{count} ids are mapped, and {shared} has some of them, too",
            means="that user's containers and yours can change each other's files",
            hint=f"take a range that nobody has, run: {facts.subids_command()}",
        )
    if count < SUBIDS:
        return limited(
            f"{count} ids are mapped",
            means=f"images with files of higher ids lose their owners; usual are {SUBIDS}",
            hint=f"run: {facts.subids_command()}",
        )
    return fine(f"{count} are mapped through {identity.newuidmap or 'the kernel'}")


def others(granted: str, user: str, uid: int) -> str:
    """The first other user whose subordinate ids overlap ours, in the text of /etc/subuid."""
    own = subordinate_ranges(granted, {user, str(uid)})
    for line in granted.splitlines():
        name = line.partition(":")[0].strip()
        if not name or name.startswith("#") or name in (user, str(uid)):
            continue
        for first, count in subordinate_ranges(line, {name}):
            if any(first < start + size and start < first + count for start, size in own):
                return f'user "{name}"'
    return ""


def try_apparmor(here: Here) -> Finding:
    confined = here.facts.is_confined
    error = None
    if confined and here.context.identity.kind != "root":
        error = here.failure("mount", [], here.one_id())
    return judge_apparmor(error, here.facts, confined=confined)


def judge_apparmor(error: RcrunError | None, facts: HostFacts, *, confined: bool) -> Finding:
    if not confined:
        return fine("does not restrict user namespaces")
    if error is None:
        return fine("restricts user namespaces, and lets rcrun-shim make them")
    return broken(
        "restricts user namespaces, and no profile allows rcrun-shim",
        means="no container can be started without root",
        why=error.message,
        hint=facts.apparmor_hint(),
    )
