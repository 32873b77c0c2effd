"""Every option that docker or podman has for making, changing and entering a container is here, or refused by name with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.table import every_command
from config_facts import built
from rcrun.engine.options import REFUSED
from rcrun.errors import InvalidInput
from rcrun_cli.commands import update as update_command

LIST = Path(__file__).with_name("container_options.txt")
COMMANDS = every_command()
# podman's is a flag before the directory, which reads the same: --rootfs DIR.
OTHER_SHAPE = {"--rootfs"}


def peers() -> list[tuple[str, str, list[str]]]:
    """Which peer, the command, its options as `-a/--all` or `-n/--last=`."""
    found = []
    for line in LIST.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            words, _, options = line.partition(":")
            peer, _, command = words.partition(" ")
            found.append((peer, command, options.split()))
    return found


@pytest.mark.parametrize(("peer", "command", "options"), peers())
def test_options(peer: str, command: str, options: list[str]) -> None:
    assert options
    table = COMMANDS[command].table()
    missing = []
    for each in options:
        for spelling in each.removesuffix("=").split("/"):
            known = table.get(spelling)
            if known is None:
                missing.append(spelling)
            elif spelling not in OTHER_SHAPE:
                assert known.takes_value() is each.endswith("="), f"{peer} {command} {spelling}"
    assert missing == []


VALUES = {"cpu_rt_period": 1, "cpu_rt_runtime": 1, "cpu_count": 1, "cpu_percent": 1}


@pytest.mark.parametrize("key", REFUSED)
def test_a_refusal_names_the_option_and_says_why(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        built({key: VALUES.get(key, "x")})
    assert caught.value.message.startswith(f"--{key.replace('_', '-')} is not supported: ")
    assert caught.value.hint


def test_what_is_refused_can_be_typed() -> None:
    table = COMMANDS["run"].table()
    for key in REFUSED:
        assert f"--{key.replace('_', '-')}" in table


def test_update_takes_the_limits_of_run() -> None:
    table = update_command.update.table()
    assert {"--memory", "--cpus", "--pids-limit", "--blkio-weight"} <= set(table)
    assert "--cgroup-parent" not in table


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"runtime": "nvidia"}, '--runtime "nvidia" is not supported', "--gpus all"),
        ({"isolation": "hyperv"}, 'invalid --isolation "hyperv"', ""),
        ({"seccomp_policy": "image"}, "--seccomp-policy image is not supported", "seccomp=FILE"),
        ({"env_host": True, "unsetenv_all": True}, "conflicting options: --env-host and --unsetenv-all", ""),
        ({"init_path": "/x"}, "--init-path needs --init", ""),
        ({"personality": "bsd"}, 'invalid --personality "bsd"', "LINUX32"),
        ({"blkio_weight": 5}, "invalid --blkio-weight 5: it is 10 to 1000", ""),
        ({"device_read_bps": ("/dev/null:1m",)}, '"/dev/null" does not exist', "lsblk"),
        ({"cgroups": "disabled", "memory": "10m"}, "conflicting options: --cgroups disabled", ""),
    ],
)  # fmt: skip
def test_words_that_are_wrong(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        built(options)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_what_changes_nothing_is_said() -> None:
    made = built({"memory_swappiness": 10, "oom_kill_disable": True, "runtime": "crun"})
    assert [warning.split()[0] for warning in made.warnings] == [
        "--memory-swappiness",
        "--oom-kill-disable",
        "--runtime",
    ]
    assert built({"memory_swappiness": -1, "runtime": "rcrun-oci"}).warnings == []
