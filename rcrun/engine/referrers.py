"""What a registry has about an image that is there."""

from __future__ import annotations

from rcrun.formats import reference as grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.context import Context
    from rcrun.registry.client import Client


def referrers(
    context: Context, text: str, artifact_type: str, access: Access
) -> list[dict[str, Any]]:
    """Descriptors; by the digest that was typed, or that the tag has now."""
    from rcrun.engine.pull import split_transport
    from rcrun.registry.referrers import referrers as ask

    reference = grammar.parse(context.store.meanings(split_transport(text)[1])[0])

    def listed(client: Client) -> list[dict[str, Any]]:
        digest = reference.digest or client.manifest(reference.tag).digest
        return ask(client, digest, artifact_type)

    with access.sources(context, reference) as sources:
        return sources.first(listed)
