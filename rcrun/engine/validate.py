"""`rcrun image validate`: an image of the store, an image layout, or one document."""

from __future__ import annotations

import os

from rcrun.errors import InvalidInput, RcrunError
from rcrun.storage import checking, images, wholes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.image import Descriptor
    from rcrun.paths import Store


def _bring(store: Store, entry: Descriptor) -> None:
    """Blobs that were dropped; one that cannot be had is told of as missing."""
    try:
        for each in wholes.whole(store, entry).blobs():
            store.bring(each["digest"])
    except RcrunError:
        pass


def faults(store: Store, text: str) -> list[str]:
    """What is wrong with it. What begins with `/`, `./` or `../` is a path, as everywhere; all else is an image's name."""
    if not text.startswith(("/", "./", "../")) and text not in (".", ".."):
        entry = images.entry_of(store, text)
        _bring(store, entry)
        return list(dict.fromkeys(checking.Layout(store.root_dir).image_faults(entry)))
    if os.path.isfile(text):
        return checking.document_faults(text)
    if not os.path.isdir(text):
        raise InvalidInput(f'there is no "{text}"')
    if not os.path.lexists(os.path.join(text, "oci-layout")):
        raise InvalidInput(
            f'"{text}" is no image layout: it has no "oci-layout"',
            "name a document in it, or an image of the store without a slash first",
        )
    return list(dict.fromkeys(checking.Layout(os.path.abspath(text)).faults()))
