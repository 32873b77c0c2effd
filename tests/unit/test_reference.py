from __future__ import annotations

import random

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import reference
from rcrun.formats.reference import Reference, familiar, full, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest"),
        ("someone/thing", "docker.io/someone/thing:latest"),
        ("docker.io/a/b/c", "docker.io/a/b/c:latest"),
        ("example.org/thing:1.0", "example.org/thing:1.0"),
        ("example.org", "docker.io/library/example.org:latest"),
        ("localhost/thing", "localhost/thing:latest"),
        ("localhost:5000/thing", "localhost:5000/thing:latest"),
        ("LOCALDOMAIN/thing", "LOCALDOMAIN/thing:latest"),
        ("[::1]:5000/thing:x", "[::1]:5000/thing:x"),
        ("127.0.0.1:80/a/b__c/d--e.f", "127.0.0.1:80/a/b__c/d--e.f:latest"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian:12@{DIGEST}"),
        ("debian:_Tag.with-all", "docker.io/library/debian:_Tag.with-all"),
    ],
)
def test_normalised(text: str, normalised: str) -> None:
    assert str(parse(text)) == normalised


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("thing", "localhost/thing:latest"),
        ("someone/thing:1", "localhost/someone/thing:1"),
        ("example.org/thing", "example.org/thing:latest"),
        ("docker.io/thing", "docker.io/library/thing:latest"),
    ],
)
def test_what_is_made_here_as_podman(text: str, local: str) -> None:
    assert str(reference.local(text)) == local


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("docker.io/library/debian:12", "debian:12"),
        ("docker.io/someone/thing", "someone/thing:latest"),
        ("docker.io/library/library/x", "library/library/x:latest"),
        ("docker.io/library/library", "library:latest"),
        ("quay.example/library/x", "quay.example/library/x:latest"),
        ("docker.io/some.host/x", "docker.io/some.host/x:latest"),
        (f"debian@{DIGEST}", f"debian@{DIGEST}"),
    ],
)
def test_familiar_and_full(text: str, short: str) -> None:
    assert familiar(parse(text)) == short
    assert parse(short) == parse(text)
    assert full(parse(text)) == str(parse(text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the repository is missing"),
        (":tag", "the repository is missing"),
        ("docker.io/", "the repository is missing"),
        ("/thing", 'two "/" stand together, or one at an end'),
        ("a//b", 'two "/" stand together, or one at an end'),
        ("example.org/", "the repository is missing"),
        ("thing/", 'two "/" stand together, or one at an end'),
        ("Debian", "the repository must be lower case"),
        ("example.org/Thing", "the repository must be lower case"),
        ("thing:", "the tag is empty"),
        ("thing:.hidden", 'the tag ".hidden" may hold'),
        ("thing:a b", 'the tag "a b" may hold'),
        ("thing:" + "t" * 129, "the tag is longer than 128 characters"),
        ("thing@", 'the digest "" does not begin with "sha256:"'),
        ("thing@md5:00", 'the digest "md5:00" does not begin with "sha256:"'),
        ("thing@sha256:00", "needs 64 lower-case hexadecimal digits"),
        ("thing@" + DIGEST.upper().replace("SHA", "sha"), "needs 64 lower-case"),
        ("a___b", '"a___b" may hold lower-case letters and digits'),
        ("a._b", '"a._b" may hold'),
        ("-a", '"-a" may hold'),
        ("a\n", '"a\n" may hold'),
        ("ex_ample.com/x", '"ex_ample.com" is not a host name'),
        ("host.example:port/x", '"host.example:port" is not a host name'),
        ("-host.example/x", '"-host.example" is not a host name'),
        ("[::g]:1/x", "is not a host name"),
        ("a" * 64, "64 hexadecimal digits are an image id"),
        ("x" * 256, "the name is longer than 255 characters"),
    ],
)
def test_fault_is_named(text: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(text)
    assert fault in raised.value.message
    assert f'"{text}"' in raised.value.message


def test_upper_case_has_a_hint_that_parses() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse("example.org/My/Thing:Tag")
    assert raised.value.hint == 'use "example.org/my/thing:Tag"'


def test_no_default_tag_on_request() -> None:
    assert parse("debian", default_tag="").tag == ""


def test_replacing_the_suffix() -> None:
    typed = parse(f"debian:12@{DIGEST}")
    assert str(typed.with_digest(DIGEST)) == f"docker.io/library/debian@{DIGEST}"
    assert len({typed, parse(str(typed))}) == 1


def _some(source: random.Random, letters: str, least: int = 1, most: int = 8) -> str:
    return "".join(source.choice(letters) for _ in range(source.randint(least, most)))


def _random_reference(source: random.Random) -> Reference:
    lower = "abcxyz0189"
    joints = (".", "_", "__", "-", "---")
    components = [
        _some(source, lower) + (source.choice(joints) + _some(source, lower)) * source.randint(0, 2)
        for _ in range(source.randint(1, 4))
    ]
    domain = source.choice(
        ("docker.io", "localhost", "localhost:5000", "Host", "a-b.example:1", "[fe80::1]:5000")
    )
    if domain == "docker.io" and len(components) == 1:
        components.insert(0, "library")
    tag = source.choice(("", _some(source, "aZ0_") + _some(source, "aZ0_.-", 0)))
    digest = "sha256:" + _some(source, "0123456789abcdef", 64, 64)
    return Reference(
        domain, "/".join(components), tag, digest if not tag else source.choice(("", digest))
    )


def test_parse_undoes_str_and_familiar() -> None:
    source = random.Random(7)
    for _ in range(3000):
        made = _random_reference(source)
        for text in (str(made), familiar(made)):
            parsed = parse(text)
            assert (parsed.domain, parsed.path, parsed.tag, parsed.digest) == (
                made.domain,
                made.path,
                made.tag,
                made.digest,
            ), text


def test_any_text_parses_or_is_refused() -> None:
    source = random.Random(8)
    parsed = refused = 0
    for _ in range(20000):
        text = _some(source, "aA0/:@._-[]sh256 é\0", 0, 12)
        try:
            found = parse(text)
        except InvalidInput:
            refused += 1
        else:
            parsed += 1
            assert parse(str(found)) == found == parse(familiar(found))
    assert parsed > 100
    assert refused > 100


def test_digests() -> None:
    assert not reference.digest_fault(DIGEST)
    assert not reference.digest_fault("sha512:" + "0" * 128)
    assert reference.digest_fault("sha256:../../x")
