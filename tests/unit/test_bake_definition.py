"""Definitions of bake: variables, what targets say together, what is typed besides, and how it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats.bake import files, printed
from rcrun.formats.bake.choice import Choice, Chooser
from rcrun.formats.bake.compose import environment
from rcrun.formats.bake.overrides import Override

BUILT_IN = {"BAKE_CMD_CONTEXT": "cwd://", "BAKE_LOCAL_PLATFORM": "linux/amd64"}


def read(*texts: str, env: dict[str, str] | None = None, ends: str = "hcl") -> files.Read:
    known = env or {}
    named = [(f"{number}.{ends}", text.encode()) for number, text in enumerate(texts, 1)]
    return files.read(named, known.get, BUILT_IN, known.get)


def choose(found: files.Read, *words: str, sets: tuple[str, ...] = (), **env: str) -> Choice:
    overrides = [Override(text) for text in sets]
    return Chooser(found.targets, found.groups, overrides, env).choose(words)


def shown(choice: Choice) -> Any:
    return json.loads(printed.definition(choice.groups, choice.targets))


def said(text: str, *words: str, sets: tuple[str, ...] = (), **env: str) -> dict[str, Any]:
    """What one target says, but not where its files are if that is the usual place."""
    (found,) = shown(choose(read(text, env=env), *words, sets=sets, **env))["target"].values()
    usual = {"context": ".", "dockerfile": "Dockerfile"}
    return {key: value for key, value in found.items() if usual.get(key) != value}


def one(attributes: str, **env: str) -> dict[str, Any]:
    return said(f'target "default" {{\n{attributes}\n}}\n', **env)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("context = 1\npull = \"true\"\nno-cache = false", {"context": "1", "pull": True, "no-cache": False}),
        ("tags = [\"a\", \"\", \"a\", null]\nplatforms = []\ntarget = null", {"tags": ["a"]}),
        ("args = { A = 1, B = true, C = null, D = \"$${x}\" }", {"args": {"A": "1", "B": "true", "D": "$${x}"}}),
        ("cache-from = [\"a/b,c/d\", \"type=local,src=x\", { type = \"registry\", ref = \"a/b\" }]", {"cache-from": [{"ref": "a/b", "type": "registry"}, {"ref": "c/d", "type": "registry"}, {"src": "x", "type": "local"}]}),
        ("output = [\"out\", \"-\", { type = \"image\", push = true }, \"\"]", {"output": [{"dest": "out", "type": "local"}, {"dest": "-", "type": "tar"}, {"push": "true", "type": "image"}]}),
        ("secret = [\"id=a,src=/a\", \"type=env,id=b\", { id = \"a\", env = \"A\" }]", {"secret": [{"id": "a", "env": "A"}, {"id": "b"}]}),
        ("ssh = [\"default\", \"k=a,b\", { id = \"m\", paths = [\"p\"] }]", {"ssh": [{"id": "default"}, {"id": "k", "paths": ["a", "b"]}, {"id": "m", "paths": ["p"]}]}),
        ("attest = [\"type=sbom\", \"type=sbom,disabled=true\"]", {"attest": [{"disabled": True, "type": "sbom"}]}),
        ("network = \"host\"\nentitlements = [\"security.insecure\"]", {"network": "host", "entitlements": ["security.insecure", "network.host"]}),
        ("labels = { x = \"%{a}<&>\" }\nannotations = [\"index:a=$${b}\"]" .replace("%{", "%%{"), {"labels": {"x": "%%{a}<&>"}, "annotations": ["index:a=$${b}"]}),
        ("args = { P = BAKE_LOCAL_PLATFORM }\ncontext = BAKE_CMD_CONTEXT", {"args": {"P": "linux/amd64"}, "context": "cwd://"}),
    ],
)  # fmt: skip
def test_attributes(attributes: str, expected: dict[str, Any]) -> None:
    found = one(attributes)
    assert found == {key: value for key, value in expected.items() if value != []}


VARIABLES = """
variable "TEXT" { default = "t" }
variable "NUMBER" { default = 1 }
variable "FLAG" { default = false }
variable "NONE" { default = null }
variable "EMPTY" {}
variable "TYPED" { type = number }
variable "LIST" {
  type = list(number)
  default = ["1"]
}
variable "SET" {
  type = set(string)
  default = ["b", "a", "b"]
}
variable "MAP" {
  type = map(bool)
  default = null
}
variable "OBJECT" {
  type = object({ a = tuple([number, string]) })
  default = { a = [1, 2] }
}
OWN = "${TEXT}-${NUMBER + 1}"
target "default" {
  args = {
    all = jsonencode([TEXT, NUMBER, FLAG, NONE, EMPTY, TYPED, LIST, SET, MAP, OBJECT, OWN])
  }
}
"""


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, '["t",1,false,null,"",null,[1],["a","b"],null,{"a":[1,"2"]},"t-2"]'),
        (
            {"TEXT": "x", "NUMBER": "5", "FLAG": "T", "NONE": "1", "EMPTY": "e", "TYPED": "2.5", "OWN": "no"},
            '["x",5,true,"1","e",2.5,[1],["a","b"],null,{"a":[1,"2"]},"x-6"]',
        ),
        (
            {"LIST": '2,"3"', "SET": 'z,"a,b"', "MAP": "k:1,l:false", "OBJECT_JSON": '{"a":["7",8]}', "LIST_JSON": ""},
            None,
        ),
        (
            {"LIST": "2,3", "SET": 'z,"a,b"', "MAP": "k:1,l:false", "OBJECT_JSON": '{"a":["7",8]}'},
            '["t",1,false,null,"",null,[2,3],["a,b","z"],{"k":true,"l":false},{"a":[7,"8"]},"t-2"]',
        ),
        ({"LIST": "9", "LIST_JSON": "[4]"}, '["t",1,false,null,"",null,[4],["a","b"],null,{"a":[1,"2"]},"t-2"]'),
    ],
)  # fmt: skip
def test_variables(env: dict[str, str], expected: str | None) -> None:
    if expected is None:
        with pytest.raises(RcrunError, match='variable "LIST": this is no JSON'):
            said(VARIABLES, **env)
    else:
        assert said(VARIABLES, **env)["args"]["all"] == expected


def test_variables_for_people() -> None:
    text = (
        'variable "B" {\n  description = "why"\n  type = list(string)\n  default = ["x"]\n}\n'
        'variable "A" { default = null }\n'
    )
    rows = [{"name": "A"}, {"name": "B", "description": "why", "type": "list of string", "value": '["x"]'}]  # fmt: skip
    assert read(text).variables == rows
    table = printed.table(("NAME", "DESCRIPTION"), [("a", "one"), ("longer-name", "")])
    assert table == "NAME\t\tDESCRIPTION\na\t\tone\nlonger-name\n"


SHARED = """
function "tag" {
  params = [name]
  variadic_params = more
  result = [for each in concat([name], more) : "r/${each}"]
}
group "default" { targets = ["web", "inner"] }
group "inner" {
  description = "more"
  targets = ["tool"]
}
target "_base" {
  args = { A = 1, B = 2 }
  labels = { l = "base" }
  tags = ["never"]
  cache-from = ["a"]
  annotations = ["x=1"]
  platforms = ["linux/amd64"]
}
target "_other" {
  args = { B = 3 }
  secret = ["id=s,src=a"]
}
target "web" {
  inherits = ["_base", "_other"]
  tags = tag("web", "latest")
  args = { C = target._base.args.A, B = null }
  cache-from = ["b", "a"]
  annotations = ["y=2"]
  secret = ["id=s,src=b"]
}
target "tool" {
  contexts = { web = "target:base-x", gone = "" }
  description = "a tool"
}
target "base" {
  name = "base-${each}"
  matrix = { each = ["x", "y"] }
  args = { WHICH = each }
  tags = ["t"]
}
"""


def test_targets_and_groups() -> None:
    found = read(SHARED)
    made = choose(found)
    assert shown(made) == {
        "group": {
            "default": {"targets": ["inner", "web"]},
            "inner": {"description": "more", "targets": ["tool"]},
        },
        "target": {
            "base-x": {
                "context": ".",
                "dockerfile": "Dockerfile",
                "args": {"WHICH": "x"},
                "tags": ["t"],
                "output": [{"type": "cacheonly"}],
            },
            "tool": {
                "description": "a tool",
                "context": ".",
                "contexts": {"web": "target:base-x"},
                "dockerfile": "Dockerfile",
            },
            "web": {
                "annotations": ["x=1", "y=2"],
                "context": ".",
                "dockerfile": "Dockerfile",
                "args": {"A": "1", "B": "3", "C": "1"},
                "labels": {"l": "base"},
                "tags": ["r/web", "r/latest"],
                "cache-from": [{"ref": "a", "type": "registry"}, {"ref": "b", "type": "registry"}],
                "secret": [{"id": "s", "src": "b"}],
                "platforms": ["linux/amd64"],
            },
        },
    }
    assert [target.name for target in made.in_order()] == ["web", "base-x", "tool"]
    assert shown(choose(found, "base"))["group"]["base"] == {"targets": ["base-x", "base-y"]}
    assert set(choose(found, "base-*", "t??l").targets) == {"base-x", "base-y", "tool"}
    names = [row["name"] for row in printed.listed(found.targets, found.groups)]
    assert names == ["base", "base-x", "base-y", "default", "inner", "tool", "web"]


def test_several_files() -> None:
    first = 'variable "V" { default = 1 }\ntarget "a" {\n  tags = ["one"]\n  args = { X = V, Y = 1 }\n}\n'
    second = 'variable "V" { default = 2 }\ntarget "a" {\n  tags = ["two"]\n  args = { Y = 2 }\n}\n'
    expected = {"tags": ["two"], "args": {"X": "2", "Y": "2"}}
    made = shown(choose(read(first, second), "a"))["target"]["a"]
    assert made.items() >= expected.items()
    as_json = {
        "variable": {"V": {"default": 2, "type": "number"}},
        "function": {"twice": {"params": ["n"], "result": "${n * 2}"}},
        "target": {"a": [{"args": {"X": "${twice(V)}"}}, {"tags": ["t${V}", "${V}"]}]},
    }
    made = shown(choose(read(json.dumps(as_json), ends="json"), "a"))["target"]["a"]
    assert (made["args"], made["tags"]) == ({"X": "4"}, ["t2", "2"])


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (("*.platform=linux/arm64", "*.platform=linux/386"), {"platforms": ["linux/arm64", "linux/386"]}),
        (("w*.tags+=c",), {"tags": ["a", "b", "c"]}),
        (("web.tags=c", "web.tags+=d"), {"tags": ["c", "d"]}),
        (("web.args.A=x=y", "web.args.GIVEN", "web.args.NOT"), {"args": {"A": "x=y", "GIVEN": "here"}}),
        (("web.labels.a.b=c", "web.contexts.x=y"), {"labels": {"a.b": "c"}, "contexts": {"x": "y"}}),
        (("web.context=sub", "web.target=s", "web.no-cache=1", "web.pull=false"), {"context": "sub", "target": "s", "no-cache": True, "pull": False}),
        (("web.secret.s=env=E",), {"secret": [{"id": "s", "env": "E"}]}),
        (("web.secrets=id=t,src=u",), {"secret": [{"id": "t", "src": "u"}]}),
        (("web.cache-from+=type=local,src=c",), {"cache-from": [{"ref": "r", "type": "registry"}, {"src": "c", "type": "local"}]}),
        (("web.output=type=docker", "web.push=true"), {"output": [{"type": "docker"}, {"push": "true", "type": "image"}]}),
        (("web.output=type=image,name=n", "web.push=true", "web.load=true"), {"output": [{"name": "n", "push": "true", "type": "image"}, {"type": "docker"}]}),
        (("web.output=type=registry", "web.output=type=image", "web.push=false"), {"output": [{"push": "false", "type": "image"}]}),
        (("web.output=out", "web.load=true"), {"output": [{"dest": "out", "type": "local"}]}),
        (("*.attest=type=sbom,disabled=true",), {"attest": [{"disabled": True, "type": "sbom"}]}),
        (("web.network=host",), {"network": "host", "entitlements": ["network.host"]}),
        (("web.extra-hosts.h=1.2.3.4", "web.resources.memory=1g"), {"extra-hosts": {"h": "1.2.3.4"}, "resources": {"memory": "1g"}}),
    ],
)  # fmt: skip
def test_sets(sets: tuple[str, ...], expected: dict[str, Any]) -> None:
    text = (
        'target "web" {\n  tags = ["a", "b"]\n  secret = ["id=s,src=f"]\n  cache-from = ["r"]\n}\n'
    )
    usual = {
        "tags": ["a", "b"],
        "secret": [{"id": "s", "src": "f"}],
        "cache-from": [{"ref": "r", "type": "registry"}],
    }
    assert said(text, "web", sets=sets, GIVEN="here") == {**usual, **expected}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web=x", "names no target"),
        ("web.tags", "has no value"),
        ("web.args=x", '"args" needs a name'),
        ("web.nope=x", 'there is no "nope"'),
        ("none*.tags=x", 'no target is like "none*"'),
        ("web.pull=perhaps", '"perhaps" is neither true nor false'),
        ("web.secret.t=env=E", 'the target has no secret "t"'),
    ],
)
def test_sets_that_are_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        said('target "web" {}\n', "web", sets=(text,))
    assert caught.value.message.startswith(f'--set "{text}"')
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('target "a" {\n  context = target.b.context\n}\ntarget "b" { context = target.a.context }\n', '"target.a.context" leads to itself'),
        ('variable "A" { default = B }\nvariable "B" { default = A }\n', 'the variable "A" leads to itself'),
        ('function "f" {\n  params = []\n  result = f()\n}\nx = f()\n', 'the function "f" leads to itself'),
        ('target "a" { inherits = ["b"] }\n', 'there is no target "b"'),
        ('target "a" { contexts = { x = "target:b" } }\ntarget "b" { contexts = { x = "target:a" } }\n', 'stands on'),
        ('variable "A" {\n  default = 1\n  validation {\n    condition = A > 1\n    error_message = "A is small"\n  }\n}\n', '1.hcl:3: variable "A": A is small'),
        ('variable "A" { type = "string" }\n', "1.hcl:1: this is no type"),
        ('variable "A" {\n  type = number\n  default = "x"\n}\n', '1.hcl:1: variable "A": "x" is not a number'),
        ('target "a.b" {}\n', '1.hcl:1: "a.b" cannot be the name of a target'),
        ('target "a" { name = "b" }\n', '1.hcl:1: "name" needs a "matrix"'),
        ('target "a" {\n  matrix = { x = [1, 1] }\n}\n', '1.hcl:1: "a" is the name of two targets'),
        ('group "a" { name = "b" }\n', '1.hcl:1: a group has no "name"'),
        ('target "a" {\n  tags = "x"\n}\n', '1.hcl:2: "tags": a list is needed, not string'),
        ('target "a" {\n  output = ["push=true"]\n}\n', '1.hcl:2: "output": an output needs a type'),
        ('other "a" {}\n', '1.hcl:1: there are no blocks "other"'),
        ('target "a" { args = { x = upperr("") } }\n', '1.hcl:1: there is no function "upperr"'),
    ],
)  # fmt: skip
def test_definitions_that_are_wrong(text: str, message: str) -> None:
    with pytest.raises(RcrunError) as caught:
        choose(read(text), "a")
    assert message in caught.value.message


def test_what_means_nothing_is_remembered() -> None:
    assert read('target "a" {\n  contxt = "."\n}\n').unknown == [("a", "contxt", "1.hcl:2")]


COMPOSE = """
services:
  web.app:
    image: r/web:${TAG:-latest}
    environment: {FROM_SERVICE: s}
    build:
      context: ./web
      args: [A=1, FROM_SERVICE, FROM_CALLER, NOWHERE]
      additional_contexts: {other: "service:db", dir: ./d}
      extra_hosts: ["a:1.1.1.1", "a=2.2.2.2"]
      secrets: [token, file]
      shm_size: 64m
      ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}
      labels: {l: $$x}
      x-bake:
        tags: [r/extra:1]
        platforms: linux/amd64 linux/arm64
        output: [type=docker]
        no-cache: true
  db: {extends: {service: plain}, image: r/db}
  plain: {build: {context: ., dockerfile_inline: "FROM scratch"}}
  other: {image: not/built}
