"""What a registry has about an image that is there."""

from __future__ import annotations

from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context


def referrers(
    context: Context, text: str, artifact_type: str, access: Access
) -> list[dict[str, Any]]:
    """Descriptors; by the digest that was typed, or that the tag has now."""
    from rcrun.engine.pull import split_transport
    from rcrun.registry.referrers import referrers as ask

    reference = grammar.parse(context.store.meanings(split_transport(text)[1])[0])
    client, transport = access.connect(context, reference)
    with transport:
        digest = reference.digest or client.manifest(reference.tag).digest
        return ask(client, digest, artifact_type)
