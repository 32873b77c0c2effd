"""The language of bake definitions: expressions, templates and functions, and what is said of those that are wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rcrun.errors import HostLacks
from rcrun.formats.bake import functions, hcl, jsonbody
from rcrun.formats.bake.values import Fault, to_json

VALUES = {
    "n": 3,
    "s": "text",
    "none": None,
    "list": [{"k": "a"}, {"k": "b"}],
    "map": {"b": 2, "a": 1},
}


class Scope:
    def value(self, name: str) -> Any:
        if name not in VALUES:
            raise Fault(f'there is no variable "{name}"')
        return VALUES[name]

    def function(self, name: str) -> Any:
        found = functions.function(name)
        if found is None:
            raise Fault(f'there is no function "{name}"')
        return found


def value(text: str) -> Any:
    return hcl.expression(text, "f", 1).value(Scope())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - -1", 8),
        ("(1 + 2) * 3 % 5", 4),
        ("7 / 2", Decimal("3.5")),
        ("0.1 + 0.2 == 0.3", True),
        ("1e3", 1000),
        ('"2" + 1', 3),
        ('"1" == 1', False),
        ("!(n > 2 && n != 4) || false", False),
        ("none == null ? s : nothing", "text"),
        ("n\n  >= 3", True),
        ('[1, "a", [true],]', [1, "a", [True]]),
        ('{ a = 1, "b c" : 2, (s) = 3, "${s}!" = 4 }', {"a": 1, "b c": 2, "text": 3, "text!": 4}),
        ("list[1].k", "b"),
        ("list.0.k", "a"),
        ('map["a"]', 1),
        ("list[*].k", ["a", "b"]),
        ("list.*.k", ["a", "b"]),
        ("none[*]", []),
        ("map[*].a", [1]),
        ("[for each in list : upper(each.k) if each.k != \"a\"]", ["B"]),
        ("[for key, each in map : \"${key}${each}\"]", ["a1", "b2"]),
        ("{ for key, each in map : each => key }", {"1": "a", "2": "b"}),
        ('{ for each in list : "all" => each.k... }', {"all": ["a", "b"]}),
        ("max([1, 5, 2]...)", 5),
        # templates
        ('"${n}"', 3),
        ('"<${n}>"', "<3>"),
        ('"a\\tb\\u00e9\\"${"${s}"}\\""', 'a\tbé"text"'),
        ('"$${n} %%{if} $n 5%"', "${n} %{if} $n 5%"),
        ('"$${${n}}"', "${3}"),
        ('"%{ if n > 2 }big%{ else }small%{ endif }!"', "big!"),
        ('"%{ for each in list ~}  ${each.k}, %{ endfor }"', "a, b, "),
        ('"%{ for i, each in ["x", "y"] }${i}${each}%{ endfor }"', "0x1y"),
        ("<<E\n  a ${n} \\n\n\nE\n", "  a 3 \\n\n\n"),
        ("<<-E\n    a $${n}\n\n      ${~ n ~}  !\n    E\n", "a ${n}\n\n3!\n"),
        ("<<-E\n  %{ if true ~}\n  yes\n  %{~ endif }\n  E\n", "yes\n"),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[absolute(-2), ceil(1.2), floor(-1.2), int(-1.7), signum(-3), pow(2, 10), log(8, 2)]', "[2,2,-2,-1,-1,1024,3]"),
        ("[add(1, 2), subtract(1, 2), multiply(2, 3), divide(1, 4), modulo(7, 3), negate(1)]", "[3,-1,6,0.25,1,-1]"),
        ("[min(2, 1), max(2, 1), parseint(\"ff\", 16), and(true, false), or(true, false), not(true)]", "[1,2,255,false,true,false]"),
        ("[lessthan(1, 2), greaterthanorequalto(1, 2), equal(\"a\", \"a\"), notequal(\"\", s)]", "[true,false,true,true]"),
        ("[upper(\"a\"), title(\"a b-c\"), reverse(\"ab\"), strlen(\"äb\"), byteslen(\"ä\"), substr(\"abcd\", -2, -1)]", '["A","A B-C","ba",2,2,"cd"]'),
        ('[trim("xax", "x"), trimprefix("ab", "a"), trimsuffix("ab", "b"), trimspace(" a "), chomp("a\\n\\n"), indent(2, "a\\nb")]', '["a","b","a","a","a","a\\n  b"]'),
        ('[replace("a.b.c", ".", "-"), regex_replace("a1b2", "([0-9])", "<$1>"), sanitize("a.b/c")]', '["a-b-c","a\\u003c1\\u003eb\\u003c2\\u003e","a_b_c"]'),
        ('[regex("[a-z]+", "1ab2"), regex("(a)(b)", "ab"), regex("(?P<x>a)", "a"), regexall("[0-9]", "1a2")]', '["ab",["a","b"],{"x":"a"},["1","2"]]'),
        ('[split(",", "a,b"), join("-", ["a", 1], [true]), format("%s %d %03d %.1f %v %q %t %%", "a", 1, 2, 3.25, [1], "q", true)]', '[["a","b"],"a-1-true","a 1 002 3.2 [1] \\"q\\" true %"]'),
        ('formatlist("%s-%s", ["a", "b"], "c")', '["a-c","b-c"]'),
        ('[basename("/a/b"), basename(""), dirname("/a/b"), dirname("a")]', '["b",".","/a","."]'),
        ("[chunklist([1, 2, 3], 2), concat([1], [2]), flatten([[1, [2]], 3]), distinct([1, 1, 2]), compact([\"\", \"a\"])]", '[[[1,2],[3]],[1,2],[1,2,3],[1,2],["a"]]'),
        ("[coalesce(null, 1), coalescelist([], [1]), contains([1], 1), element([1, 2], 3), index([1, 2], 1), indexof([\"a\"], \"a\")]", "[1,[1],true,2,2,0]"),
        ("[keys(map), values(map), lookup(map, \"z\", 9), merge(map, {a = 5}), hasindex([1], 1), length(map)]", '[["a","b"],[1,2],9,{"a":5,"b":2},false,2]'),
        ("[range(3), range(1, 7, 3), range(2, 0), slice([1, 2, 3], 1, 2), reverselist([1, 2]), sort([\"b\", \"a\"])]", '[[0,1,2],[1,4],[2,1],[2],[2,1],["a","b"]]'),
        ("[setunion([2], [1, 2]), setintersection([1, 2], [2]), setsubtract([1, 2], [2]), setsymmetricdifference([1, 2], [2, 3]), sethaselement([1], 1)]", "[[1,2],[2],[1],[1,3],true]"),
        ('[setproduct(["a"], [1, 2]), zipmap(["a"], [1])]', '[[["a",1],["a",2]],{"a":1}]'),
        ('[base64encode("ä"), base64decode("w6Q="), jsonencode({a = [1, null]}), jsondecode("{\\"a\\":1.5}"), urlencode("a b&")]', '["w6Q=","ä","{\\"a\\":[1,null]}",{"a":1.5},"a+b%26"]'),
        ('[csvdecode("a,b\\n1,2"), md5(""), substr(sha256(""), 0, 8), strlen(sha512("")), strlen(uuidv4())]', '[[{"a":"1","b":"2"}],"d41d8cd98f00b204e9800998ecf8427e","e3b0c442",128,36]'),
        ('[cidrhost("10.0.0.0/16", 5), cidrnetmask("10.0.0.0/12"), cidrsubnet("10.0.0.0/16", 4, 2), cidrsubnets("10.0.0.0/16", 4, 8)]', '["10.0.0.5","255.240.0.0","10.0.32.0/20",["10.0.0.0/20","10.0.16.0/24"]]'),
        ('[formatdate("YYYY-MM-DD\'T\'hh:mm EEE H AA ZZZZ", "2025-09-16T13:05:00+02:00"), formattimestamp("X", "1970-01-02T00:00:00Z"), formattimestamp("D MMM", 86400)]', '["2025-09-16T13:05 Tue 1 PM +0200","86400","2 Jan"]'),
        ('[timeadd("2025-01-31T23:00:00Z", "1h30m"), unixtimestampparse(86400).weekday_name, strlen(timestamp())]', '["2025-02-01T00:30:00Z","Friday",20]'),
        ('[semvercmp("1.2.3", ">=1.2, <2"), semvercmp("3.22", ">= 3.20"), semvercmp("1.3.0", "~1.2"), semvercmp("1.9.0", "^1.2"), semvercmp("2.0.0-rc1", ">1"), semvercmp("v0.3.1", "<0.3 || 0.3.x")]', "[true,true,false,true,false,true]"),
        ("[can(nothing.x), try(nothing, map.z, \"else\"), convert(\"4\", number) + 1, convert([3, 1, 3], set(string))]", '[false,"else",5,["1","3"]]'),
    ],
)  # fmt: skip
def test_functions(text: str, expected: str) -> None:
    assert to_json(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", 'f:1: there is no variable "nothing"'),
        ("[\n1,\n  lower(1, 2)]", "f:3: lower: it takes 1 argument, not 2"),
        ("max()", "f:1: max: it takes at least 1 argument, not 0"),
        ("lower([])", "f:1: lower: a string is needed, not list"),
        ('bcrypt("x")', 'f:1: the function "bcrypt" is not possible'),
        ("nope()", 'f:1: there is no function "nope"'),
        ("map.z", 'f:1: there is no "z" in this object'),
        ("list[2]", "f:1: there is no element 2 in a list of 2"),
        ("s.x", 'f:1: cannot take "x" of string'),
        ('"a${none}"', "f:1: null cannot be put into a string"),
        ('"a${list}"', "f:1: list cannot be put into a string"),
        ("1 / 0", "f:1: cannot divide by zero"),
        ('1 + "a"', 'f:1: "a" is not a number'),
        ("{ for each in list : \"x\" => 1 }", 'f:1: two values have the key "x"'),
        ('"%{ if true }a"', "f:1: a template has no %{endif}"),
        ('"\\q"', 'f:1: "\\q" means nothing in a string'),
        ('try(nothing, map.z)', 'f:1: try: none of them has a value: there is no variable "nothing"; there is no "z"'),
        ('regex("(", "")', 'f:1: regex: "(" is no regular expression'),
        ("range(5000)", "f:1: range: this range has no end"),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        value(text)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = [1,\n", "f:3: this is not HCL: the end of the file is not expected here"),
        ("a = 1 +\nb = 2\n", 'f:2: this is not HCL: "=" is not expected here'),
        ("a = 1\na = 2\n", 'f:2: "a" is said twice'),
        ('target "${x}" {\n}\n', "f:1: a label is a plain string"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        hcl.read(text, "f")
    assert caught.value.message == message


def test_json_has_the_same_templates() -> None:
    node = jsonbody.node({"a${n}": ["${map}", "x%{ if n == 3 }y%{ endif }", "\\n", 1.5]}, "f.json")
    assert node.value(Scope()) == {"a3": [VALUES["map"], "xy", "\\n", Decimal("1.5")]}
    with pytest.raises(Fault, match=r'^f\.json: this is no JSON: '):  # fmt: skip
        jsonbody.read("{", "f.json")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("rcrun.packages.installed", missing)
    with pytest.raises(HostLacks) as caught:
        hcl.read("a = 1\n", "f")
    assert caught.value.hint == "run: python3 -m pip install python-hcl2"
