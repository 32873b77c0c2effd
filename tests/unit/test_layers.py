"""The architecture, drawn by the imports: they point down, and packages on one level ignore each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# Top first. A part may import what stands below it, and itself.
LEVELS = [
    ["rcrun_cli"],
    ["rcrun.engine"],
    ["rcrun.runtime"],
    ["rcrun.storage", "rcrun.network", "rcrun.cgroup", "rcrun.registry"],
    ["rcrun.kernel"],
    ["rcrun.formats"],
    ["rcrun.paths", "rcrun.files"],
    ["rcrun.errors", "rcrun.packages", "rcrun.version"],
]
LEVEL_OF = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def modules() -> dict[str, Path]:
    found = {}
    for base, package in (("", "rcrun"), ("rcrun-cli/", "rcrun_cli")):
        for path in sorted(CHECKOUT.glob(f"{base}{package}/**/*.py")):
            words = path.relative_to(CHECKOUT / base).with_suffix("").parts
            found[".".join(words).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def part_of(module: str) -> str | None:
    """The box of the diagram that a module lies in."""
    words = module.split(".")
    for length in (2, 1):
        name = ".".join(words[:length])
        if name in LEVEL_OF:
            return name
    return None


def imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Our modules that a module names in an import, wherever in it that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in MODULES else str(node.module)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    source = part_of(module)
    if module in ("rcrun", "rcrun.__main__", "rcrun_cli.__main__"):
        return  # the library's front door stands before the whole house
    assert source is not None, f"{module} is in no level of this test"
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for line, name in imports(module, tree):
        target = part_of(name)
        if name.split(".")[0] not in ("rcrun", "rcrun_cli") or target in (None, source):
            continue
        assert LEVEL_OF[source] < LEVEL_OF[target], f"{module}:{line} imports {name}"


def test_every_level_is_there() -> None:
    missing = [part for part in LEVEL_OF if not any(part_of(module) == part for module in MODULES)]
    assert not missing
