"""The command line `rcrun`, which is also `docker` and `podman` when started under their names."""

from __future__ import annotations

import os
import time

from rcrun_cli import context, main, output
from rcrun_cli.commands import GROUPS, HIDDEN, SECTIONS
from rcrun_cli.declare import argument, command, option, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# Podman's that say how its own parts work together, docker's that say how its daemon is reached; those that would be
# missed are in refused.py.
IGNORED = (
    "--conmon", "--db-backend", "--events-backend", "--identity", "--network-cmd-path", "--network-config-dir", "--pull-option", "--runtime",
    "--runtime-flag", "--ssh", "--storage-driver", "--storage-opt", "--tlscacert", "--tlscert", "--tlskey", "--tmpdir",
)  # fmt: skip
IGNORED_FLAGS = ("--syslog", "--tls", "--tlsverify", "--trace", "--transient-store")
LOG_LEVELS = ["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"]


@command(interspersed=False)
@several(
    *[option(name, hidden=True, metavar="VALUE", help="For scripts") for name in IGNORED],
    *[option(name, is_flag=True, hidden=True, help="For scripts") for name in IGNORED_FLAGS],
)
@option(
    "--noout", is_flag=True, help="Print nothing on stdout; what a container does is not touched"
)
@option("--out", metavar="FILE", help="Print into this file what would be on stdout")
@option("--root", metavar="DIR", help="Keep images and containers here")
@option("--runroot", metavar="DIR", help="Keep the live state of containers here")
@option("--config", metavar="DIR", help="Look for credentials here")
@option(
    "--additional-store",
    multiple=True,
    metavar="DIR",
    help="Use the images of this store too, without changing it",
)
@option(
    "--hooks-dir",
    multiple=True,
    metavar="DIR",
    help="Take hooks for containers from here, not from the host's hooks.d",
)
@option(
    "--default-mounts-file", metavar="FILE", help="Read this in place of the host's mounts.conf"
)
@option(
    "--module",
    multiple=True,
    metavar="NAME|FILE",
    help="Read this module of containers.conf, too",
)
@option(
    "--cgroup-manager",
    type=["systemd", "cgroupfs", "none"],
    help="Who makes the cgroups of containers",
)
@option(
    "-D",
    "--debug",
    is_flag=True,
    help="Print plans, how long each phase took, and where an error came from",
)
@option("-l", "--log-level", type=LOG_LEVELS, default="info", help="How much to say on stderr")
@option("-H", "--host", metavar="URL", help="For scripts; only a local socket's is accepted")
@option("--context", metavar="NAME", help="For scripts; only default is accepted")
@option("-v", "--version", is_flag=True, help="Print the version")
@argument("words", nargs=-1)
def rcrun(words: Sequence[str], **options: Any) -> None:
    """Run containers without root and without a daemon."""


def entry(argv: Sequence[str]) -> NoReturn:
    """What the launcher calls; `argv[0]` is the name that was typed.

    Modes are what our code says: with a umask of 077 the users of a container could not read its files, with 0 all
    users of the host could write them.
    """
    context.settings.entered = (time.perf_counter(), time.process_time())
    os.umask(0o022)
    main.main(program(argv[0]), argv[1:])


def program(typed: str) -> main.Program:
    name = os.path.basename(typed)
    context.settings.personality = name if name in output.PERSONALITIES else "rcrun"
    return main.Program(
        context.settings.personality,
        rcrun,
        "rcrun_cli.commands",
        SECTIONS,
        groups=GROUPS,
        hidden=HIDDEN,
        setup=context.configure,
        finished=context.finished,
        complain=output.complain,
        version=_version_line,
        debugs=lambda: context.settings.debug,
        absence=_absence,
        hint_of=_hint_of,
        failure_status=output.trait("failure_status"),
    )


def _absence(words: Sequence[str]) -> tuple[str, str] | None:
    from rcrun_cli.absent import absence

    return absence(words)


def _hint_of(error: OSError) -> str | None:
    from rcrun_cli.hostfaults import hint

    try:
        return hint(error, context.store())
    except OSError:
        return hint(error, None)  # there is no place for the live state


def _version_line() -> str:
    from rcrun_cli.commands.version import version_line

    return version_line()
