"""Make containers and run them: `run` and `create`."""

from __future__ import annotations

import os

from rcrun.engine.config import ImageFacts, build
from rcrun.engine.eventlog import container_event
from rcrun.engine.facts import gather
from rcrun.engine.launch import Foreground, launch
from rcrun.errors import InvalidInput, NoTerminal, NotFound, RcrunError, StepFailed
from rcrun.files import Lock, dump_json, unlink_if_there, write_new
from rcrun.formats import names
from rcrun.paths import make_private_dir
from rcrun.storage import images, layered, layers
from rcrun.storage.claims import Claim, claim, claim_free, random_name
from rcrun.storage.containers import anonymous_volumes, now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rcrun.engine.config import Built
    from rcrun.engine.context import Context
    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.engine.podmember import Held
    from rcrun.engine.pull import Progress
    from rcrun.formats.spec import Spec
    from rcrun.storage.images import Image
    from rcrun.storage.volumes import VolumeLock

LARGEST_PASSWD = 1 << 20


class Root:
    """What a new container stands on: an image's layers, top first, or a directory, perhaps a bundle's."""

    __slots__ = ("bundle_dir", "directory", "facts", "lowers", "spec")

    def __init__(self, facts: ImageFacts, lowers: list[str]) -> None:
        self.facts = facts
        self.lowers = lowers
        self.directory = ""
        self.bundle_dir = ""
        self.spec: Spec = {}


