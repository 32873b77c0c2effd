"""--output, --cache-to and --cache-from: what they say, and what is refused with which words."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.buildwords import cache, output, unreachable


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("out", "local", {"dest": "out"}),
        ("-", "tar", {"dest": "-"}),
        ("type=local,dest=out", "local", {"dest": "out"}),
        ("dest=out", "local", {"dest": "out"}),
        ("type=tar", "tar", {"dest": "-"}),
        ("type=oci,dest=a.tar,tar=false", "oci", {"dest": "a.tar", "tar": "false"}),
        ("type=docker", "docker", {}),
        ('type=image,"name=a,b",push=true', "image", {"name": "a,b", "push": "true"}),
        ("type=registry,annotation.x=y", "registry", {"annotation.x": "y"}),
    ],
)
def test_outputs(text: str, kind: str, values: dict[str, str]) -> None:
    made = output(text)
    assert (made.kind, made.values) == (kind, values)


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("host/cache", "plain", {"ref": "host/cache"}),
        ("type=registry,ref=r:1,mode=max", "registry", {"ref": "r:1", "mode": "max"}),
        ("type=local,dest=d", "local", {"dest": "d"}),
        ("type=inline", "inline", {}),
    ],
)
def test_caches(text: str, kind: str, values: dict[str, str]) -> None:
    made = cache("--cache-to", text)
    assert (made.kind, made.values) == (kind, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--output is empty"),
        ("type=tar,dest=a,b", '--output: "b" is not KEY=VALUE'),
        ("type=zip,dest=a", '--output: unknown type "zip"'),
        ("type=local", "--output: type local needs a directory"),
        ("type=local,dest=-", "a directory is not for standard output"),
        ("type=local,dest=a,name=x", '--output: type local has no "name"'),
    ],
)
def test_outputs_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        output(text)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--cache-to", "type=registry", 'has no ref'),
        ("--cache-to", "type=local,src=d", 'has no dest'),
        ("--cache-from", "type=local,dest=d", 'has no src'),
        ("--cache-from", "type=inline", "type inline is for --cache-to"),
        ("--cache-to", "type=registry,ref=r,mode=all", "mode is min or max"),
        ("--cache-to", "type=ftp", 'unknown type "ftp"'),
        ("--cache-to", "ref=x", "has no type"),
    ],
)  # fmt: skip
def test_caches_that_are_none(option: str, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        cache(option, text)
    assert caught.value.hint


def test_caches_of_services_are_none_and_no_error() -> None:
    for text in ("type=gha,mode=max", "scope=x,type=s3", "type=azblob"):
        message, hint = unreachable("--cache-to", text) or ("", "")
        assert "there is no cache of type" in message
        assert "type=local" in hint
    assert (
        unreachable("--cache-from", "type=local,src=d")
        is unreachable("--cache-from", "a/b")
        is None
    )
