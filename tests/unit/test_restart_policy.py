"""`--restart` as it is typed."""

from __future__ import annotations

import pytest

from rcrun.engine.restart import parse_policy
from rcrun.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("", "no", 0),
        ("no", "no", 0),
        ("never", "no", 0),
        ("always", "always", 0),
        ("unless-stopped", "unless-stopped", 0),
        ("on-failure", "on-failure", 0),
        ("on-failure:0", "on-failure", 0),
        ("on-failure:12", "on-failure", 12),
    ],
)
def test_policies(text, name, count):
    assert parse_policy(text) == {"name": name, "max": count}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sometimes", 'unknown policy "sometimes"'),
        ("always:3", "only on-failure takes a count"),
        ("no:", "only on-failure takes a count"),
        ("on-failure:", "is no number"),
        ("on-failure:-1", "is no number"),
        ("on-failure:3x", "is no number"),
        ("on-failure:99999999999", "is no number"),
        ("Always", 'unknown policy "Always"'),
    ],
)
def test_what_is_no_policy(text, reason):
    with pytest.raises(InvalidInput, match=reason) as caught:
        parse_policy(text)
    assert caught.value.hint
