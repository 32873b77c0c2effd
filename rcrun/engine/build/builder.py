"""The build: stages side by side, each when those that it uses are done; the image of the last one, and its names."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock

from rcrun.engine.access import Access
from rcrun.engine.build import graph
from rcrun.engine.build.closing import Closing
from rcrun.engine.build.copying import Tree, merged_tree
from rcrun.engine.build.ending import finish
from rcrun.engine.build.request import Built, Made, Request
from rcrun.engine.build.state import Layer, State, apply
from rcrun.engine.build.steps import Steps
from rcrun.engine.build.together import Stage, Together
from rcrun.engine.pull import Silent, pull
from rcrun.errors import NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats.containerfile import parse
from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.instructions import Instruction, triggered
from rcrun.formats.containerfile.lines import Line
from rcrun.formats.spec import DEFAULT_PATH
from rcrun.storage import images, layout
from rcrun.storage.containers import time_text
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.engine.build.graph import Needed
    from rcrun.engine.build.request import Progress
    from rcrun.engine.context import Context
    from rcrun.formats.containerfile.instructions import Stage as Described
    from rcrun.storage.images import Image

_WITH_FILES = ("RUN", "COPY", "ADD", "WORKDIR")


class StepFailed(RcrunError):
    """A step of a Containerfile, with its place; `image_id` is of an image of that point, where one was asked for."""

    image_id = ""

    def __init__(
        self, file: str, instruction: Instruction, error: RcrunError, number: int = 0
    ) -> None:
        super().__init__(
            f"{file}:{instruction.first_line}: {instruction.text}: {error.message}", error.hint
        )
        self.instruction = instruction
        self.cause = error
        self.number = number


def build(context: Context, request: Request, progress: Progress) -> Built:
    """The new image, named, or where --output wants it; nothing but finished steps stays of a build that fails."""
    layout.init(context.store)
    os.makedirs(context.store.path("build"), 0o700, exist_ok=True)
    names = [str(images.named(context.store, name)) for name in request.names]
    if request.manifest_list:
        images.named(context.store, request.manifest_list)
    if request.created is None:
        request = request.changed(created=_time_of(request))
    with Lease(context.store) as lease:
        platforms = request.platforms or [""]
        made = [
            _image(context, request.changed(platform=platform), progress, lease)
            for platform in platforms
        ]
        built = finish(context, request, made, names, lease)
    if context.leaves_blobs or context.restored:
        context.drop_blobs(built.descriptor, builds=True)
    return built


def _image(context: Context, request: Request, progress: Progress, lease: Lease) -> Made:
    try:
        builder = Builder(context, request, progress, lease)
        with builder.brought:
            state = builder.run()
            made = builder.image_of(state)
            if builder.steps.remote is not None:
                builder.steps.remote.export(state, builder.steps.made)
        if request.verify:
            from rcrun.engine.build.verify import verify

            verify(context, request, progress, lease, made)
    except Fault as error:
        if error.line and not error.message.startswith(f"{request.file}:"):
            error.message = f"{request.file}:{error.line}: {error.text}"
        raise
    return made


class Builder:
    def __init__(
        self, context: Context, request: Request, progress: Progress, lease: Lease
    ) -> None:
        self.context = context
        self.request = request
        self.progress = progress
        self.lease = lease
        self.file = parse(request.text)
        if request.base:
            self.file.stages[0].base = request.base
        self.arguments = graph.global_arguments(
            self.file, request.arguments, predefined(request, context)
        )
        self.needed = graph.needed(
            self.file, request.target, self.arguments, everything=request.every_stage
        )
        self.created = time_text(request.created or 0)
        self.states = {each.stage.index: self._later(each) for each in self.needed}
        self.brought = Closing()
        self.context_trees: dict[str, Tree] = {}
        self._bringing = allocate_lock()
        self.steps = Steps(
            context, request, lease, progress, self, self._epoch(), self.created, self.brought
        )

    def _time(self, state: State) -> str:
        """Of what has no files: that of the last step that has, so that the same build makes the same image."""
        return self.created if self.request.dated else state.time or self.created

    def _epoch(self) -> int:
        """Seconds; files that the build changes get no later time than this.

        Without --source-date-epoch it is a fixed one, so that the same content is the same layer everywhere and at any time.
        """
        return FIXED_EPOCH if self.request.epoch is None else self.request.epoch

    def run(self) -> State:
        stages = [self.states[each.stage.index] for each in self.needed]
        # In the order of the graph, so that with one job too nobody waits for who has not begun.
        with Together(stages, self.request.jobs or len(stages), self.steps.running.end):
            return [stage.result() for stage in stages][-1]

    # ---- one stage

    def _later(self, needed: Needed) -> Stage:
        return Stage(lambda: self._stage(needed))

    def _stage(self, needed: Needed) -> State:
        for other in needed.uses:
            self.states[other.index].result()  # an error of it is ours
        state = self._base(needed)
        triggers = [self._trigger(needed, text) for text in state.config.pop("OnBuild", None) or []]
        instructions = [*triggers, *needed.stage.instructions]
        label = needed.stage.name or f"stage-{needed.stage.index}"
        without = self.request.caching.without
        state.is_cached = (
            needed.stage.name not in without and str(needed.stage.index) not in without
        )
        self.progress.stage(label, len(instructions), needed.stage.instruction.text)
        for at, instruction in enumerate(instructions, 1):
            self._take(state, instruction, label, at)
        return state

    def _trigger(self, needed: Needed, text: str) -> Instruction:
        first = needed.stage.instruction.first_line
        line = Line(first, first, f"ONBUILD {text}", [])
        return triggered(Instruction(line, self.file.escape))

    def _take(self, state: State, instruction: Instruction, label: str, at: int) -> None:
        number = self.progress.step(label, at, instruction.text)
        try:
            if instruction.name in _WITH_FILES:
                self.steps.take(state, instruction, number)
            else:
                text = apply(state, instruction, self.arguments, self.request.arguments)
                state.note(text, self._time(state), empty=True)
        except Fault:
            self.progress.failed(number)
            raise
        except RcrunError as error:
            self.progress.failed(number)
            failed = StepFailed(self.request.file, instruction, error, number)
            if self.request.keep_failed:
                from rcrun.engine.build.failure import keep

                failed.image_id = keep(self.context, state, error, self.lease)
            raise failed from error
        self.progress.done(number)

    def _base(self, needed: Needed) -> State:
        if needed.base_stage is not None:
            return self.states[needed.base_stage.index].result().copy()
        if needed.base.lower() == graph.SCRATCH:
            return self._from_scratch(needed)
        named = self.request.contexts.get(needed.base)
        if named is not None and not named.startswith("docker-image://"):
            raise needed.stage.instruction.fault(
                f'the context "{needed.base}" is a directory, not an image',
                f"--build-context {needed.base}=docker-image://IMAGE; a layout: rcrun pull oci:DIR first",
            )
        text = named.removeprefix("docker-image://") if named else needed.base
        return self._from_image(self.image(text, needed.platform or self.request.platform))

    def _from_scratch(self, needed: Needed) -> State:
        platform = needed.platform or self.request.platform
        architecture, variant = images.wanted(platform)
        config = {"Env": [DEFAULT_PATH], "WorkingDir": "/"}  # as BuildKit begins
        state = State({"architecture": architecture, "os": "linux", "config": config})  # type: ignore[typeddict-item]
        if variant:
            state.document["variant"] = variant
        state.is_docker = self.request.form == "docker"
        return state

    def _from_image(self, image: Image) -> State:
        state = State(image.config)
        state.layers = [
            Layer(descriptor, diff_id)
            for descriptor, diff_id in zip(
                image.manifest["layers"], image.config["rootfs"]["diff_ids"], strict=True
            )
        ]
        state.base_layers = len(state.layers)
        return state

    def image(self, text: str, platform: str) -> Image:
        """Out of the store, or pulled; from then on the lease keeps it."""
        policy = self.request.pull
        try:
            image = pull(
                self.context,
                text,
                policy=policy,
                platform=platform,
                progress=Silent(),
                access=self.request.access or Access(),
            )
        except NotFound as error:
            raise NotFound(
                f'cannot find the image "{text}": {error.message}', error.hint
            ) from error
        members = [image.manifest["config"], *image.manifest["layers"]]
        self.lease.add([image.digest, *(member["digest"] for member in members)], image.chain)
        return image

    # ---- where files come from

    def tree(self, name: str, instruction: Instruction) -> Tree:
        """A stage by name or number, a named context, an image; the build's own context for an empty name."""
        if not name:
            return Tree(self.request.context_dir, None, self.request.ignore)
        own = self._stage_of(instruction)
        stage = graph.earlier(self.file, own, name) if own is not None else None
        if stage is not None:
            return merged_tree(self.context, self.states[stage.index].result(), self.lease)
        named = self.request.contexts.get(name)
        if named is not None and not named.startswith("docker-image://"):
            return self._context_tree(name, named, instruction)
        text = named.removeprefix("docker-image://") if named else name
        state = self._from_image(self.image(text, self.request.platform))
        return merged_tree(self.context, state, self.lease)

    def _context_tree(self, name: str, place: str, instruction: Instruction) -> Tree:
        """A directory, a repository, or an archive at an address; brought once, however many steps take from it."""
        from rcrun.engine.build.contexts import Fetched, is_git, is_remote

        if not is_remote(place):
            if not os.path.isdir(place):
                raise NotFound(f'the context "{name}" is not a directory: "{place}"')
            return Tree(os.path.abspath(place))
        with self._bringing:
            if name not in self.context_trees:
                fetched = self.brought.enter_context(Fetched(self.context))
                if is_git(place):
                    self.context_trees[name] = Tree(fetched.repository(place))
                elif fetched.from_address(place):
                    raise instruction.fault(f'the context "{name}" is not an archive: "{place}"')
                else:
                    self.context_trees[name] = Tree(fetched.path)
            return self.context_trees[name]

    def _stage_of(self, instruction: Instruction) -> Described | None:
        for stage in self.file.stages:
            if any(each.line is instruction.line for each in stage.instructions):
                return stage
        return None

    def fetched(self, url: str, instruction: Instruction, checksum: str) -> tuple[Tree, str]:
        """What ADD takes from an address or a repository: where it is, and its name there."""
        from rcrun.engine.build.contexts import Fetched, is_git

        fetched = self.brought.enter_context(Fetched(self.context))
        if not is_git(url):
            return Tree(fetched.path), fetched.file(url, checksum)
        if checksum:
            raise instruction.fault("--checksum is for files, not for a repository")
        return Tree(fetched.repository(url, keep_git=instruction.has("keep-git-dir"))), "."

    # ---- the image

    def image_of(self, state: State) -> Made:
        from rcrun.engine.build.ending import image_of

        image = image_of(self.context, self.request, state, self._time(state), self.lease)
        return Made(image, documents.platform_text(image.config), state)  # type: ignore[arg-type]


# 1980-01-02: the first day that every archive format can tell, zip among them.
FIXED_EPOCH = 315_619_200


def _time_of(request: Request) -> int:
    return time.time_ns() if request.epoch is None else request.epoch * 1_000_000_000


def predefined(request: Request, context: Context) -> Mapping[str, str]:
    """The arguments that every build has (BuildKit's platform ARGs)."""
    found = {}
    for name, platform in (("TARGET", request.platform), ("BUILD", "")):
        architecture, variant = images.wanted(platform)
        text = documents.platform_text(
            {"os": "linux", "architecture": architecture, "variant": variant}
        )
        found[f"{name}PLATFORM"] = text
        found[f"{name}OS"] = "linux"
        found[f"{name}ARCH"] = architecture
        found[f"{name}VARIANT"] = variant
    found["TARGETSTAGE"] = request.target or "default"
    return found
