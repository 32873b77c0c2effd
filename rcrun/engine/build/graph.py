"""The stages that a target needs, in an order in which each comes after those that it uses. Pure."""

from __future__ import annotations

from rcrun.formats.containerfile.words import Expander

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rcrun.formats.containerfile.instructions import Containerfile, Instruction, Stage

SCRATCH = "scratch"


class Needed:
    """A stage with its base's name, variables put in, and the stage that it is, if it is one."""

    __slots__ = ("base", "base_stage", "platform", "stage", "uses")

    def __init__(self, stage: Stage, base: str, platform: str, base_stage: Stage | None) -> None:
        self.stage = stage
        self.base = base
        self.platform = platform
        self.base_stage = base_stage
        self.uses: list[Stage] = [base_stage] if base_stage else []


def global_arguments(
    file: Containerfile, given: Mapping[str, str], predefined: Mapping[str, str]
) -> dict[str, str]:
    """The ARGs before the first FROM: what was given with --build-arg, else their defaults."""
    values = dict(predefined)
    for instruction in file.arguments:
        for name, default in argument_pairs(instruction):
            if name in given:
                values[name] = given[name]
            elif default is not None:
                values[name] = expander(instruction, values).word(default)
    return values


def argument_pairs(instruction: Instruction) -> list[tuple[str, str | None]]:
    """`NAME[=DEFAULT] …`"""
    found: list[tuple[str, str | None]] = []
    for word in instruction.words():
        name, equals, default = word.partition("=")
        if not name:
            raise instruction.fault(f'"{word}" is not NAME[=DEFAULT]')
        found.append((name, default if equals else None))
    return found


def expander(instruction: Instruction, variables: Mapping[str, str]) -> Expander:
    return Expander(variables, escape=instruction.escape, line=instruction.first_line)


def needed(
    file: Containerfile, target: str, arguments: Mapping[str, str], *, everything: bool = False
) -> list[Needed]:
    """The target last; stages that nobody uses are left out, unless `everything` before the target is wanted."""
    order: list[Needed] = []
    seen: set[int] = set()

    def visit(stage: Stage) -> None:
        if stage.index in seen:
            return
        seen.add(stage.index)
        made = _resolved(file, stage, arguments)
        made.uses += [other for other in _used(file, stage) if other not in made.uses]
        for other in made.uses:
            visit(other)
        order.append(made)

    last = file.find(target)
    for stage in file.stages[: last.index] if everything else ():
        visit(stage)
    visit(last)
    return order


def _resolved(file: Containerfile, stage: Stage, arguments: Mapping[str, str]) -> Needed:
    expand = expander(stage.instruction, arguments)
    base, platform = expand.word(stage.base), expand.word(stage.platform)
    if not base:
        raise stage.instruction.fault(
            f'the image of FROM is empty: "{stage.base}"', "give its ARG a default, or --build-arg"
        )
    return Needed(stage, base, platform, earlier(file, stage, base))


def earlier(file: Containerfile, stage: Stage, name: str) -> Stage | None:
    """The stage before this one that has this name, or this number."""
    for other in reversed(file.stages[: stage.index]):
        if other.name and other.name == name.lower():
            return other
    if name.isdecimal() and int(name) < stage.index:
        return file.stages[int(name)]
    return None


def _used(file: Containerfile, stage: Stage) -> Iterator[Stage]:
    """Of COPY --from and RUN --mount=…,from=…"""
    for instruction in stage.instructions:
        for name in sources_of(instruction):
            other = earlier(file, stage, name)
            if other is not None:
                yield other
            elif name.isdecimal():
                raise instruction.fault(f"there is no stage {name} before this one")


def sources_of(instruction: Instruction) -> list[str]:
    """What an instruction takes files from, by name: a stage, an image or a named context."""
    if instruction.name == "COPY" and instruction.flag("from"):
        return [instruction.flag("from")]
    found = []
    for mount in instruction.flags.get("mount") or []:
        for pair in mount.split(","):
            key, _, value = pair.partition("=")
            if key == "from" and value:
                found.append(value)
    return found