secrets:
  token: {environment: TOKEN}
  file: {file: ./f}
"""


def test_compose_files() -> None:
    found = read(COMPOSE, env={"FROM_CALLER": "c"}, ends="yaml")
    made = shown(choose(found))
    assert made["group"] == {"default": {"targets": ["db", "plain", "web_app"]}}
    assert made["target"]["db"]["tags"] == ["r/db"]
    assert made["target"]["db"]["dockerfile-inline"] == "FROM scratch"
    assert made["target"]["web_app"] == {
        "context": "web",
        "contexts": {"dir": "d", "other": "target:db"},
        "dockerfile": "Dockerfile",
        "args": {"A": "1", "FROM_CALLER": "c", "FROM_SERVICE": "s"},
        "labels": {"l": "$x"},
        "tags": ["r/extra:1"],
        "secret": [{"id": "token", "env": "TOKEN"}, {"id": "file", "src": "./f"}],
        "platforms": ["linux/amd64", "linux/arm64"],
        "output": [{"type": "docker"}],
        "no-cache": True,
        "shm-size": "64MiB",
        "ulimits": ["nofile=1:2", "nproc=3:3"],
        "extra-hosts": {"a": "1.1.1.1,2.2.2.2"},
    }
    hcl = b'target "db" { tags = ["mine"] }\n'
    both = files.read([("c.yaml", COMPOSE.encode()), ("b.hcl", hcl)], {}.get, {}, {}.get)
    assert shown(choose(both, "db"))["target"]["db"]["tags"] == ["mine"]
    for text, message in (
        ("services: {a: {build: ., image: '${X:?is needed}'}}", 'the variable "X" is not set: is needed'),
        ("include: [x]", '"include" is not read here'),
        ("services: {a: {extends: b}}", 'service "a" extends "b", which leads nowhere'),
        ("services: {}", "there are no services"),
    ):  # fmt: skip
        with pytest.raises(RcrunError, match=message.replace("?", r"\?")):
            read(text, ends="yml")
    known = environment(
        "A=1\n# x\nexport B='$A'\nC=\"${A}\\n\"\nD=a # b\nKNOWN=new\n", {"KNOWN": "k"}
    )
    assert known == {"KNOWN": "k", "A": "1", "B": "$A", "C": "1\n", "D": "a"}
