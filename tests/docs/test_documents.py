"""What the documents tell people to type is typed, and what they say comes back does; links lead somewhere.

A block marked `sh` is run, all of a document's in one shell; a block marked `text` after it is what
it prints, `...` standing for anything. `<!-- not executed: REASON -->` above a block is the exception.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from accounts import CHECKOUT, Account

DOCUMENTS = [CHECKOUT / "README.md", *sorted(CHECKOUT.glob("docs/*.md"))]
FENCE = re.compile(
    r"(?P<skip><!-- not executed: [^>]+ -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


class Block:
    def __init__(self, line: int, script: str) -> None:
        self.line = line
        self.script = script
        self.expected: str | None = None


def blocks(document: Path) -> list[Block]:
    """The blocks to run, each with the output that the next block shows."""
    text = document.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in FENCE.finditer(text):
        if match["kind"] in ("sh", "shell", "bash", "console") and not match["skip"]:
            found.append(Block(text.count("\n", 0, match.start()) + 1, match["text"]))
        elif match["kind"] == "text" and found and follows(text, match.start()):
            found[-1].expected = match["text"]
    return found


def follows(text: str, start: int) -> bool:
    """Nothing stands between this block and the one before."""
    return text[:start].rstrip().endswith("```")


RUNNABLE = [document for document in DOCUMENTS if blocks(document)]


def script_of(found: list[Block]) -> str:
    """One shell for all blocks: a failure names the line of its block, outputs are told apart."""
    lines = ["set -eu", "trap 'echo \"failed: line $block\" >&2' ERR"]
    for block in found:
        lines += [f"block={block.line}", f"echo '=== {block.line}'", block.script]
    return "\n".join(lines)


@pytest.mark.timeout(600)
@pytest.mark.requires("userns", "subids", "overlay", "network", "bundles", "busybox")
@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: path.name)
def test_what_it_says_works(document: Path, user_account: Account) -> None:
    found = blocks(document)
    result = user_account.run("bash", "-c", script_of(found), cwd=CHECKOUT, timeout=500)
    assert result.status == 0, repr(result)
    outputs = dict(
        part.split("\n", 1) for part in ("\n" + result.out).split("\n=== ")[1:] if "\n" in part
    )
    for block in found:
        if block.expected is not None:
            pattern = block.expected.strip().replace("[", "[[]").replace("...", "*")
            printed = outputs[str(block.line)].strip()
            assert fnmatch.fnmatchcase(printed, pattern), f"line {block.line}: {printed!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_every_dependency_has_its_reason() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    assert listed is not None
    names = re.findall(r'"([a-z0-9-]+)', listed[1])
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert names
    assert [name for name in names if f"| {name} |" not in readme] == []


def test_tests_of_troubles_exist() -> None:
    text = (CHECKOUT / "docs/troubles.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (CHECKOUT / name).exists()] == []


def test_tests_that_are_named_exist() -> None:
    """In the table of conformance.md: `FILE::TEST`, and behind it more tests of that file."""
    text = (CHECKOUT / "docs/conformance.md").read_text(encoding="utf-8")
    missing, count, file = [], 0, ""
    for named, test in re.findall(r"`(?:([\w/]+\.py)::)?(test_\w+)`", text):
        if named:
            file = named if "/" in named else f"tests/registry/{named}"
        if file:
            count += 1
            source = (CHECKOUT / file).read_text(encoding="utf-8")
            missing += [] if f"def {test}(" in source else [f"{file}::{test}"]
    assert count > 60
    assert missing == []
