"""From a state and one instruction that touches files to the next layer, out of the cache where it was made before."""

from __future__ import annotations

from rcrun.engine.build import cache
from rcrun.engine.build.below import lowers_of
from rcrun.engine.build.copying import Copy, Stream, Tree, copy_job, owner_of, place_job
from rcrun.engine.build.mounts import Mount
from rcrun.engine.build.running import Running, argv_of, environment, options_of
from rcrun.engine.build.state import key_of
from rcrun.errors import RcrunError
from rcrun.formats import passwd
from rcrun.storage import layered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from rcrun.engine.build.cache import Result
    from rcrun.engine.build.closing import Closing
    from rcrun.engine.build.remotecache import Remote
    from rcrun.engine.build.request import Progress, Request
    from rcrun.engine.build.root import StepRoot
    from rcrun.engine.build.state import Layer, State
    from rcrun.engine.context import Context
    from rcrun.formats.containerfile.instructions import Instruction
    from rcrun.storage.lease import Lease

    class Sources(Protocol):
        """Finds what `--from` and `from=` name; an empty name is the build's own context."""

        def tree(self, name: str, instruction: Instruction) -> Tree: ...
        def fetched(
            self, url: str, instruction: Instruction, checksum: str
        ) -> tuple[Tree, str]: ...


# Of COPY, ADD and WORKDIR, which run nothing: a USER need not be there for them.
FOR_FILES = {"network": "none", "user": "0:0", "no_default_mounts": True}
MODE_OF_FETCHED = "600"  # as docker gives to what comes from an address


