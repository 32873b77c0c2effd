"""--secret of `run`, and the names of secrets."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import secretflag


def test_a_file_by_default() -> None:
    found = secretflag.parse("pw")
    assert (found.name, found.kind, found.target) == ("pw", "mount", "/run/secrets/pw")
    assert (found.uid, found.gid, found.mode) == (None, None, 0o444)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("source=pw", "/run/secrets/pw"),
        ("pw,target=other", "/run/secrets/other"),
        ("pw,target=a/b", "/run/secrets/a/b"),
        ("pw,target=/etc/x/../key", "/etc/key"),
    ],
)
def test_where_it_goes(text: str, target: str) -> None:
    assert secretflag.parse(text).target == target


def test_owner_and_mode() -> None:
    found = secretflag.parse("pw,uid=33,gid=44,mode=0640")
    assert (found.uid, found.gid, found.mode) == (33, 44, 0o640)


def test_a_variable() -> None:
    assert secretflag.parse("pw,type=env").target == "pw"
    assert secretflag.parse("pw,type=env,target=PASSWORD").target == "PASSWORD"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no secret is named"),
        ("type=env", "no secret is named"),
        ("pw,type=file", 'type is mount or env, not "file"'),
        ("pw,what=1", 'unknown option "what=1"'),
        ("pw,ro", 'unknown option "ro"'),
        ("pw,uid=root", "uid is a number"),
        ("pw,uid=4294967295", "uid is a number"),
        ("pw,gid=-1", "gid is a number"),
        ("pw,mode=rw", "mode is an octal number"),
        ("pw,mode=4755", "mode is an octal number"),
        ("pw,type=env,uid=1", "uid does not go with type=env"),
        ("pw,target=../..", '"../.." is no file to mount on'),
        ("pw,target=../other", '"../other" is no file to mount on'),
        ("pw,target=/", '"/" is no file to mount on'),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        secretflag.parse(text)
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["a", "with space", ".hidden", "ä", "a" * 253])
def test_names(name: str) -> None:
    assert secretflag.check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a,b", "a=b", "a\0b", "a" * 254, "\udcff"])
def test_no_names(name: str) -> None:
    with pytest.raises(InvalidInput, match="invalid secret name"):
        secretflag.check_name(name)
