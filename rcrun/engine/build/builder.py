"""The build: stages side by side, each when those that it uses are done; the image of the last one, and its names."""

from __future__ import annotations

import os
import time

from rcrun.engine.access import Access
from rcrun.engine.build import graph
from rcrun.engine.build.copying import Tree
from rcrun.engine.build.request import Built, Request
from rcrun.engine.build.root import lowers_of
from rcrun.engine.build.state import Layer, State, apply
from rcrun.engine.build.steps import Steps
from rcrun.engine.eventlog import emit
from rcrun.engine.pull import Silent, pull, unpack
from rcrun.errors import InvalidInput, NotFound, RcrunError
from rcrun.formats import image as documents
from rcrun.formats import reference as grammar
from rcrun.formats.containerfile import parse
from rcrun.formats.containerfile.faults import Fault
from rcrun.formats.containerfile.instructions import Instruction, triggered
from rcrun.formats.containerfile.lines import Line
from rcrun.storage import images, layout
from rcrun.storage.containers import time_text
from rcrun.storage.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from rcrun.engine.build.graph import Needed
    from rcrun.engine.build.request import Progress
    from rcrun.engine.context import Context
    from rcrun.formats.containerfile.instructions import Stage
    from rcrun.storage.images import Image

_WITH_FILES = ("RUN", "COPY", "ADD", "WORKDIR")


class StepFailed(RcrunError):
    """A step of a Containerfile, with its place."""

    def __init__(self, file: str, instruction: Instruction, error: RcrunError) -> None:
        super().__init__(
            f"{file}:{instruction.first_line}: {instruction.text}: {error.message}", error.hint
        )
        self.instruction = instruction
        self.cause = error


def build(context: Context, request: Request, progress: Progress) -> Built:
    """The new image, named; nothing but finished steps stays of a build that fails."""
    layout.init(context.store)
    os.makedirs(context.store.path("build"), 0o700, exist_ok=True)
    names = [str(_checked(name)) for name in request.names]
    with Lease(context.store) as lease:
        try:
            builder = Builder(context, request, progress, lease)
            state = builder.run()
        except Fault as error:
            error.message = (
                f"{request.file}:{error.line}: {error.text}" if error.line else error.text
            )
            raise
        return builder.finish(state, names)


def _checked(name: str) -> grammar.Reference:
    reference = grammar.parse(name)
    if reference.digest:
        raise InvalidInput(f'cannot name an image "{name}": a digest is computed, not given')
    return reference


