"""docker's config.json beyond credentials, and what is added where the command line says nothing."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import dockerconfig

HOST = dockerconfig.DEFAULT_HOST


@pytest.mark.parametrize(
    ("document", "found", "faults"),
    [
        ({}, {}, []),
        ({"auths": {"h": {}}, "credsStore": "x", "plugins": 5}, {}, []),
        ({"psFormat": "{{.ID}}", "imagesFormat": "", "statsFormat": None}, {"psFormat": "{{.ID}}"}, []),
        ({"PSFORMAT": "a", "httpheaders": {"A": "b"}}, {"psFormat": "a", "HttpHeaders": {"A": "b"}}, []),
        ({"psFormat": "a", "psformat": "b"}, {"psFormat": "b"}, []),
        ({"psFormat": 5, "detachKeys": "x"}, {"detachKeys": "x"}, ['"psFormat" is not a text']),
        ({"proxies": {"default": {"httpProxy": 1}}}, {}, ['"proxies" is not an object of objects of texts']),
        ({"proxies": {"default": None}}, {"proxies": {"default": None}}, []),
        ({"proxies": ["x"]}, {}, ['"proxies" is not an object of objects of texts']),
        ({"pruneFilters": ["a", 1]}, {}, ['"pruneFilters" is not a list of texts']),
        ({"HttpHeaders": {"A": ["b"]}}, {}, ['"HttpHeaders" is not an object of texts']),
        ([], {}, ["it does not hold a JSON object"]),
        (None, {}, ["it does not hold a JSON object"]),
    ],
)  # fmt: skip
def test_members(document, found, faults):
    assert dockerconfig.members(document) == (found, faults)


@pytest.mark.parametrize(
    ("entries", "host", "found"),
    [
        (None, HOST, {}),
        ({"default": {"httpProxy": "http://p", "noProxy": "n", "ftpProxy": ""}}, HOST, {"HTTP_PROXY": "http://p", "NO_PROXY": "n"}),
        ({"default": {"HTTPSPROXY": "s", "allProxy": "a", "other": "x"}}, HOST, {"HTTPS_PROXY": "s", "ALL_PROXY": "a"}),
        ({"default": {"httpProxy": "d"}, "tcp://h:1": {"ftpProxy": "f"}}, "tcp://h:1", {"FTP_PROXY": "f"}),
        ({"default": {"httpProxy": "d"}, "tcp://h:1": {}}, "tcp://h:1", {}),
        ({"tcp://h:1": {"httpProxy": "d"}}, HOST, {}),
        ({"default": None}, HOST, {}),
    ],
)  # fmt: skip
def test_proxies(entries, host, found):
    assert dockerconfig.proxies({"proxies": entries}, host) == found


def test_proxies_of_containers_and_builds():
    """--env stops the one spelling that it has, --build-arg both."""
    given = {"HTTP_PROXY": "p", "NO_PROXY": "n"}
    assert dockerconfig.for_container(given, ["A=b", "HTTP_PROXY=x", "no_proxy"]) == [
        "http_proxy=p",
        "NO_PROXY=n",
    ]
    assert dockerconfig.for_build(given, {"Http_Proxy": "x"}) == {"NO_PROXY": "n", "no_proxy": "n"}


@pytest.mark.parametrize(
    ("given", "kept", "found"),
    [
        ([], [], ()),
        (["until=1h"], ["label=a", "until=1h", "nothing"], ("until=1h", "label=a")),
        (["label=a"], ["label!=a", "label!=b"], ("label=a", "label!=b")),
        (["label!=a=1"], ["label=a=1", "label=a"], ("label!=a=1", "label=a")),
        ([], ["label=a", "label!=a"], ("label=a",)),
    ],
)
def test_prune_filters(given, kept, found):
    assert dockerconfig.prune_filters(given, kept) == found


@pytest.mark.parametrize(
    ("headers", "custom", "found"),
    [
        (None, "", {}),
        ({"X-Meta-A": "1", "x-meta-b": "2", "User-Agent": "u", "X-Meta-C": ""}, "", {"X-Meta-A": "1", "x-meta-b": "2"}),
        ({"X-Meta-A": "1"}, "other=1", {}),
        ({"X-Meta-A": "1"}, ' X-Meta-B =  2 ,"X-Meta-C=a,b"', {"X-Meta-B": "  2 ", "X-Meta-C": "a,b"}),
        (None, "X-Meta-A=1,X-Meta-A=2=3", {"X-Meta-A": "2=3"}),
    ],
)  # fmt: skip
def test_headers(headers, custom, found):
    assert dockerconfig.registry_headers({"HttpHeaders": headers}, custom) == found


@pytest.mark.parametrize(
    ("headers", "custom", "message"),
    [
        ({"X-Meta-A": "1\r\nHost: x"}, "", 'invalid HTTP header "X-Meta-A"'),
        ({"X-Meta-A:": "1"}, "", 'invalid HTTP header "X-Meta-A:"'),
        ({"X-Meta-A": "é"}, "", 'invalid HTTP header "X-Meta-A"'),
        (None, "a=1,b", 'invalid DOCKER_CUSTOM_HEADERS "b"'),
        (None, "=1", 'invalid DOCKER_CUSTOM_HEADERS "=1"'),
        (None, '"a=1"x', "invalid DOCKER_CUSTOM_HEADERS: "),
    ],
)
def test_headers_that_cannot_be_sent(headers, custom, message):
    with pytest.raises(InvalidInput) as error:
        dockerconfig.registry_headers({"HttpHeaders": headers}, custom)
    assert error.value.message.startswith(message)
