"""What reads texts of strangers under atheris (ci/fuzz-parsers): a Fault or another error of ours is the answer, or a value; nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

with atheris.instrument_imports(include=["rcrun"]):
    from rcrun.engine.build import graph
    from rcrun.engine.build.state import State, apply
    from rcrun.errors import RcrunError
    from rcrun.formats import buildwords, reference
    from rcrun.formats.containerfile import ignore, parse

WITH_FILES = ("RUN", "COPY", "ADD", "WORKDIR")


def containerfile(text: str) -> None:
    file = parse(text)
    values = graph.global_arguments(file, {}, {"TARGETARCH": "amd64"})
    for needed in graph.needed(file, "", values):
        state = State({})
        for instruction in needed.stage.instructions:
            instruction.words()
            if instruction.name not in WITH_FILES:
                apply(state, instruction, values, {})
            else:
                state.expander(instruction).words(instruction.rest)


def references(text: str) -> None:
    """What is printed is read as the same."""
    found = reference.parse(text)
    again = reference.parse(str(found))
    assert str(again) == str(found), text
    short = reference.parse(reference.familiar(found))
    assert str(short) == str(found), text


def ignored(text: str) -> None:
    patterns, _, path = text.partition("\0")
    ignore.Ignored(ignore.read(patterns))(path)


def words(text: str) -> None:
    for read in (buildwords.output, lambda typed: buildwords.cache("--cache-to", typed)):
        try:
            read(text)
        except RcrunError:
            continue


TARGETS = {
    "containerfile": containerfile,
    "reference": references,
    "ignore": ignored,
    "words": words,
}


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        try:
            target(data.decode("utf-8", "surrogateescape"))
        except RcrunError:
            pass

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
