"""commit: an image of what a container is now, which runs at once."""

from __future__ import annotations

from rcrun.engine.newlayer import NewLayer, is_ours
from rcrun.storage import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rcrun.engine.context import Context
    from rcrun.storage.containers import Container


class Options:
    """`pause` a container that runs, where it has a cgroup of its own. `config` wins over the container's, `changes` over both."""

    __slots__ = ("author", "changes", "config", "form", "message", "pause", "squash", "volumes")

    def __init__(
        self,
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        form: str = "oci",
        squash: bool = False,
        pause: bool = True,
        config: Mapping[str, Any] | None = None,
        volumes: bool = False,
    ) -> None:
        self.author = author
        self.message = message
        self.changes = changes
        self.form = form
        self.squash = squash
        self.pause = pause
        self.config = config or {}
        self.volumes = volumes  # whether the places of its volumes are in the image's configuration


def commit(context: Context, container: Container, name: str, options: Options) -> str:
    """The new image's id; `name` may be empty."""
    layout.init(context.store)
    with NewLayer(context, ours=is_ours(container, context.identity)) as new_layer:
        # Now: what these take to be read is what the layer's worker takes to start, if there is one.
        from rcrun.engine.commitimage import commit_with

        return commit_with(new_layer, context, container, name, options)
