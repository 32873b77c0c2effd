"""`setup auto-update`: a timer of systemd that brings newer images every day."""

from __future__ import annotations

from rcrun.engine.quadlet.output import command_words, kept_environment
from rcrun.engine.setuprestart import Installed, install_units, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.context import Context

SERVICE, TIMER = "rcrun-auto-update.service", "rcrun-auto-update.timer"
_SERVICE = """\
[Unit]
Description=Newer images for containers of rcrun that ask for it
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{environment}ExecStart={command} auto-update
ExecStartPost={command} image prune -f
"""
_TIMER = """\
[Unit]
Description=Look for newer images of containers of rcrun every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=900
Persistent=true

[Install]
WantedBy=timers.target
"""


def texts(context: Context) -> dict[str, str]:
    command = " ".join(quoted(word) for word in command_words(context))
    environment = "".join(f"Environment={quoted(line)}\n" for line in kept_environment(context))
    return {SERVICE: _SERVICE.format(command=command, environment=environment), TIMER: _TIMER}


def install(context: Context) -> Installed:
    done = install_units(context, texts(context), TIMER, "timers.target")
    flag = "" if context.identity.kind == "root" else "--user "
    done.commands.append(f"systemctl {flag}start {TIMER}   # or at the next login")
    return done
