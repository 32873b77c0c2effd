"""What changes between two looks: lists are taken once, and what ends meanwhile needs no pause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcrun.engine import cgroup, commit, commitimage, df
from rcrun.errors import HostLacks, WrongState
from rcrun.paths import Store


def test_df_looks_at_the_images_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: Iterator[list[Any]] = iter([[]])
    monkeypatch.setattr(df, "listed_images", lambda store: next(looks))
    assert df.Usage(Store(str(tmp_path), str(tmp_path / "live"))).images == []


class Word:
    def __init__(self, word: str) -> None:
        self.word = word


@pytest.mark.parametrize(
    ("words", "refusal", "frozen"),
    [
        (["running", "running", "paused"], None, [True, False]),
        (["running", "running", "exited"], None, [True]),  # killed while it was paused
        (["running", "running"], WrongState("it has ended"), [True]),
        (["running", "running"], HostLacks("no cgroup", "-"), [True]),
        (["exited"], None, []),
    ],
)
def test_commit_pauses_what_runs(
    monkeypatch: pytest.MonkeyPatch, words: list[str], refusal: Exception | None, frozen: list[bool]
) -> None:
    states, asked = iter(words), []

    def freeze(container: Any, now: Any, wanted: bool) -> None:
        asked.append(wanted)
        if refusal is not None:
            raise refusal

    monkeypatch.setattr(commitimage, "status", lambda container: Word(next(states)))
    monkeypatch.setattr(cgroup, "freeze", freeze)
    nobody: Any = None
    made: Any = commitimage._paused(nobody, commit.Options(), iter(["layer"]).__next__)
    assert made == "layer"
    assert asked == frozen
