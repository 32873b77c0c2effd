"""The text of a Containerfile → stages and instructions."""

from __future__ import annotations

import random

import pytest

from rcrun.errors import RcrunError
from rcrun.formats.containerfile import parse
from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.instructions import triggered, without_marks


def instructions(text: str) -> list[tuple[str, str]]:
    return [(each.name, each.rest) for stage in parse(text).stages for each in stage.instructions]


def test_stages_and_arguments_before_them() -> None:
    found = parse(
        "# syntax=docker/dockerfile:1\n"
        "ARG V=1\n"
        "FROM --platform=$BUILDPLATFORM debian:$V AS Build\n"
        "run make\n"
        "FROM scratch\n"
        "COPY --from=build /x /\n"
    )
    assert found.directives == {"syntax": "docker/dockerfile:1"}
    assert [each.rest for each in found.arguments] == ["V=1"]
    assert [(stage.name, stage.base, stage.platform) for stage in found.stages] == [
        ("build", "debian:$V", "$BUILDPLATFORM"),
        ("", "scratch", ""),
    ]
    assert found.stages[1].instructions[0].flag("from") == "build"
    assert found.find("BUILD").index == found.find("0").index == 0
    assert found.find("").index == 1
    with pytest.raises(Fault, match='no stage "nope"'):
        found.find("nope")


def test_lines_go_on() -> None:
    text = "FROM x\n  # a comment\nRUN a \\\n  # not the end\n\n  b \\  \n  && c \\\\\nENV A=1\n"
    assert instructions(text) == [("RUN", "a   b   && c \\\\"), ("ENV", "A=1")]
    run = parse(text).stages[0].instructions[0]
    assert (run.line.first, run.line.last) == (3, 7)


def test_the_other_escape() -> None:
    text = "# escape=`\nFROM x\nRUN dir `\n C:\\\nENV P=C:\\x\n"
    assert instructions(text) == [("RUN", "dir  C:\\"), ("ENV", "P=C:\\x")]


def test_directives_stand_at_the_top() -> None:
    assert instructions("# just words\n# escape=`\nFROM x\nRUN a \\\n b\n") == [("RUN", "a  b")]
    with pytest.raises(Fault, match="given twice"):
        parse("# escape=`\n# escape=`\nFROM x\n")
    with pytest.raises(Fault, match="invalid escape"):
        parse("# escape=x\nFROM x\n")


def test_here_documents() -> None:
    found = parse(
        "FROM x\n"
        'RUN <<EOF cat && cat 3<<-"REST"\n'
        "one $A\n"
        "# no comment \\\n"
        "EOF\n"
        "\t\ttwo\n"
        "\tREST\n"
        "COPY <<a <<b /dir/\n"
        "1\n"
        "a\n"
        "2\n"
        "b\n"
        "RUN echo <<<word\n"
    )
    run, copy, last = found.stages[0].instructions
    assert [(each.name, each.content, each.expands) for each in run.heredocs] == [
        ("EOF", "one $A\n# no comment \\\n", True),
        ("REST", "\ttwo\n".replace("\t", ""), False),
    ]
    assert [each.content for each in copy.heredocs] == ["1\n", "2\n"]
    assert without_marks(copy) == ["/dir/"]
    assert last.heredocs == []
    with pytest.raises(Fault, match='the here-document "EOF" has no end'):
        parse("FROM x\nRUN <<EOF\na\n")


def test_flags() -> None:
    run = parse("FROM x\nRUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t a --b\n")
    first = run.stages[0].instructions[0]
    assert first.flags["mount"] == ["type=cache,target=/c", "type=tmpfs,target=/t"]
    assert first.rest == "a --b"
    copy = parse("FROM x\nCOPY --link --parents=false --chown=a:b x y\n").stages[0].instructions[0]
    assert (copy.has("link"), copy.has("parents"), copy.flag("chown")) == (True, False, "a:b")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "there is no FROM"),
        ("RUN x\n", 1, "stands before the first FROM"),
        ("FROM x\n\nRAN x\n", 3, 'unknown instruction "RAN"'),
        ("FROM x\nRUN\n", 2, "RUN needs an argument"),
        ("FROM x y\n", 1, "FROM takes an image"),
        ("FROM x as 9\n", 1, "invalid name of a stage"),
        ("FROM x\nCOPY --frm=a b c\n", 2, 'COPY has no flag "--frm"'),
        ("FROM x\nCOPY --chown a b\n", 2, "--chown needs a value"),
        ("FROM x\nCOPY --link=maybe a b\n", 2, "true or false"),
        ("FROM x\nCOPY --chown=a --chown=b a b\n", 2, "given twice"),
        ("FROM x\nONBUILD FROM y\n", 2, "cannot be a trigger"),
        ("FROM x\nONBUILD NOPE y\n", 2, "unknown instruction"),
    ],
)
def test_what_is_wrong(text: str, line: int, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(text)
    assert caught.value.line == line
    assert reason in caught.value.message


def test_forms_of_arguments() -> None:
    env, old, cmd, shell_form, label = (
        parse(
            "FROM x\n"
            'ENV A="b c" D=\\"e\n'
            "ENV KEY some  value = here\n"
            'CMD ["a", "b c"]\n'
            "CMD [not json]\n"
            "LABEL a.b=c 'd e'=f\n"
        )
        .stages[0]
        .instructions
    )
    assert env.pairs() == [("A", '"b c"'), ("D", '\\"e')]
    assert old.pairs() == [("KEY", "some  value = here")]
    assert cmd.json() == ["a", "b c"]
    assert shell_form.json() is None
    assert label.pairs() == [("a.b", "c"), ("'d e'", "f")]
    with pytest.raises(Fault, match="is not KEY=VALUE"):
        parse("FROM x\nENV A=b c\n").stages[0].instructions[0].pairs()


def test_what_onbuild_holds() -> None:
    onbuild = parse("FROM x\nONBUILD COPY --chown=1 a b\n").stages[0].instructions[0]
    inner = triggered(onbuild)
    assert (inner.name, inner.flag("chown"), inner.rest) == ("COPY", "1", "a b")


def test_whatever_is_typed_ends_in_one_clear_error() -> None:
    pieces = [
        "FROM x\n",
        "RUN ",
        "<<EOF",
        "\n",
        "\\",
        "'",
        '"',
        "$",
        "{",
        "[",
        "--",
        "#",
        "=",
        " ",
        "é",
        "ARG",
    ]
    random_, said = random.Random(7), []
    for _ in range(3000):
        text = "".join(random_.choices(pieces, k=random_.randint(0, 12)))
        try:
            parse(text)
        except RcrunError as error:
            said.append(error.message)
    assert len(said) > 1000
    assert all(message.startswith("line ") for message in said)
