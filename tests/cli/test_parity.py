"""click is the referee: whatever the small parser accepts, click must read the same way."""

from __future__ import annotations

import os
import random

import click
import pytest

from cli.table import every_command
from rcrun_cli.clickapp import replay
from rcrun_cli.declare import Command, Param, argument, command, option

LISTS = 20_000
SEED = int(os.environ.get("RCRUN_SEED", random.randrange(2**32)))


@command(interspersed=False)
@option("-d", "--detach", is_flag=True)
@option("-i", "--interactive", is_flag=True)
@option("-t", "--tty", is_flag=True)
@option("--sig-proxy", is_flag=True, default=True)
@option("-e", "--env", multiple=True)
@option("-p", "--publish", "ports", multiple=True)
@option("--name")
@option("--net", "--network", "networks", multiple=True)
@option("--pull", type=["always", "missing", "never"], default="missing")
@option("--memory", "-m", default="0")
@option("--pids-limit", type=int)
@option("--cpu-shares", default=0)
@argument("image")
@argument("args", nargs=-1)
def like_run(image, args, **options):
    """Options end at the first word."""


@command()
@option("-f", "--force", is_flag=True)
@option("-n", "--tail", type=int, default=10)
@option("-t", "--time", "--timeout", "timeout", type=int, default=-1)
@option("--format", "form")
@option("--needed", required=True)
@argument("containers", nargs=-1, required=True)
def like_rm(containers, **options):
    """Options anywhere."""


@command()
@option("-q", "--quiet", is_flag=True, default=False)
@option("-o", "--output")
@argument("source")
@argument("target", required=False)
def like_cp(source, target, **options):
    """An argument that may be missing."""


@command()
@option("-x", type=int, multiple=True)
@argument("count", type=int, default=3)
@argument("mode", type=["a", "b"], default="b")
def like_nothing(**options):
    """Arguments with types and defaults."""


COMMANDS = [like_run, like_rm, like_cp, like_nothing]
PIECES = [
    "a", "b", "", "-", "--", "ls", "-l", "8080:80", "A=b", "0", "-1", "+1", "007", "1_0", " 1", "1.5", "always",
    "=", "=x", "true", "é", "--help", "--nope", "-z", "--na", "-", "a b", "-=", "--=", "---", "1\n", "٣",
]  # fmt: skip
BOOLEANS = ["true", "false", "1", "0", "t", "F", "TRUE", "no", "", "maybe"]


def random_list(generator: random.Random, record: Command) -> list[str]:
    opts = list(record.table()) or ["--none"]
    words = required_options(generator, record)
    for _ in range(generator.randrange(7)):
        kind = generator.randrange(8)
        opt = generator.choice(opts)
        value = fitting_value(generator, record.table().get(opt))
        if kind == 0:
            words.append(opt + "=" + value)
        elif kind == 1:
            words.append(opt + "=" + generator.choice(BOOLEANS))
        elif kind in (2, 3):
            words += [opt, value]
        elif kind == 4:
            shorts = [short[1] for short in opts if len(short) == 2] or ["z"]
            cluster = "".join(generator.choices(shorts, k=generator.randrange(1, 4)))
            words.append("-" + cluster + generator.choice(["", "", value, "=" + value]))
        elif kind == 5:
            words.append(opt)
        else:
            words.append(value)
    return words


def required_options(generator: random.Random, record: Command) -> list[str]:
    """Mostly there, or hardly any list would be accepted."""
    required = [param for param in record.options() if param.required]
    return [
        word for param in required if generator.random() < 0.9 for word in (param.opts()[0], "x")
    ]


def fitting_value(generator: random.Random, param: Param | None) -> str:
    if param is not None and generator.random() < 0.7:
        if isinstance(param.type, (list, tuple)):
            return generator.choice(param.type)
        if param.type is int:
            return str(generator.randrange(-9, 99))
    return generator.choice(PIECES)


def by_click(replayed: click.Command, words: list[str]) -> dict[str, object] | None:
    """What the handler would get, or None for a usage error or help."""
    try:
        context = replayed.make_context("x", list(words), obj={})
    except (click.UsageError, click.exceptions.Exit):
        return None
    return dict(context.params)


def compare(record: Command, lists: int) -> int:
    """How many of so many random lists the small parser understood, each as click did."""
    generator = random.Random(SEED)
    replayed = replay(record)
    accepted = 0
    for _ in range(lists):
        words = random_list(generator, record)
        ours = record.parse(words)
        if ours is not None:
            accepted += 1
            theirs = by_click(replayed, words)
            assert theirs == ours, f"{record.name} {words} (RCRUN_SEED={SEED})"
            assert {key: type(value) for key, value in ours.items()} == {
                key: type(value) for key, value in (theirs or {}).items()
            }
    return accepted


@pytest.mark.parametrize("record", COMMANDS, ids=lambda record: record.name)
def test_the_small_parser_agrees_with_click(record: Command) -> None:
    lists = LISTS // len(COMMANDS)
    accepted = compare(record, lists)
    assert accepted > lists / 25, f"hardly any list was understood: {accepted} (RCRUN_SEED={SEED})"


@pytest.mark.parametrize("record", every_command().values(), ids=every_command())
def test_it_agrees_over_the_real_commands(record: Command) -> None:
    compare(record, 100)


@pytest.mark.parametrize("record", COMMANDS, ids=lambda record: record.name)
def test_what_click_accepts_without_oddities_is_plain(record: Command) -> None:
    """The other direction, where it matters for speed: usual lists need no click."""
    usual = {
        "like-run": ["-it", "--name=x", "-p8080:80", "-e", "A=b", "--pull", "never", "image", "-l"],
        "like-rm": ["a", "-f", "--needed", "x", "b", "-n5"],
        "like-cp": ["-q", "a", "-o", "f", "b"],
        "like-nothing": ["-x1", "-x", "2", "7", "a"],
    }
    words = usual[record.name]
    assert record.parse(words) == by_click(replay(record), words) is not None
