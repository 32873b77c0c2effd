"""What is asked of a build, and who is told of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.build.state import State
    from rcrun.formats.buildwords import Words
    from rcrun.formats.image import Descriptor
    from rcrun.storage.images import Image

    class Progress(Protocol):
        """Told about steps, from several threads; `step` is a number, of which there are `count` in its stage."""

        def stage(self, name: str, count: int, text: str) -> None: ...
        def step(self, stage: str, step: int, text: str) -> int: ...
        def output(self, number: int, data: bytes) -> None: ...
        def cached(self, number: int) -> None: ...
        def done(self, number: int) -> None: ...
        def failed(self, number: int) -> None: ...


class Looks:
    """What the image shall say of itself beyond what its Containerfile says; empty values change nothing."""

    def __init__(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        unset_env: Sequence[str] = (),
        unset_labels: Sequence[str] = (),
        inherit_labels: bool = True,
        history: bool = True,
        os_version: str = "",
        os_features: Sequence[str] = (),
    ) -> None:
        self.labels = dict(labels or {})
        self.annotations = dict(annotations or {})
        self.env = dict(env or {})
        self.unset_env = list(unset_env)
        self.unset_labels = list(unset_labels)
        self.inherit_labels = inherit_labels
        self.history = history
        self.os_version = os_version
        self.os_features = list(os_features)


class Caching:
    """What may be taken from former builds, and where else they are looked for and kept. `younger` is in seconds; None: of any age."""

    def __init__(
        self,
        *,
        use: bool = True,
        keep: bool = True,
        without: Sequence[str] = (),
        sources: Sequence[Words] = (),
        targets: Sequence[Words] = (),
        younger: float | None = None,
    ) -> None:
        self.use = use
        self.keep = keep
        self.without = [name.lower() for name in without]
        self.sources = list(sources)
        self.targets = list(targets)
        self.younger = younger


class Request:
    """Texts as typed. `contexts` are the named ones, `secrets` maps an id to its bytes, `ssh` an id to a socket.

    `base` replaces the image of the first FROM; `created` is the time of the image in nanoseconds, else it is the epoch, else now.
    """

    def __init__(
        self,
        *,
        text: str,
        context_dir: str,
        ignore: Sequence[str] = (),
        file: str = "Containerfile",
        target: str = "",
        every_stage: bool = False,
        base: str = "",
        arguments: Mapping[str, str] | None = None,
        contexts: Mapping[str, str] | None = None,
        looks: Looks | None = None,
        names: Sequence[str] = (),
        manifest_list: str = "",
        outputs: Sequence[Words] = (),
        platforms: Sequence[str] = (),
        form: str = "oci",
        squash: str = "",
        caching: Caching | None = None,
        pull: str = "missing",
        jobs: int = 0,
        network: str = "",
        options: Mapping[str, object] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        ssh: Mapping[str, str] | None = None,
        allowed: Sequence[str] = (),
        epoch: int | None = None,
        created: int | None = None,
        verify: bool = False,
        keep_failed: bool = False,
        access: Access | None = None,
    ) -> None:
        self.text = text
        self.context_dir = context_dir
        self.ignore = list(ignore)
        self.file = file
        self.target = target
        self.every_stage = every_stage
        self.base = base
        self.arguments = dict(arguments or {})
        self.contexts = dict(contexts or {})
        self.looks = looks or Looks()
        self.names = list(names)
        self.manifest_list = manifest_list
        self.outputs = list(outputs)
        self.platforms = list(platforms)
        self.platform = self.platforms[0] if self.platforms else ""
        self.form = form
        self.squash = squash
        self.caching = caching or Caching()
        self.pull = pull
        self.jobs = jobs
        self.network = network
        self.options = dict(options or {})
        self.secrets = dict(secrets or {})
        self.ssh = dict(ssh or {})
        self.allowed = list(allowed)
        self.epoch = epoch
        self.created = created
        self.dated = created is not None or epoch is not None
        self.verify = verify
        self.keep_failed = keep_failed
        self.access = access

    def changed(self, **values: object) -> Request:
        """A copy in which these differ."""
        made = Request.__new__(Request)
        made.__dict__.update({**self.__dict__, **values})
        return made


class Made:
    """The image of one platform, and the state that its stage ended in."""

    __slots__ = ("image", "platform", "state")

    def __init__(self, image: Image, platform: str, state: State) -> None:
        self.image = image
        self.platform = platform
        self.state = state


class Built:
    """One image a platform; `descriptor` is the image's, or the index's of several. `image_id` is what people call it."""

    __slots__ = ("descriptor", "kept", "made")

    def __init__(self, made: list[Made], descriptor: Descriptor, *, kept: bool) -> None:
        self.made = made
        self.descriptor = descriptor
        self.kept = kept  # in the store, under its names or without one

    @property
    def image_id(self) -> str:
        return self.made[0].image.config_digest if len(self.made) == 1 else self.digest

    @property
    def digest(self) -> str:
        return self.descriptor["digest"]