def run(
    context: Context,
    text: str,
    args: Sequence[str],
    options: Options,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> str:
    """Create and start; the id of a detached container. In the foreground the process becomes its client.

    `tell` gets the id before that where nobody joins what the container writes.
    """
    options = _prepared(context, options)
    foreground = None if options.get("detach") else foreground_of(options)
    with Making(context, options) as making:
        config = making.make(text, args, progress)
        container = making.claim.container
        container_event(container, "create", *(["attach"] if foreground else []))
        if tell and foreground and not set(foreground.streams) & {"o", "e"}:
            tell(container.id)
        try:
            launch(context, container, making.claim.lock, foreground, config)
        except RcrunError as error:
            from rcrun.engine.launchfailed import new_failed

            new_failed(context, making, error)
            raise
        return container.id


def create(
    context: Context,
    text: str,
    args: Sequence[str],
    options: Options,
    progress: Progress | None = None,
) -> str:
    """The id of a container that waits for `start`."""
    options = _prepared(context, options)
    with Making(context, options) as making:
        making.make(text, args, progress)
        making.claim.container.save(durable=not options.get("rm"))
        container_event(making.claim.container, "create")
        return making.claim.container.id


def _prepared(context: Context, options: Options) -> Options:
    """Before anything is opened: descriptors that are passed on must not be ours."""
    if context.conf or context.conf_fault:
        from rcrun.engine.defaults import of_container

        options = of_container(context, options)
    if options.get("preserve_fds") or options.get("preserve_fd"):
        from rcrun.engine.beside import passed_fds

        options = {**options, "kept_fds": passed_fds(options)}
    return {**options, "rm": True} if options.get("rmi") else options


def foreground_of(options: Options) -> Foreground:
    """Which streams the caller joins; docker's rule for a terminal that is none."""
    asked = [stream.lower() for stream in options.get("attach") or ()]
    stdin = options.get("interactive") and (not asked or "stdin" in asked)
    if stdin and options.get("tty") and not os.isatty(0) and not options.get("any_input"):
        raise NoTerminal(
            "the input device is not a TTY", "leave -t out where standard input is no terminal"
        )
    streams = "i" if stdin else ""
    streams += "o" if not asked or "stdout" in asked else ""
    streams += "e" if not asked or "stderr" in asked else ""
    sig_proxy = bool(options.get("sig_proxy", True))
    return Foreground(streams, options.get("detach_keys"), sig_proxy=sig_proxy)


class Making:
    """A container being made, with everything that goes when it fails: its directory, name, cidfile."""

    __slots__ = (
        "cidfile", "claim", "context", "gate", "ids_lock", "options", "pod_lock", "volume_locks",
    )  # fmt: skip

    def __init__(self, context: Context, options: Options) -> None:
        self.context = context
        self.options = options
        self.cidfile = ""  # the one that was written
        self.gate = layers.gate(context.store)
        self.claim: Claim = claim(context.store)
        self.volume_locks: dict[str, VolumeLock] = {}  # held until the record names the volumes
        self.ids_lock: Lock | None = None  # held until the record names the ids
        self.pod_lock: Held | None = None  # the same of its pod

    def make(self, text: str, args: Sequence[str], progress: Progress | None) -> Spec:
        """All of it but container.json, whose writing makes it a container; its config.json."""
        if self.options.get("pod") or self.options.get("pod_id_file"):
            from rcrun.engine.podmember import in_pod

            self.options, self.pod_lock = in_pod(self.context, self.options)
        root = self._root(text, progress)
        self.context.mark("image")
        if self.claim.lock.fd < 0:
            self.claim.__enter__()
        self._claim_name()
        container = self.claim.container
        facts = gather(
            self.context.identity,
            self.context.environ,
            container_id=container.id,
            name=container.name,
            store=self.context.store,
            created=now_text(),
            passwd=layered.read_file(root.lowers, "/etc/passwd", LARGEST_PASSWD),
            group=layered.read_file(root.lowers, "/etc/group", LARGEST_PASSWD),
            lowers=[self.context.store.relative(path) for path in root.lowers],
            taken_ids=self._taken_ids,
            search=self.context.search,
        )
        if root.directory:
            facts.lowers = []
        built = self._built(root, args, facts)
        built.container["image_typed"] = text
        if self.context.cgroup_manager:
            from rcrun.engine.cgroup import keep_manager

            keep_manager(self.context, built.container, built.config)
        if self.options.get("kept_fds"):
            built.container["preserve_fds"] = self.options["kept_fds"]
        self.context.mark("config")
        self._fill(built, root)
        self.context.mark("container")
        for warning in built.warnings:
            self.context.warn(warning, None)
        self._write_cidfile()
        return built.config

    def _taken_ids(self, which: str) -> list[tuple[int, int]]:
        from rcrun.engine.beside import taken_ids

        if self.ids_lock is None:
            self.ids_lock = Lock(self.context.store.path("ids.lock"))
            self.ids_lock.acquire()
        return taken_ids(self.context.store, which)

    def _built(self, root: Root, args: Sequence[str], facts: Facts) -> Built:
        if not root.bundle_dir:
            return build(self.options, args, root.facts, facts)
        from rcrun.engine.config_bundle import build_bundle
        from rcrun.runtime.bundle import malformed

        try:
            return build_bundle(self.options, args, root.spec, root.bundle_dir, facts)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise malformed(root.spec, error) from error

    def _root(self, text: str, progress: Progress | None) -> Root:
        if self.options.get("infra") == "pause":
            from rcrun.engine.otherroots import empty_root

            return empty_root(self.claim.container)
        if self.options.get("bundle"):
            from rcrun.engine.otherroots import bundle_root

            return bundle_root(self.context, str(self.options["bundle"]))
        directory = self.options.get("rootfs")
        if directory:
            if ":" not in directory:
                return directory_root(str(directory))
            from rcrun.engine.otherroots import covered_root

            return covered_root(str(directory))
        image = self._image(text, progress)
        lowers = self._lowers(image, progress)
        config = image.config.get("config") or {}
        facts = ImageFacts(config, image.reference or None, image.config_digest, image.digest)
        return Root(facts, lowers)

    def _lowers(self, image: Image, progress: Progress | None) -> list[str]:
        try:
            return layers.ensure(self.context.store, self.context.identity, image, progress)
        except StepFailed as error:
            from rcrun.engine.work import worded

            raise worded(error) from error

    def _image(self, text: str, progress: Progress | None) -> Image:
        """Found while the gate is held, so that nobody collects its layers before we name them."""
        policy, platform = self.options.get("pull") or "missing", self.options.get("platform") or ""
        # `oci:DIR` and its like are pull's own words.
        is_plain = not text.startswith(
            ("docker://", "docker-archive:", "oci-archive:", "oci:", "dir:")
        )
        if is_plain and policy not in ("always", "newer"):
            make_private_dir(self.context.store.root_dir)
            self.gate.acquire()
            try:
                return images.find(self.context.store, text, platform=platform)
            except NotFound:
                self.gate.release()
                if policy == "never":
                    raise
                text = _with_tag(text)
                self.context.tell(f"Unable to find image '{text}' locally")
        from rcrun.engine.pull import pull

        policy = "always" if is_plain and policy == "missing" else policy
        pulled = pull(
            self.context,
            text,
            policy=policy,
            platform=platform,
            progress=progress,
            access=self.options.get("access"),
        )
        self.gate.acquire()
        found = pulled.reference or pulled.config_digest
        return images.find(self.context.store, found, platform=platform)

    def _claim_name(self) -> None:
        given = self.options.get("name")
        if given:
            name = names.check(given.removeprefix("/"), "container")
            if self.options.get("replace"):
                from rcrun.engine.beside import remove_holder

                remove_holder(self.context, name)
            self.claim.claim_name(name)
            return
        if self.options.get("replace"):
            raise InvalidInput("--replace needs --name")
        claim_free(self.claim.claim_name, random_name)

    def _fill(self, built: Built, root: Root) -> None:
        container = self.claim.container
        container.record = built.container
        durable = not built.container["auto_remove"]
        for name, text in built.files.items():
            write_new(container.path(name), text.encode())
        os.mkdir(container.path("rootfs"), 0o755)
        if root.directory:
            container.record["rootfs"] = {"kind": "directory", "path": root.directory}
            container.record["bundle"] = root.bundle_dir
        else:
            self._make_upper(root, built.config)
        if built.container.get("accounts"):
            from rcrun.engine.beside import write_accounts

            write_accounts(container, built, root.lowers)
        self._prepare_mounts(built, root)
        config = (dump_json(built.config) + "\n").encode()
        write_new(container.path("config.json"), config, durable=durable)

    def _prepare_mounts(self, built: Built, root: Root) -> None:
        mounts = built.mounts
        if mounts.volumes or mounts.make_dirs or mounts.chowns:
            from rcrun.engine.volumes import prepare

            prepare(self.context, mounts, root.lowers, built.config, self.volume_locks)
        if self.context.mounts_conf and not root.bundle_dir:
            from rcrun.engine.hostmounts import add_mounts

            add_mounts(self.context, self.claim.container, built.config, self.options)
        if any("overlay" in record for record in mounts.records):
            from rcrun.engine.overlays import require_overlay

            require_overlay(self.context)
        if mounts.secrets:
            from rcrun.engine.secrets import copy_secrets

            copy_secrets(self.context, self.claim.container, mounts.secrets, built.config)

    def _make_upper(self, root: Root, config: Spec) -> None:
        """The root directory's mode is the upper's; its owner is the container's root, which we are."""
        from rcrun.engine.rootdriver import driver

        container = self.claim.container
        if container.record.get("shifted"):
            from rcrun.engine.shifting import copy_shifted

            container.record["rootfs"]["driver"] = "copy"
            copy_shifted(self.context, root.lowers, container.path("rootfs"), config)
            return
        container.record["rootfs"]["driver"] = chosen = driver(self.context)
        if chosen == "copy":
            from rcrun.engine.volumes import copy_layers

            copy_layers(self.context, root.lowers, container.path("rootfs"))
            return
        mode = os.stat(root.lowers[0]).st_mode & 0o7777
        os.mkdir(container.path("upper"))
        os.chmod(container.path("upper"), mode)
        os.mkdir(container.path("work"), 0o700)

    def _write_cidfile(self) -> None:
        path = self.options.get("cidfile")
        if not path:
            return
        from rcrun.engine.idfile import write

        write(path, self.claim.container.id, "container")
        self.cidfile = path

    def __enter__(self) -> Making:
        path = self.options.get("cidfile")
        if path and self.options.get("new_cidfile"):
            unlink_if_there(path)
        elif path:
            from rcrun.engine.idfile import refuse_existing

            refuse_existing(path, "container")
        return self

    def __exit__(self, *error: object) -> None:
        self.gate.release()
        if self.claim.lock.fd >= 0:
            if not self.claim.is_saved():
                if self.cidfile:
                    unlink_if_there(self.cidfile)
                self._remove_volumes()
            self.claim.__exit__(None, None, None)
        self.release_volumes()
        for lock in (self.ids_lock, self.pod_lock):
            if lock is not None:
                lock.release()

    def release_volumes(self) -> None:
        for lock in self.volume_locks.values():
            lock.release()

    def _remove_volumes(self) -> None:
        """Those that were made for the container that was not."""
        self.release_volumes()
        made = anonymous_volumes(self.claim.container)
        if made:
            from rcrun.engine.volumerm import remove_unused

            remove_unused(self.context, made)


def _with_tag(text: str) -> str:
    """As docker shows what it goes on to pull."""
    from rcrun.formats.reference import familiar, parse

    return familiar(parse(text))


def directory_root(path: str) -> Root:
    absolute = os.path.abspath(path)
    if not os.path.isdir(absolute):
        raise NotFound(f'no root file system: "{path}" is not a directory')
    root = Root(ImageFacts({}), [absolute])
    root.directory = absolute
    return root
