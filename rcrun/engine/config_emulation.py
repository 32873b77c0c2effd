"""Whether a container's calls of identity are answered for it (docs/build.md): only who has a single id needs that. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.run import Making
    from rcrun.kernel.identity import Identity

WORDS = ("auto", "on", "off")


def emulates(word: str, identity: Identity, uid: int, *, joins_users: bool = False) -> bool:
    """`uid` is whom the process runs as: who is not root has no such rights to be emulated."""
    if word not in WORDS:
        raise InvalidInput(f'invalid --root-emulation "{word}"', "write auto, on or off")
    if word == "off" or identity.kind != "single":
        return False  # with subordinate ids the kernel does it
    if word == "on" and uid != 0:
        raise InvalidInput(
            f"--root-emulation on: the container runs as user {uid}, who may not do what root may",
            "leave --user out, or leave the emulation out",
        )
    if word == "on" and joins_users:
        raise InvalidInput(
            "--root-emulation on does not go with the user namespace of another container"
        )
    return uid == 0 and not joins_users


def hint_of(root: Making) -> str | None:
    """For a command that failed: it may have wanted to be root of all users."""
    if root.context.identity.kind != "single" or root.options.get("root_emulation") != "off":
        return None
    return "a single id is mapped: chown and changes of user work with --root-emulation auto or more ids"
