"""What is asked of a build, and who is told of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from rcrun.engine.access import Access
    from rcrun.engine.build.state import State

    class Progress(Protocol):
        """Told about steps, from several threads; `step` is a number, of which there are `count` in its stage."""

        def stage(self, name: str, count: int) -> None: ...
        def step(self, stage: str, step: int, text: str) -> int: ...
        def output(self, number: int, data: bytes) -> None: ...
        def cached(self, number: int) -> None: ...
        def done(self, number: int) -> None: ...
        def failed(self, number: int) -> None: ...


class Request:
    """Texts as typed. `contexts` are the named ones, `secrets` maps an id to its bytes, `ssh` an id to a socket."""

    def __init__(
        self,
        *,
        text: str,
        context_dir: str,
        ignore: Sequence[str] = (),
        file: str = "Containerfile",
        target: str = "",
        arguments: Mapping[str, str] | None = None,
        contexts: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        names: Sequence[str] = (),
        platform: str = "",
        form: str = "oci",
        cache: bool = True,
        pull: str = "missing",
        network: str = "",
        options: Mapping[str, object] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        ssh: Mapping[str, str] | None = None,
        allowed: Sequence[str] = (),
        epoch: int | None = None,
        access: Access | None = None,
    ) -> None:
        self.text = text
        self.context_dir = context_dir
        self.ignore = list(ignore)
        self.file = file
        self.target = target
        self.arguments = dict(arguments or {})
        self.contexts = dict(contexts or {})
        self.labels = dict(labels or {})
        self.annotations = dict(annotations or {})
        self.names = list(names)
        self.platform = platform
        self.form = form
        self.cache = cache
        self.pull = pull
        self.network = network
        self.options = dict(options or {})
        self.secrets = dict(secrets or {})
        self.ssh = dict(ssh or {})
        self.allowed = list(allowed)
        self.epoch = epoch
        self.access = access


class Built:
    """The image's id and manifest digest; the state that its stage ended in."""

    __slots__ = ("digest", "image_id", "state")

    def __init__(self, image_id: str, digest: str, state: State) -> None:
        self.image_id = image_id
        self.digest = digest
        self.state = state