class Steps:
    """What all steps of a build share; used by several threads."""

    def __init__(
        self,
        context: Context,
        request: Request,
        lease: Lease,
        progress: Progress,
        sources: Sources,
        epoch: int,
        created: str,
        connections: Closing,
    ) -> None:
        self.context = context
        self.request = request
        self.lease = lease
        self.progress = progress
        self.sources = sources
        self.epoch = epoch
        self.created = created
        self.running = Running()
        self.made: dict[str, Result] = {}
        self.remote: Remote | None = None
        if request.caching.sources or request.caching.targets:
            from rcrun.engine.build.remotecache import Remote

            self.remote = Remote(context, request, lease, connections)

    def take(self, state: State, instruction: Instruction, number: int) -> str:
        """Change the state by RUN, COPY, ADD or WORKDIR; the text for its history."""
        text = {"RUN": self._run, "COPY": self._copy, "ADD": self._copy, "WORKDIR": self._workdir}
        return text[instruction.name](state, instruction, number)

    def _make(
        self,
        state: State,
        key: str,
        number: int,
        text: str,
        make: Callable[[list[str]], Layer | None],
    ) -> str:
        """Out of the cache, else by `make`, which is given the layers so far."""
        result = self._known(state, key)
        if result is None:
            lowers = lowers_of(self.context, state, self.lease)
            result = cache.Result(make(lowers), self.created)
            self.context.leaves_blobs = True
            if self.request.caching.keep:
                cache.keep(self.context.store, key, result)
        else:
            self.progress.cached(number)
        state.steps[key] = self.made[key] = result
        self._append(state, result, text)
        return text

    def _known(self, state: State, key: str) -> Result | None:
        """What an earlier build made, here or where --cache-from looks."""
        caching = self.request.caching
        if not caching.use or not state.is_cached:
            return None
        result = cache.find(self.context.store, key, self.lease)
        if result is None and self.remote is not None:
            result = self.remote.find(key)
            if result is not None:
                cache.keep(self.context.store, key, result)
        if result is None or caching.younger is None:
            return result
        return result if cache.is_younger(result, caching.younger) else None

    def _append(self, state: State, result: Result, text: str) -> None:
        if result.layer is not None:
            state.layers.append(result.layer)
        state.time = result.created
        state.note(text, result.created, empty=result.layer is None)

    def _newest(self) -> int:
        return self.epoch * 1_000_000_000

    def _base_key(self, state: State) -> list[str]:
        document = state.document
        platform = [document.get(name) or "" for name in ("os", "architecture", "variant")]
        return [
            *state.chain[-1:], *platform, str(self.epoch), self.context.identity.layer_kind(),
        ]  # fmt: skip

    # ---- RUN

    def _run(self, state: State, instruction: Instruction, number: int) -> str:
        argv, scripts = argv_of(instruction, state)
        mounts = [Mount(instruction, text, state) for text in instruction.flags.get("mount") or []]
        request = self.request
        options = options_of(
            instruction, request.options, request.network, request.allowed, self.context.environ
        )
        variables = environment(state, self.request.arguments)
        contents = [self._bind_digest(mount, instruction) for mount in mounts]
        # Proxies are how a step is made, not what it makes, unless an ARG asks for one.
        key = key_of(
            "run", self._base_key(state), argv, scripts, sorted(environment(state, {}).items()),
            state.config.get("Env"), state.config.get("User"), state.workdir,
            options.get("network"), options.get("privileged"), options.get("device"), options.get("root_emulation"),
            [mount.key for mount in mounts], contents,
        )  # fmt: skip
        options["env"] = [f"{name}={value}" for name, value in variables.items()]

        def make(lowers: list[str]) -> Layer | None:
            from rcrun.engine.build.mounts import Bringer
            from rcrun.engine.build.root import StepRoot
            from rcrun.engine.build.running import CommandFailed, place_scripts, run
            from rcrun.engine.config_emulation import hint_of

            with StepRoot(self.context, state, options, lowers) as root:
                bringer = Bringer(root, self.request, instruction, self._bring(root, instruction))
                try:
                    for mount in mounts:
                        bringer.add(mount)
                    bringer.options["volume"] += place_scripts(root, scripts)
                    root.merge_options(bringer.options)
                    root.fill(argv)
                    status = run(
                        root, lambda data: self.progress.output(number, data), self.running
                    )
                finally:
                    bringer.release()
                if status != 0:
                    kept = (
                        root.layer(self.lease, self._newest()) if self.request.keep_failed else None
                    )
                    raise CommandFailed(" ".join(argv), status, hint_of(root), kept)
                return root.layer(self.lease, self._newest())

        return self._make(state, key, number, f"RUN {' '.join(argv)}", make)

    def _bind_digest(self, mount: Mount, instruction: Instruction) -> str:
        if mount.kind != "bind":
            return ""
        return self._bind_stream(mount, instruction).digest()

    def _bind_stream(self, mount: Mount, instruction: Instruction) -> Stream:
        tree = self.sources.tree(mount.get("from"), instruction)
        job = {
            "root": tree.path, "sources": [mount.get("source") or "."], "ignore": tree.ignore, "exclude": [],
            "parents": False, "mtime": None if tree.steps is not None else self.epoch,
            "owner": None if tree.steps is not None else (0, 0), "mode": None,
        }  # fmt: skip
        return Stream(self.context, "gather", job, tree)

    def _bring(self, root: StepRoot, instruction: Instruction) -> Callable[[Mount], str]:
        """What a bind shows, copied beside the step's root: the same files that its key was made of."""
        import os

        count = 0

        def bring(mount: Mount) -> str:
            nonlocal count
            count += 1
            folder = root.claim.container.path(f"bind{count}")
            os.mkdir(folder)
            stream = self._bind_stream(mount, instruction)
            stream.into(place_job(folder, owned=self.context.identity.kind != "single"))
            if stream.kinds == ["file"]:
                return f"{folder}/{os.path.basename(mount.get('source'))}"
            return folder

        return bring

    # ---- COPY, ADD

    def _copy(self, state: State, instruction: Instruction, number: int) -> str:
        copy = Copy(instruction, state, self.epoch)
        lowers = lowers_of(self.context, state, self.lease) if copy.chown else []
        owner = owner_of(copy, *self._accounts(lowers))
        streams, archives = self._streams(copy, instruction, owner)
        try:
            return self._copied(copy, state, number, owner, streams, archives)
        finally:
            for stream in streams:
                stream.close()

    def _copied(
        self,
        copy: Copy,
        state: State,
        number: int,
        owner: tuple[int, int] | None,
        streams: list[Stream],
        archives: list[bool],
    ) -> str:
        digests = [stream.digest(keep=True) for stream in streams]
        key = key_of(
            "copy", self._base_key(state), copy.path, copy.parents, owner, copy.mode, digests, archives,
            [stream.kinds for stream in streams],
        )  # fmt: skip

        def make(lowers: list[str]) -> Layer | None:
            from rcrun.engine.build.root import StepRoot

            with StepRoot(self.context, state, FOR_FILES, lowers) as root:
                root.fill(["/"])
                kinds = [kind for stream in streams for kind in stream.kinds]
                for stream, is_archive in zip(streams, archives, strict=True):
                    job = copy_job(copy, kinds, root, owner, archive=is_archive)
                    stream.into(job, root.steps())
                return root.layer(self.lease, self._newest())

        return self._make(state, key, number, copy.instruction.text, make)

    def _accounts(self, lowers: list[str]) -> tuple[str, str]:
        from rcrun.engine.run import LARGEST_PASSWD

        texts = []
        for path in ("/etc/passwd", "/etc/group"):
            data = layered.read_file(lowers, path, LARGEST_PASSWD) if lowers else b""
            texts.append((data or b"").decode("utf-8", "replace"))
        return texts[0], texts[1]

    def _streams(
        self, copy: Copy, instruction: Instruction, owner: tuple[int, int] | None
    ) -> tuple[list[Stream], list[bool]]:
        """Tars of the sources; whether each is somebody's archive, which ADD unpacks."""
        from rcrun.engine.build.adding import archive_streams

        streams: list[Stream] = []
        archives: list[bool] = []
        tree = self.sources.tree(instruction.flag("from"), instruction)
        if instruction.name == "ADD":
            for stream in self._remote_streams(copy, instruction, owner):
                streams.append(stream)
                archives.append(False)
            for stream in archive_streams(self.context, copy, tree):
                streams.append(stream)
                archives.append(True)
        if copy.sources:
            streams.append(Stream(self.context, "gather", copy.job(tree, owner), tree))
            archives.append(False)
        if copy.files:
            here = Tree("", None)
            streams.append(Stream(self.context, "texts", copy.texts_job(owner), here))
            archives.append(False)
        return streams, archives

    def _remote_streams(
        self, copy: Copy, instruction: Instruction, owner: tuple[int, int] | None
    ) -> Iterator[Stream]:
        """Addresses and repositories; they leave the copy's list."""
        from rcrun.engine.build.contexts import is_git, is_remote

        for url in list(copy.sources):
            if not is_remote(url):
                continue
            copy.sources.remove(url)
            tree, name = self.sources.fetched(url, instruction, copy.checksum)
            job = {**copy.job(tree, owner), "sources": [name]}
            if copy.mode is None and not is_git(url):
                job["mode"] = MODE_OF_FETCHED
            yield Stream(self.context, "gather", job, tree)

    # ---- WORKDIR

    def _workdir(self, state: State, instruction: Instruction, number: int) -> str:
        word = state.expander(instruction).word(instruction.rest)
        if not word:
            raise instruction.fault("WORKDIR is empty")
        path = state.absolute(word).rstrip("/") or "/"
        state.config["WorkingDir"] = path
        owner = self._user(state)
        key = key_of("workdir", self._base_key(state), path, owner)

        def make(lowers: list[str]) -> Layer | None:
            from rcrun.engine.build.below import worker
            from rcrun.engine.build.root import StepRoot
            from rcrun.storage.marks import LOG

            with StepRoot(self.context, state, FOR_FILES, lowers) as root:
                root.fill(["/"])
                is_single = self.context.identity.kind == "single"
                log = root.claim.container.path(LOG) if is_single else ""
                job = {"root": root.path, "path": path, "owner": owner, "log": log}
                worker(self.context, "workdir", job, steps=root.steps())
                return root.layer(self.lease, self._newest())

        return self._make(state, key, number, f"WORKDIR {path}", make)

    def _user(self, state: State) -> tuple[int, int]:
        """Whom a directory of WORKDIR belongs to, as BuildKit has it; one that nobody knows yet is root."""
        name = str(state.config.get("User") or "")
        if not name:
            return 0, 0
        try:
            user = passwd.lookup(name, *self._accounts(lowers_of(self.context, state, self.lease)))
        except RcrunError:
            return 0, 0
        return user.uid, user.gid
