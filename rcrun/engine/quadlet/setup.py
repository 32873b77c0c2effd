"""`setup quadlet`: root gives systemd a generator; a user without root has a unit that makes the units at each login."""

from __future__ import annotations

import os

from rcrun.engine.quadlet.output import (
    GENERATOR,
    PODMANS,
    command_words,
    generator,
    kept_environment,
)
from rcrun.engine.setuprestart import Installed, install_units, quoted
from rcrun.errors import AlreadyExists
from rcrun.files import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

UNIT = "rcrun-quadlet.service"
ADMIN_DIRS = (("/etc/systemd/system-generators", ""), ("/etc/systemd/user-generators", "-user "))
_SCRIPT = """\
#!/bin/sh
# Makes units of files of Quadlet when systemd is reloaded (rcrun setup quadlet).
exec {command} __quadlet -- {flag}"$@"
"""
_TEXT = """\
[Unit]
Description=Units of files of Quadlet, made by rcrun

[Service]
Type=oneshot
RemainAfterExit=yes
{environment}ExecStart={command} quadlet reload --start
ExecReload={command} quadlet reload

[Install]
WantedBy=default.target
"""


def generator_text(context: Context, flag: str) -> str:
    import shlex

    return _SCRIPT.format(command=shlex.join(command_words(context)), flag=flag)


def unit_text(context: Context) -> str:
    environment = "".join(f"Environment={quoted(line)}\n" for line in kept_environment(context))
    command = " ".join(quoted(word) for word in command_words(context))
    return _TEXT.format(environment=environment, command=command)


def install(context: Context, *, force: bool) -> Installed:
    """Root: the generators, for the host's systemd and for those of all users."""
    _refuse_podmans(context, force=force)
    if context.identity.kind != "root":
        return _install_for_user(context)
    done = Installed()
    for folder, flag in ADMIN_DIRS:
        os.makedirs(folder, exist_ok=True)
        write_file(f"{folder}/{GENERATOR}", generator_text(context, flag).encode(), mode=0o755)
        done.said.append(f"{folder}/{GENERATOR} is there")
    done.commands.append("systemctl daemon-reload")
    done.commands.append("systemctl --user daemon-reload   # each user, or at the next login")
    return done


def _install_for_user(context: Context) -> Installed:
    theirs = generator([GENERATOR], is_user=True)
    if theirs:
        done = Installed()
        done.said.append(f"systemd has a generator already: {theirs}")
        done.commands.append("systemctl --user daemon-reload")
        return done
    return install_units(context, {UNIT: unit_text(context)}, UNIT, "default.target")


def _refuse_podmans(context: Context, *, force: bool) -> None:
    """Both would make units of the same names, in the same place: one of them has to go."""
    is_root = context.identity.kind == "root"
    for is_user in (False, True) if is_root else (True,):
        theirs = generator(PODMANS, is_user=is_user)
        if not theirs:
            continue
        if not force:
            raise AlreadyExists(
                f'podman\'s generator "{theirs}" makes units of the same files',
                "to have rcrun's in its place: rcrun setup quadlet --force",
            )
        if is_root:
            _mask(theirs, is_user=is_user)


def _mask(theirs: str, *, is_user: bool) -> None:
    """As systemd.generator(7) has it: one of that name that comes before it and leads to /dev/null."""
    folder = ADMIN_DIRS[int(is_user)][0]
    path = f"{folder}/{os.path.basename(theirs)}"
    if os.path.lexists(path):
        raise AlreadyExists(f'"{path}" is there already', f"move it away first: mv {path} /root/")
    os.makedirs(folder, exist_ok=True)
    os.symlink("/dev/null", path)


def remove(context: Context) -> list[str]:
    """What was there and is gone."""
    from rcrun.engine.setuprestart import user_units

    if context.identity.kind == "root":
        paths = [f"{folder}/{GENERATOR}" for folder, _ in ADMIN_DIRS]
        paths += [
            f"{folder}/{name}"
            for folder, _ in ADMIN_DIRS
            for name in PODMANS
            if os.path.islink(f"{folder}/{name}") and os.readlink(f"{folder}/{name}") == "/dev/null"
        ]
    else:
        folder = user_units(context)
        paths = [f"{folder}/default.target.wants/{UNIT}", f"{folder}/{UNIT}"]
    gone = [path for path in paths if os.path.lexists(path)]
    for path in gone:
        os.unlink(path)
    return gone
