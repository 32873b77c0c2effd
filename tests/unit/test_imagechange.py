from __future__ import annotations

from typing import Any

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats.imagechange import apply, apply_all, words


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('CMD ["echo", "a b"]', {"Cmd": ["echo", "a b"]}),
        ("CMD echo $HOME", {"Cmd": ["/bin/sh", "-c", "echo $HOME"]}),
        ("cmd [ -f x ]", {"Cmd": ["/bin/sh", "-c", "[ -f x ]"]}),
        ('ENTRYPOINT ["/init"]', {"Entrypoint": ["/init"]}),
        ("ENV A=1 B='two words' C=a\\ b", {"Env": ["A=1", "B=two words", "C=a b"]}),
        ("ENV A some text", {"Env": ["A=some text"]}),
        ("EXPOSE 80 53/udp 8000-8001", {"ExposedPorts": {
            "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}}),
        ('LABEL a=b "c d"="e f"', {"Labels": {"a": "b", "c d": "e f"}}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ('SHELL ["/bin/bash", "-c"]', {"Shell": ["/bin/bash", "-c"]}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("WORKDIR /a/b/../c", {"WorkingDir": "/a/c"}),
        ("WORKDIR a", {"WorkingDir": "/a"}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        ("HEALTHCHECK --interval=5s --retries=2 CMD curl x", {"Healthcheck": {
            "Interval": 5_000_000_000, "Retries": 2, "Test": ["CMD-SHELL", "curl x"]}}),
        ('HEALTHCHECK CMD ["curl", "x"]', {"Healthcheck": {"Test": ["CMD", "curl", "x"]}}),
    ],
)  # fmt: skip
def test_instructions(text: str, changed: dict[str, Any]) -> None:
    assert apply({}, text) == changed


def test_later_instructions_see_earlier_ones() -> None:
    before: Any = {"Env": ["PATH=/bin", "A=0"], "Labels": {"x": "y"}, "WorkingDir": "/srv"}
    changed = apply_all(
        before, ["ENV A=1", "LABEL a=b", "WORKDIR app", 'SHELL ["/bin/ash", "-c"]', "CMD ls"]
    )
    assert changed == {
        "Env": ["PATH=/bin", "A=1"],
        "Labels": {"x": "y", "a": "b"},
        "WorkingDir": "/srv/app",
        "Shell": ["/bin/ash", "-c"],
        "Cmd": ["/bin/ash", "-c", "ls"],
    }
    assert before["Env"] == ["PATH=/bin", "A=0"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("RUN ls", "cannot change an image by"),
        ("", "cannot change an image by"),
        ("CMD", "needs a value"),
        ("ENV A", "is not KEY=VALUE"),
        ("ENV A=1 B", "is not KEY=VALUE"),
        ("LABEL =x", "is not KEY=VALUE"),
        ("ENV A='1", "a quote is not closed"),
        ("EXPOSE http", "http"),
        ("STOPSIGNAL SIGNOPE", "SIGNOPE"),
        ("SHELL /bin/sh", "SHELL needs the JSON form"),
        ("HEALTHCHECK --often CMD x", "has no option"),
        ("HEALTHCHECK --retries=x CMD x", "is no number of retries"),
        ("HEALTHCHECK maybe", "is no health check"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        apply({}, text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("'' \"\"", ["", ""]),
        ('a"b c"d', ["ab cd"]),
        ("'a\\b'", ["a\\b"]),
        ('"a\\"b\\n"', ['a"b\\n']),
        ("a\\ b", ["a b"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found