class Builder:
    def __init__(
        self, context: Context, request: Request, progress: Progress, lease: Lease
    ) -> None:
        self.context = context
        self.request = request
        self.progress = progress
        self.lease = lease
        from contextlib import ExitStack

        self.file = parse(request.text)
        self.arguments = graph.global_arguments(
            self.file, request.arguments, predefined(request, context)
        )
        self.needed = graph.needed(self.file, request.target, self.arguments)
        self.created = time_text(
            time.time_ns() if request.epoch is None else request.epoch * 1_000_000_000
        )
        self.states: dict[int, Future[State]] = {}
        self.brought = ExitStack()
        self.used_arguments: set[str] = set()
        self.steps = Steps(context, request, lease, progress, self, self._epoch(), self.created)

    def _epoch(self) -> int:
        """Seconds; files that the build changes get no later time than this.

        Without --source-date-epoch it is a fixed one, so that the same content is the same layer everywhere and at any time.
        """
        return FIXED_EPOCH if self.request.epoch is None else self.request.epoch

    def run(self) -> State:
        from concurrent.futures import ThreadPoolExecutor

        count = max(1, len(os.sched_getaffinity(0)))
        with self.brought, ThreadPoolExecutor(max(count, len(self.needed))) as pool:
            for each in self.needed:
                self.states[each.stage.index] = pool.submit(self._stage, each)
            try:
                return self.states[self.needed[-1].stage.index].result()
            except BaseException:
                self._end(pool)
                raise

    def _end(self, pool: object) -> None:
        """Whatever still runs is of no use any more."""
        import signal

        for future in self.states.values():
            future.cancel()
        for pid in list(self.steps.running):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    # ---- one stage

    def _stage(self, needed: Needed) -> State:
        for other in needed.uses:
            self.states[other.index].result()  # an error of it is ours
        state = self._base(needed)
        triggers = [self._trigger(needed, text) for text in state.config.pop("OnBuild", None) or []]
        instructions = [*triggers, *needed.stage.instructions]
        label = needed.stage.name or f"stage-{needed.stage.index}"
        self.progress.stage(label, len(instructions))
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
                state.note(text, self.created, empty=True)
        except Fault:
            self.progress.failed(number)
            raise
        except RcrunError as error:
            self.progress.failed(number)
            raise StepFailed(self.request.file, instruction, error) from error
        self.progress.done(number)

    def _base(self, needed: Needed) -> State:
        if needed.base_stage is not None:
            return self.states[needed.base_stage.index].result().copy()
        if needed.base.lower() == graph.SCRATCH:
            return self._from_scratch(needed)
        named = self.request.contexts.get(needed.base)
        if named is not None and not named.startswith("docker-image://"):
            raise needed.stage.instruction.fault(
                f'the context "{needed.base}" is a directory, not an image'
            )
        text = named.removeprefix("docker-image://") if named else needed.base
        return self._from_image(self.image(text, needed.platform or self.request.platform))

    def _from_scratch(self, needed: Needed) -> State:
        platform = needed.platform or self.request.platform
        architecture, variant = images.wanted(platform)
        state = State({"architecture": architecture, "os": "linux"})
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
            return self._merged(self.states[stage.index].result())
        named = self.request.contexts.get(name)
        if named is not None and not named.startswith("docker-image://"):
            if not os.path.isdir(named):
                raise NotFound(f'the context "{name}" is not a directory: "{named}"')
            return Tree(os.path.abspath(named))
        text = named.removeprefix("docker-image://") if named else name
        return self._merged(self._from_image(self.image(text, self.request.platform)))

    def _stage_of(self, instruction: Instruction) -> Stage | None:
        for stage in self.file.stages:
            if any(each.line is instruction.line for each in stage.instructions):
                return stage
        return None

    def _merged(self, state: State) -> Tree:
        """The layers as a worker sees them together, read-only."""
        lowers = lowers_of(self.context, state, self.lease)
        if len(lowers) == 1:
            return Tree(lowers[0], [["propagation", "rprivate"]])
        from rcrun.engine.launch import overlay_options

        # An overlay that nothing is written to takes layers alone, and stands on the topmost.
        words = overlay_options(self.context, {})
        record = ["root-overlay", "", "", words, *lowers]
        return Tree(lowers[0], [["propagation", "rprivate"], record])

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

    def finish(self, state: State, names: list[str]) -> Built:
        from rcrun.storage.committing import Draft

        if self.request.labels:
            labels = {**(state.config.get("Labels") or {}), **self.request.labels}
            state.config["Labels"] = labels
        document = {
            **state.document,
            "created": self.created,
            "config": state.config,
            "history": state.history,
        }
        draft = Draft(document)
        draft.layers = [layer.descriptor for layer in state.layers]
        draft.diff_ids = [layer.diff_id for layer in state.layers]
        descriptor = draft.write(
            self.context.store, self.request.form, self.lease, self.request.annotations
        )
        image = images.load(self.context.store, descriptor)
        unpack(self.context, image, Silent())
        for name in names or [""]:
            layout.add_reference(self.context.store, descriptor, name)
        shown = grammar.familiar(grammar.parse(names[0])) if names else image.config_digest
        emit(self.context.store, "image", "build", image.config_digest, {"name": shown})
        return Built(image.config_digest, image.digest, state)


# 1980-01-02: the first day that every archive format can tell, zip among them.
FIXED_EPOCH = 315_619_200


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
