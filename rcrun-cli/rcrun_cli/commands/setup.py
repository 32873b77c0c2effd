"""`rcrun setup alias`, `apparmor`, `completion`, `linger` and `subids`: what is done once for a user."""

from __future__ import annotations

import os

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("docker", "podman")


@command("alias")
@option("--dir", "folder", metavar="DIR", help="Put the link here (~/.local/bin)")
@option("-f", "--force", is_flag=True, help="Even if there is another program of that name")
@option("--remove", is_flag=True, help="Take the link away")
@argument("names", nargs=-1, metavar="[docker|podman]...")
def setup_alias(names: Sequence[str], folder: str | None, force: bool, remove: bool) -> int:
    """Let docker or podman mean rcrun: a link of that name, which makes rcrun answer as that one does.

    Without a name it is docker.
    """
    from rcrun.engine import hostsetup
    from rcrun.errors import InvalidInput

    environ = context.environ()
    target = hostsetup.launcher(environ)
    place = os.path.abspath(folder or f"{context.home_dir(environ)}/.local/bin")

    def act(name: str) -> None:
        if name not in NAMES:
            raise InvalidInput(f'rcrun cannot answer as "{name}"', f"name {' or '.join(NAMES)}")
        if remove:
            output.put(hostsetup.unlink(place, name, target))
            return
        output.put(hostsetup.link(place, name, target, environ, force=force))
        hidden = hostsetup.hidden_by(place, name, environ)
        if hidden:
            output.warn(*hidden)

    return output.each(names or NAMES[:1], act, quiet=True)


@command("apparmor")
@option("--print", "shown", is_flag=True, help="Print the profile, and do nothing")
@option("--sudo", is_flag=True, help="Install it now, as root")
def setup_apparmor(shown: bool, sudo: bool) -> None:
    """Let rcrun make user namespaces where AppArmor forbids it (Ubuntu), and no other program.

    Prints the command that does it; root, or --sudo, does it.
    """
    from rcrun.engine import hostsetup
    from rcrun.runtime.hints_host import HostFacts

    facts = HostFacts()
    if shown:
        output.put(facts.apparmor_profile().rstrip("\n"))
    elif sudo or os.geteuid() == 0:
        hostsetup.install_profile(facts, sudo=sudo)
    else:
        output.put(facts.apparmor_command())


@command("completion")
@option("--remove", is_flag=True, help="Take it away")
@argument("shell", required=False, metavar="[bash|zsh|fish]")
def setup_completion(shell: str | None, remove: bool) -> None:
    """Install the completion for your shell, for every name that rcrun answers to here."""
    from rcrun.engine import hostsetup
    from rcrun.errors import InvalidInput

    environ = context.environ()
    shell = shell or hostsetup.shell_of(environ)
    if shell not in hostsetup.SHELLS:
        raise InvalidInput(f'no completion for "{shell}"', f"name {' or '.join(hostsetup.SHELLS)}")
    home = context.home_dir(environ)
    for name in _answered(environ):
        path = hostsetup.completion_path(shell, name, environ, home)
        if remove:
            if os.path.lexists(path):
                os.unlink(path)
            continue
        hostsetup.install_completion(path, _script(name, shell))
        output.put(path)
    _tell_rest(shell, path, home, remove=remove)


def _answered(environ: dict[str, str]) -> list[str]:
    """rcrun, and what is a link to it."""
    from rcrun.engine import hostsetup

    target = hostsetup.launcher(environ)
    links = [
        name
        for name in NAMES
        if any(hostsetup.is_ours(path, target) for path in hostsetup.in_path(name, environ))
    ]
    return ["rcrun", *links]


def _script(name: str, shell: str) -> str:
    from rcrun_cli.clickapp import completion_script
    from rcrun_cli.program import program

    typed = context.settings.personality
    try:
        return completion_script(program(name), shell) + "\n"
    finally:
        context.settings.personality = typed


def _tell_rest(shell: str, path: str, home: str, *, remove: bool) -> None:
    from rcrun.engine import hostsetup
    from rcrun.files import read_text

    note = hostsetup.completion_note(shell, path, read_text(f"{home}/.zshrc"))
    if note and not remove:
        output.warn("zsh does not look there by itself", f"run: {note}")


@command("linger")
@option("--remove", is_flag=True, help="Containers end with your last login again")
def setup_linger(remove: bool) -> None:
    """Let containers go on when you log out: systemd keeps what you run."""
    from rcrun.engine import hostsetup

    hostsetup.linger(_user(), on=not remove)


@command("subids")
@option("--sudo", is_flag=True, help="Do it now, as root")
@option("--user", metavar="NAME", help="For this user, and not for who calls")
def setup_subids(sudo: bool, user: str | None) -> None:
    """Get subordinate ids, so that containers have more than one user: 65536 that nobody else has.

    Prints the command that does it; root, or --sudo, does it.
    """
    from rcrun.engine import hostsetup
    from rcrun.errors import InvalidInput
    from rcrun.runtime.hints_host import HostFacts

    name = user or _user()
    words = hostsetup.subids_words(HostFacts(), name)
    if os.geteuid() == 0 and not user:
        raise InvalidInput("root needs no subordinate ids", "name who does: --user NAME")
    if sudo or os.geteuid() == 0:
        hostsetup.as_root("", words, sudo=sudo)
    else:
        output.put(" ".join(["sudo", *words]))


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
