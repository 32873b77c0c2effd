"""policy.json: which requirements count, whose signature is meant, and what is refused as a file."""

from __future__ import annotations

import json

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import policy
from rcrun.formats.reference import parse

DIGEST = "sha256:" + "b" * 64
ANY = [{"type": "insecureAcceptAnything"}]
REJECT = [{"type": "reject"}]
NAMED = "r.example:5000/a/b"


def kind_for(transports: dict[str, object], transport: str, scopes: list[str]) -> tuple[str, str]:
    found = policy.parse({"default": REJECT, "transports": transports}, "file")
    requirements, where = found.requirements(transport, scopes)
    return requirements[0].kind, where


@pytest.mark.parametrize(
    ("scope", "matches"),
    [
        ("r.example:5000/a/b:1", True),
        ("r.example:5000/a/b", True),
        ("r.example:5000/a", True),
        ("r.example:5000", True),
        ("*.example", True),
        ("", True),
        ("r.example", False),
        ("*.r.example", False),
        ("r.example:5000/a/b:2", False),
        ("r.example:5000/", False),
    ],
)
def test_scopes_of_a_registry(scope: str, matches: bool) -> None:
    scopes = policy.docker_scopes(parse(f"{NAMED}:1"))
    kind, where = kind_for({"docker": {scope: ANY}}, "docker", scopes)
    assert kind == ("insecureAcceptAnything" if matches else "reject")
    assert where == ("default" if not matches else f'docker "{scope}"' if scope else "docker")


def test_the_most_special_scope_counts_alone() -> None:
    scopes = policy.docker_scopes(parse(f"{NAMED}@{DIGEST}"))
    assert scopes[0] == f"{NAMED}@{DIGEST}"
    both = {"docker": {"r.example:5000": ANY, "r.example:5000/a": REJECT}}
    assert kind_for(both, "docker", scopes) == ("reject", 'docker "r.example:5000/a"')
    assert policy.path_scopes("/a/b/c") == ["/a/b/c", "/a/b", "/a"]
    assert kind_for({"dir": {"/a": ANY}}, "dir", policy.path_scopes("/a/b"))[1] == 'dir "/a"'
    assert kind_for({"dir": {"/a": ANY}}, "oci", policy.path_scopes("/a/b"))[1] == "default"


EXACT = {"type": "matchExact"}
USUAL = policy.DEFAULT_IDENTITY
SAME = {"type": "matchRepository"}
REMAP = {"type": "remapIdentity", "prefix": "m.example/x", "signedPrefix": "r.example:5000/a"}


@pytest.mark.parametrize(
    ("rule", "image", "signed", "meant"),
    [
        (EXACT, f"{NAMED}:1", f"{NAMED}:1", True),
        (EXACT, f"{NAMED}:1", f"{NAMED}:2", False),
        (EXACT, f"{NAMED}:1", NAMED, False),
        (EXACT, f"{NAMED}@{DIGEST}", f"{NAMED}:1", False),
        (EXACT, f"{NAMED}@{DIGEST}", f"{NAMED}@{DIGEST}", True),
        (EXACT, "busybox:1", "docker.io/library/busybox:1", True),
        (USUAL, f"{NAMED}:1", f"{NAMED}:1", True),
        (USUAL, f"{NAMED}:1", f"{NAMED}:2", False),
        (USUAL, f"{NAMED}:1", f"{NAMED}@{DIGEST}", False),
        (USUAL, f"{NAMED}@{DIGEST}", f"{NAMED}:2", True),
        (USUAL, f"{NAMED}@{DIGEST}", NAMED, False),
        (USUAL, f"{NAMED}@{DIGEST}", "r.example:5000/a/c:1", False),
        (SAME, f"{NAMED}:1", f"{NAMED}:2", True),
        (SAME, f"{NAMED}:1", NAMED, True),
        (SAME, f"{NAMED}:1", "r.example/a/b:1", False),
        (SAME, "", f"{NAMED}:1", False),
        (REMAP, "m.example/x/b:1", f"{NAMED}:1", True),
        (REMAP, "m.example/xx/b:1", "r.example:5000/ax/b:1", False),
        (REMAP, f"{NAMED}:1", f"{NAMED}:1", True),
        (REMAP, "m.example/x/b:1", "m.example/x/b:1", False),
        ({"type": "exactReference", "dockerReference": f"{NAMED}:1"}, "", f"{NAMED}:1", True),
        ({"type": "exactReference", "dockerReference": f"{NAMED}:1"}, "", f"{NAMED}:2", False),
        ({"type": "exactRepository", "dockerRepository": NAMED}, "x:1", f"{NAMED}:2", True),
        ({"type": "exactRepository", "dockerRepository": NAMED}, "x:1", "x:1", False),
        (SAME, f"{NAMED}:1", "NO:REFERENCE@", False),
    ],
)
def test_whose_signature_it_is(rule: dict[str, str], image: str, signed: str, meant: bool) -> None:
    assert policy.is_meant(rule, parse(image) if image else None, signed) is meant


KEY = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}


@pytest.mark.parametrize(
    ("requirement", "fault"),
    [
        ({"type": "insecureAcceptAnythin"}, 'type is "insecureAcceptAnythin", not one of'),
        ({"type": "reject", "really": True}, 'has a member "really", which nobody knows'),
        ({**KEY, "keyData": "eA=="}, "needs one of keyPath, keyPaths, keyData, and has 2"),
        ({"type": "signedBy", "keyType": "GPGKeys"}, "and has 0"),
        ({"type": "sigstoreSigned"}, "and has 0"),
        ({**KEY, "keyPath": ["/k"]}, "keyPath is not what it must be"),
        ({**KEY, "signedIdentity": {"type": "matchAll"}}, 'signedIdentity: type is "matchAll"'),
        (
            {**KEY, "signedIdentity": {"type": "exactReference", "dockerReference": NAMED}},
            "which lacks a tag or a digest",
        ),
        (
            {**KEY, "signedIdentity": {"type": "remapIdentity", "prefix": "a/b:1", "signedPrefix": "c"}},
            'prefix is "a/b:1", with a tag or a digest',
        ),
        ({**KEY, "signedIdentity": {"type": "remapIdentity", "prefix": "a"}}, "signedPrefix is missing"),
        ("reject", "number 1 is not a JSON object"),
    ],
)  # fmt: skip
def test_faults(requirement: object, fault: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        policy.parse({"default": [requirement]}, "file")
    assert raised.value.message.startswith('"file" cannot be used: default: number 1')
    assert fault in raised.value.message


@pytest.mark.parametrize("document", ["[]", "{}", '{"default": []}', '{"default": [], "x": 1}'])
def test_documents_that_are_none(document: str) -> None:
    with pytest.raises(InvalidInput, match='"file" cannot be used'):
        policy.parse(json.loads(document), "file")


def test_what_cannot_be_verified_is_named() -> None:
    def beyond(**more: object) -> str:
        found = policy.parse({"default": [{"type": "sigstoreSigned", **more}]}, "file")
        return found.default[0].beyond

    assert beyond(keyPath="/k") == ""
    assert beyond(keyDatas=["eA=="]) == ""
    assert beyond(keyPath="/k", rekorPublicKeyPath="/r") == "rekorPublicKeyPath"
    assert beyond(fulcio={"caPath": "/c"}) == "fulcio"
