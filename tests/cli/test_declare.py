"""The small parser alone: what it returns, and what it leaves to click."""

from __future__ import annotations

import pytest

from rcrun_cli.declare import Command, argument, command, option


@command(interspersed=False)
@option("-d", "--detach", is_flag=True)
@option("-i", "--interactive", is_flag=True)
@option("--sig-proxy", is_flag=True, default=True)
@option("-e", "--env", multiple=True)
@option("--pull", type=["always", "never"], default="never")
@option("--count", type=int)
@argument("image")
@argument("args", nargs=-1)
def run(**values: object) -> None:
    """Run."""


DEFAULTS = {
    "detach": False, "interactive": False, "sig_proxy": True, "env": (), "pull": "never", "count": None,
    "image": "i", "args": (),
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["i"], {}),
        (["-di", "i"], {"detach": True, "interactive": True}),
        (["-dieA=b", "i"], {"detach": True, "interactive": True, "env": ("A=b",)}),
        (["-die=A=b", "i"], {"detach": True, "interactive": True, "env": ("A=b",)}),
        (["-d=false", "--interactive=1", "i"], {"interactive": True}),
        (["--sig-proxy=false", "i"], {"sig_proxy": False}),
        (["--sig-proxy", "i"], {}),
        (["--detach=true", "--detach=false", "i"], {}),
        (["-e", "-d", "i"], {"env": ("-d",)}),
        (["-e", "A", "--env=B=c", "i"], {"env": ("A", "B=c")}),
        (["i", "-d", "--", "x"], {"args": ("-d", "--", "x")}),
        (["--", "i", "-d"], {"args": ("-d",)}),
        (["--count=-3", "--pull", "always", "i", ""], {"count": -3, "pull": "always", "args": ("",)}),
    ],
)  # fmt: skip
def test_plain_lists(words: list[str], expected: dict[str, object]) -> None:
    assert run.parse(words) == {**DEFAULTS, **expected}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help", "i"],
        ["--nope", "i"],
        ["--detac", "i"],
        ["--pull", "sometimes", "i"],
        ["--count", "many", "i"],
        ["--count"],
        ["-e"],
        ["--detach=maybe", "i"],
        ["-dz", "i"],
        ["-d="],
    ],
)
def test_what_is_not_plain_is_clicks(words: list[str]) -> None:
    assert run.parse(words) is None


@pytest.mark.parametrize(
    "attrs",
    [
        {"envvar": "X"},
        {"callback": print},
        {"count": True},
        {"flag_value": "x"},
        {"type": float},
        {"nargs": 2},
        {"prompt": True},
    ],
    ids=str,
)
def test_an_attribute_that_it_does_not_know_makes_the_whole_command_clicks(
    attrs: dict[str, object],
) -> None:
    @command()
    @option("--x", **attrs)
    def odd(x: object) -> None:
        """Odd."""

    assert not odd.is_plain()
    assert odd.parse([]) is None


def test_names_are_those_that_click_would_choose() -> None:
    @command()
    @option("-a", "--all-of", "everything", is_flag=True)
    @option("-n", "--no-trunc", is_flag=True)
    @option("-q", is_flag=True)
    @argument("CONTAINER-ID")
    def odd(**values: object) -> None:
        """Odd."""

    assert [param.name for param in odd.params] == ["everything", "no_trunc", "q", "container_id"]
    assert isinstance(odd, Command)
