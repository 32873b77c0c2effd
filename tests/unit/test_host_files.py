"""Files of the host that are for its containers: hooks.d, mounts.conf, seccomp.json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config_facts import built, facts
from rcrun.errors import InvalidInput
from rcrun.formats import hookfile, mountsconf

PATH = "/etc/containers/oci/hooks.d/a.json"


def parse(document: object) -> hookfile.HookFile:
    return hookfile.parse(json.dumps(document).encode(), PATH)


def current(when: dict[str, Any], **more: Any) -> hookfile.HookFile:
    document = {
        "version": "1.0.0",
        "hook": {"path": "/bin/hook"},
        "when": when,
        "stages": ["poststop"],
    }
    return parse({**document, **more})


ANNOTATED = {"com.example.trace": "/tmp/out", "other": "x"}


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, False),
        ({"always": True}, True),
        ({"always": False}, False),
        ({"always": False, "commands": ["sh"]}, False),
        ({"commands": ["^/bin/sh$", "nothing"]}, True),
        ({"commands": ["^sh$"]}, False),
        ({"commands": []}, False),
        ({"annotations": {"^com\\.example\\.trace$": ".*"}}, True),
        ({"annotations": {"trace": "^/tmp", "^other$": "^y$"}}, False),
        ({"annotations": {"trace": "^x$"}}, False),  # the value of another key
        ({"annotations": {"nothing": ".*"}}, False),
        ({"hasBindMounts": True}, True),
        ({"hasBindMounts": False}, False),  # as podman has it: it never holds
        ({"always": True, "commands": ["^/bin/ls$"]}, False),
        ({"always": True, "commands": ["^/bin/sh$"], "annotations": {"other": "x"}, "hasBindMounts": True}, True),
    ],
)  # fmt: skip
def test_all_conditions_must_hold(when: dict[str, Any], holds: bool) -> None:
    found = current(when).when
    assert found.holds("/bin/sh", ANNOTATED, has_mounts=True) is holds
    if "hasBindMounts" in when:
        assert not found.holds("/bin/sh", ANNOTATED, has_mounts=False)


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        ({}, False),
        ({"cmds": [".*/sh$"]}, True),
        ({"cmd": ["/ls$"], "annotation": ["^x$"]}, True),
        ({"annotations": ["^y$", "^/tmp"]}, True),
        ({"hasbindmounts": True}, False),
    ],
)
def test_of_an_old_file_one_must_hold(more: dict[str, Any], holds: bool) -> None:
    found = parse({"hook": "/bin/hook", "arguments": ["a"], "stage": ["prestart"], **more})
    assert found.hook == {"path": "/bin/hook", "args": ["/bin/hook", "a"]}
    assert found.stages == ["createRuntime"]
    assert found.when.holds("/bin/sh", ANNOTATED, has_mounts=False) is holds


def test_the_hook_is_taken_whole() -> None:
    hook = {"path": "/bin/hook", "args": ["hook", "x"], "env": ["A=b"], "timeout": 3}
    stages = ["prestart", "createRuntime", "precreate", "startContainer"]
    found = current({"always": True}, hook=hook, stages=stages)
    assert found.hook == hook
    assert found.stages == ["createRuntime", "precreate", "startContainer"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"version": "2.0"}, 'its version is "2.0", and 1.0.0 is known'),
        ({"hook": None}, '"hook" is missing'),
        ({"hook": {}}, '"hook.path" is missing'),
        ({"hook": {"path": "hook"}}, 'the path "hook" of its hook is not absolute'),
        ({"hook": {"path": "/h", "args": "x"}}, '"hook.args" is not a list'),
        ({"hook": {"path": "/h", "env": [1]}}, '"hook.env" has something that is no text'),
        ({"hook": {"path": "/h", "timeout": 0}}, '"hook.timeout" must be greater than 0'),
        ({"hook": {"path": "/h", "timeout": True}}, '"hook.timeout" is not a number'),
        ({"when": {"always": 1}}, '"when.always" is not true or false'),
        ({"when": {"commands": ["("]}}, 'invalid pattern "(": a "(" is not closed'),
        ({"when": {"annotations": {"a": 1}}}, '"when.annotations" has something that is no text'),
        ({"stages": None}, '"stages" is missing'),
        ({"stages": ["later"]}, 'unknown stage "later": there are prestart, createRuntime'),
        ({"stages": [[]]}, 'unknown stage "[]": there are'),
    ],
)
def test_what_is_wrong_with_a_hook_file(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        current(**{"when": {"always": True}, **more})
    assert caught.value.message.startswith(f'the hook file "{PATH}" cannot be used: {reason}')


def test_other_faults_of_hook_files() -> None:
    with pytest.raises(InvalidInput, match="is not JSON"):
        hookfile.parse(b"{", PATH)
    with pytest.raises(InvalidInput, match="it is not an object"):
        hookfile.parse(b"[]", PATH)
    with pytest.raises(InvalidInput, match='it has both "stage" and "stages"'):
        parse({"hook": "/h", "stage": [], "stages": []})


def test_lines_of_mounts_conf() -> None:
    text = "# entitlements\n/usr/share/rhel/secrets:/run/secrets\n  /etc/one/ \n\nrelative:/x\n/a:b/../c\n"
    assert mountsconf.parse(text) == [
        ("/usr/share/rhel/secrets", "/run/secrets"),
        ("/etc/one/", "/etc/one"),
        ("/a", "/c"),
    ]


PROFILE = b'{"defaultAction": "SCMP_ACT_LOG"}'


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ([], "SCMP_ACT_LOG"),
        (["seccomp=builtin"], "SCMP_ACT_ERRNO"),
        (["seccomp=unconfined"], None),
        (["seccomp=/own.json"], "SCMP_ACT_KILL"),
    ],
)
def test_the_filter_of_an_administrator(options: list[str], action: str | None) -> None:
    """Of /etc: what a package has brought to /usr/share decides nothing."""
    files = {
        "/etc/containers/seccomp.json": PROFILE,
        "/usr/share/containers/seccomp.json": b"damaged",
        "/own.json": b'{"defaultAction": "SCMP_ACT_KILL"}',
    }
    config = built({"security_opt": options}, known=facts(files=files)).config
    found = (config["linux"].get("seccomp") or {}).get("defaultAction")
    assert found == action
    del files["/etc/containers/seccomp.json"]
    config = built({"security_opt": options}, known=facts(files=files)).config
    found = (config["linux"].get("seccomp") or {}).get("defaultAction")
    assert found == (action if options else "SCMP_ACT_ERRNO")
