"""`setup restart`: a unit of systemd that starts containers after a reboot, or what to put where without systemd."""

from __future__ import annotations

import os

from rcrun.files import write_file
from rcrun.paths import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.engine.context import Context

UNIT = "rcrun-restart.service"
KEPT = ("RCRUN_ROOT", "RCRUN_RUNROOT", "XDG_DATA_HOME", "XDG_CACHE_HOME")
_TEXT = """\
[Unit]
Description=Containers of rcrun whose restart policy is always or unless-stopped
{after}
[Service]
Type=oneshot
RemainAfterExit=yes
Delegate=yes
{environment}ExecStart={command} __boot start
ExecStop={command} __boot stop
TimeoutStartSec=infinity

[Install]
WantedBy={target}
"""


def unit_text(context: Context, *, system: bool) -> str:
    """`system`: of the host's manager, for root; else of the user's."""
    environment = [
        f"Environment={quoted(f'{name}={context.environ[name]}')}\n"
        for name in KEPT
        if context.environ.get(name)
    ]
    network = "Wants=network-online.target\nAfter=network-online.target\n"
    return _TEXT.format(
        after=network if system else "",
        environment="".join(environment),
        command=" ".join(quoted(word) for word in context.launcher),
        target="multi-user.target" if system else "default.target",
    )


def quoted(word: str) -> str:
    """For systemd, which knows specifiers and variables (systemd.service(5))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != word or " " in word else word


class Installed:
    """What was done, and what is left to do: lines for people, commands that can be pasted."""

    __slots__ = ("commands", "said")

    def __init__(self) -> None:
        self.said: list[str] = []
        self.commands: list[str] = []


def install(context: Context) -> Installed:
    if not find_program("systemctl", context.environ.get("PATH", "")):
        done = Installed()
        _tell_without_systemd(context, done)
        return done
    system = context.identity.kind == "root"
    target = "multi-user.target" if system else "default.target"
    return install_units(context, {UNIT: unit_text(context, system=system)}, UNIT, target)


def install_units(
    context: Context, texts: Mapping[str, str], enabled: str, target: str
) -> Installed:
    """Write units of the host's systemd, for root, or of the user's, and enable one of them for a target."""
    done = Installed()
    system = context.identity.kind == "root"
    folder = "/etc/systemd/system" if system else user_units(context)
    os.makedirs(f"{folder}/{target}.wants", exist_ok=True)
    for name, text in texts.items():
        write_file(f"{folder}/{name}", text.encode())
    link = f"{folder}/{target}.wants/{enabled}"
    if not os.path.lexists(link):
        # what `systemctl enable` does, which needs a manager that runs
        os.symlink(f"{folder}/{enabled}", link)
    done.said.append(f"{folder}/{enabled} is there and enabled")
    _reload(context, done, system)
    if not system and not _lingers(context.identity.uid):
        done.said.append("without linger your units start when you log in, not when the host does")
        done.commands.append("loginctl enable-linger")
    return done


def user_units(context: Context) -> str:
    config = context.environ.get("XDG_CONFIG_HOME", "")
    if not config.startswith("/"):
        config = f"{context.environ.get('HOME') or os.path.expanduser('~')}/.config"
    return f"{config}/systemd/user"


def _reload(context: Context, done: Installed, system: bool) -> None:
    words = ["systemctl", *([] if system else ["--user"]), "daemon-reload"]
    if not _succeeds(context, words):
        done.said.append("systemd could not be told of it; it looks for itself when it starts")
        done.commands.append(" ".join(words))


def _succeeds(context: Context, words: list[str]) -> bool:
    import subprocess

    try:
        return (
            subprocess.run(
                words, capture_output=True, env=dict(context.environ), check=False
            ).returncode
            == 0
        )
    except OSError:
        return False


def _lingers(uid: int) -> bool:
    import pwd

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return os.path.exists(f"/var/lib/systemd/linger/{name}")


def _tell_without_systemd(context: Context, done: Installed) -> None:
    import shlex

    command = shlex.join([*context.launcher, "__boot", "start"])
    done.said.append("there is no systemd here: put this line where your host starts things")
    done.said.append("for cron that is: crontab -e, and this line")
    done.commands.append(f"@reboot {command}")
