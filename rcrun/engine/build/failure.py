"""--shell-on-failure: an image of the point at which a step failed, in which people can look around."""

from __future__ import annotations

from rcrun.engine.build.running import CommandFailed
from rcrun.engine.pull import Silent, unpack
from rcrun.storage import images, layout
from rcrun.storage.committing import Draft
from rcrun.storage.containers import now_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.build.state import State
    from rcrun.engine.context import Context
    from rcrun.errors import RcrunError
    from rcrun.storage.lease import Lease


def keep(context: Context, state: State, error: RcrunError, lease: Lease) -> str:
    """The id of an image without a name: what the step has written is in it, and the variables that it had.

    Empty where there is nothing to look at: a step of a stage FROM scratch before anything is in it.
    """
    made = state.copy()
    if isinstance(error, CommandFailed) and error.layer is not None:
        made.layers.append(error.layer)
    if not made.layers:
        return ""
    variables = {**state.arguments, **state.environment}
    config = {
        key: value for key, value in state.config.items() if key not in ("Healthcheck", "Volumes")
    }
    config["Env"] = [f"{name}={value}" for name, value in variables.items()]
    config["Entrypoint"] = None
    config["Cmd"] = state.shell[:1]
    draft = Draft({**state.document, "created": now_text(), "config": config})
    draft.layers = [layer.descriptor for layer in made.layers]
    draft.diff_ids = [layer.diff_id for layer in made.layers]
    descriptor = draft.write(context.store, "oci", lease)
    image = images.load(context.store, descriptor)
    unpack(context, image, Silent())
    layout.add_reference(context.store, descriptor, "")
    return image.config_digest
