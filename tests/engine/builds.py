"""A context directory and builds of it, for the tests of build."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from accounts import Result
    from conftest import Rcrun

QUIET = ("--network", "none")


class Work:
    """A context directory, and builds of it."""

    def __init__(self, rcrun: Rcrun) -> None:
        self.rcrun = rcrun
        self.folder: Path = rcrun.account.new_dir("context")

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def __call__(self, text: str, *words: object) -> Result:
        self.file("Containerfile", text)
        return self.rcrun("build", *QUIET, *map(str, words), self.folder)

    def image(self, text: str, *words: object) -> str:
        return self(text, "-q", *words).check().out.strip()

    def says(self, image: str, *argv: str) -> str:
        return self.rcrun("run", "--rm", *QUIET, image, *argv).check().out

    def config(self, image: str) -> dict[str, Any]:
        return json.loads(self.rcrun("image", "inspect", image).check().out)[0]["Config"]


def cached(done: Result) -> int:
    return done.err.count(" CACHED\n")


def forget_images(rcrun: Rcrun) -> None:
    """All but busybox: other tests have the same store."""
    keep = set(rcrun("images", "-q", "--no-trunc", "busybox").check().out.split())
    made = set(rcrun("images", "-aq", "--no-trunc").check().out.split()) - keep
    if made:
        rcrun("rmi", "-f", *made).check()
