"""What `rcrun setup` writes and runs: links under other names, completion, and what root must allow once."""

from __future__ import annotations

import os
import sys

from rcrun.errors import AlreadyExists, HostLacks, InvalidInput, NotFound, RcrunError
from rcrun.runtime.hints_host import APPARMOR_FILE, HostFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELLS = ("bash", "zsh", "fish")
LINGER_DIR = "/var/lib/systemd/linger"
SUDO_SECONDS = 60


# Names.


def launcher(environ: Mapping[str, str]) -> str:
    """The program `rcrun`: as PATH has it, which an upgrade keeps, else the file that runs now."""
    ours = os.path.realpath(getattr(sys.modules["__main__"], "__file__", None) or "")
    for path in in_path("rcrun", environ):
        if os.path.realpath(path) == ours or os.path.basename(ours) == "__main__.py":
            return path
    if os.path.basename(ours) == "__main__.py":
        raise NotFound('no "rcrun" is in PATH', "install rcrun, or add its folder to PATH")
    return ours


def in_path(name: str, environ: Mapping[str, str]) -> list[str]:
    """Every program of this name, in the order of PATH."""
    folders = [folder for folder in environ.get("PATH", "").split(":") if folder.startswith("/")]
    paths = [f"{folder.rstrip('/')}/{name}" for folder in dict.fromkeys(folders)]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]


def is_ours(path: str, target: str) -> bool:
    """Whether it leads to rcrun."""
    return os.path.islink(path) and os.path.realpath(path) == os.path.realpath(target)


def link(folder: str, name: str, target: str, environ: Mapping[str, str], *, force: bool) -> str:
    """The link's path; refuses to hide another program of that name."""
    path = f"{folder}/{name}"
    others = [each for each in in_path(name, environ) if not is_ours(each, target)]
    if others and not force:
        raise AlreadyExists(
            f'"{name}" is another program already: "{others[0]}"',
            f"to have rcrun answer to {name} all the same: rcrun setup alias --force {name}",
        )
    if os.path.lexists(path) and not os.path.islink(path):
        raise AlreadyExists(f'"{path}" is no link', f"move it away first: mv {path} {path}.old")
    os.makedirs(folder, exist_ok=True)
    aside = f"{path}.{os.getpid()}~"
    os.symlink(target, aside)
    os.rename(aside, path)
    return path


def unlink(folder: str, name: str, target: str) -> str:
    path = f"{folder}/{name}"
    if not os.path.lexists(path):
        raise NotFound(f'there is no "{path}"')
    if not is_ours(path, target):
        raise InvalidInput(f'"{path}" does not lead to rcrun', "remove it by hand if it should go")
    os.unlink(path)
    return path


def hidden_by(folder: str, name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Why typing the name will not reach the link, and what helps."""
    first = next(iter(in_path(name, environ)), "")
    if first == f"{folder}/{name}":
        return None
    to_path = f'export PATH="{folder}:$PATH"'
    if not first:
        return f'"{folder}" is not in PATH', f"add to the file that your shell reads: {to_path}"
    return f'"{first}" comes before it in PATH', f"put the folder first: {to_path}"


# What root allows.


def linger_path(user: str) -> str:
    return f"{LINGER_DIR}/{user}"


def linger(user: str, *, on: bool = True) -> None:
    """Whether the user's systemd, and what it runs, goes on without a login."""
    verb = "enable-linger" if on else "disable-linger"
    try:
        status, said = call(["loginctl", verb])
    except FileNotFoundError:
        raise HostLacks(
            "this host has no loginctl: it does not run systemd",
            "nothing ends containers at logout here; to start them after a boot: crontab -e, with a line @reboot",
        ) from None
    if status != 0 or os.path.exists(linger_path(user)) != on:
        raise HostLacks(
            f"cannot {verb.replace('-', ' ')} for {user}: {said or f'exit status {status}'}",
            f"run: sudo loginctl {verb} {user}",
        )


def apparmor_commands(facts: HostFacts) -> str:
    return facts.apparmor_command()


def install_profile(facts: HostFacts, *, sudo: bool) -> None:
    as_root(facts.apparmor_profile(), ["tee", APPARMOR_FILE], sudo=sudo)
    as_root("", ["apparmor_parser", "-r", APPARMOR_FILE], sudo=sudo)


def subids_words(facts: HostFacts, user: str) -> list[str]:
    words = facts.subids_command().removeprefix("sudo ").split()
    return [user if word == "$USER" else word for word in words]


def as_root(text: str, words: Sequence[str], *, sudo: bool) -> None:
    """Run it as root that we are, or through sudo, which may ask for a password on the terminal."""
    command = ["sudo", *words] if sudo and os.geteuid() != 0 else list(words)
    status, said = call(command, text)
    if status != 0:
        raise RcrunError(f"{' '.join(command)}: {said or f'exit status {status}'}")


def call(words: Sequence[str], text: str = "") -> tuple[int, str]:
    """Its exit status and, in one line, what it said."""
    import subprocess

    done = subprocess.run(
        words, input=text, capture_output=True, text=True, errors="replace", check=False,
        timeout=SUDO_SECONDS,
    )  # fmt: skip
    lines = [line.strip() for line in (done.stderr or "").splitlines() if line.strip()]
    return done.returncode, "; ".join(lines)


# Completion.


def shell_of(environ: Mapping[str, str]) -> str:
    name = os.path.basename(environ.get("SHELL", ""))
    if name not in SHELLS:
        shown = f'"{name}"' if name else "no shell"
        raise InvalidInput(
            f"your login shell is {shown}, and rcrun completes for {', '.join(SHELLS)}",
            "name one: rcrun setup completion bash",
        )
    return name


def completion_path(shell: str, name: str, environ: Mapping[str, str], home: str) -> str:
    """Where the shell looks for it by itself; zsh's has to be told."""
    data = environ.get("XDG_DATA_HOME", "")
    data = data if data.startswith("/") else f"{home}/.local/share"
    config = environ.get("XDG_CONFIG_HOME", "")
    config = config if config.startswith("/") else f"{home}/.config"
    return {
        "bash": f"{data}/bash-completion/completions/{name}",
        "fish": f"{config}/fish/completions/{name}.fish",
        "zsh": f"{data}/zsh/site-functions/_{name}",
    }[shell]


def install_completion(path: str, script: str) -> None:
    from rcrun.files import write_file

    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_file(path, script.encode())


def completion_note(shell: str, path: str, zshrc: str) -> str:
    """What is left to do by hand."""
    folder = os.path.dirname(path)
    if shell != "zsh" or folder in zshrc:
        return ""
    return f"echo 'fpath+=({folder}); autoload -Uz compinit; compinit' >>~/.zshrc"
