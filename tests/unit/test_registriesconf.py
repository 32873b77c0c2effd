"""registries.conf: what a name means, where it is asked for, and which files are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import reference as grammar
from rcrun.formats.registriesconf import Blocked, merged, parse
from rcrun.registry.settings import registries, toml

if TYPE_CHECKING:
    from pathlib import Path

    from rcrun.formats.registriesconf import Registries

DIGEST = "sha256:" + "a" * 64

CONFIG = """
unqualified-search-registries = ["first.example", "docker.io"]
[aliases]
"fedora" = "registry.example/fedora"
"team/tool" = "registry.example/x/tool"
[[registry]]
prefix = "registry.example"
location = "real.example/below"
[[registry]]
prefix = "registry.example/deep"
location = "deep.example:5000"
insecure = true
[[registry.mirror]]
location = "one.example/m"
[[registry.mirror]]
location = "two.example"
insecure = true
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "three.example"
pull-from-mirror = "tag-only"
[[registry]]
location = "digests.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.example"
[[registry]]
prefix = "*.wild.example"
location = "wild.example/all"
[[registry]]
prefix = "*.same.example"
insecure = true
[[registry]]
location = "never.example"
blocked = true
[[registry]]
prefix = "closed.example"
location = "closed.example"
blocked = true
[[registry.mirror]]
location = "open.example"
"""


def of(text: str) -> Registries:
    return parse(toml(text.encode(), "file"), "file")


@pytest.mark.parametrize(
    ("typed", "places"),
    [
        ("other.example/x:1", ["other.example/x:1"]),
        ("registry.example/a/b:1", ["real.example/below/a/b:1"]),
        ("registry.example.org/a:1", ["registry.example.org/a:1"]),
        ("registry.example/deeper:1", ["real.example/below/deeper:1"]),
        (
            "registry.example/deep/x:1",
            ["one.example/m/x:1", "three.example/x:1", "deep.example:5000/x:1 insecure"],
        ),
        (
            f"registry.example/deep/x@{DIGEST}",
            [
                f"one.example/m/x@{DIGEST}",
                f"two.example/x@{DIGEST} insecure",
                f"deep.example:5000/x@{DIGEST} insecure",
            ],
        ),
        ("digests.example/x:1", ["digests.example/x:1"]),
        (f"digests.example/x@{DIGEST}", [f"mirror.example/x@{DIGEST}", f"digests.example/x@{DIGEST}"]),
        ("a.b.wild.example/x:1", ["wild.example/all/x:1"]),
        ("wild.example/x:1", ["wild.example/x:1"]),
        ("evil.example/a.wild.example/x:1", ["evil.example/a.wild.example/x:1"]),
        ("a.same.example/x:1", ["a.same.example/x:1 insecure"]),
        ("never.example/x:1", ["never.example/x:1 blocked"]),
        ("closed.example/x:1", ["open.example/x:1", "closed.example/x:1 blocked"]),
    ],
)  # fmt: skip
def test_places(typed: str, places: list[str]) -> None:
    found = of(CONFIG).pull_places(grammar.parse(typed))
    shown = [
        f"{each.reference}{' insecure' if each.insecure else ''}{' blocked' if each.blocked_by else ''}"
        for each in found
    ]
    assert shown == places


def test_what_goes_to_the_registry_itself() -> None:
    config = of(CONFIG)
    place = config.itself(grammar.parse("registry.example/deep/x:1"))
    assert (str(place.reference), place.insecure) == ("registry.example/deep/x:1", True)
    with pytest.raises(Blocked, match=r'"never\.example" is blocked by "file"'):
        config.itself(grammar.parse("never.example/x")).check()


@pytest.mark.parametrize(
    ("typed", "meanings"),
    [
        ("fedora", ["registry.example/fedora"]),
        ("fedora:40", ["registry.example/fedora:40"]),
        (f"team/tool@{DIGEST}", [f"registry.example/x/tool@{DIGEST}"]),
        ("team/other:1", ["first.example/team/other:1", "docker.io/team/other:1"]),
        ("localhost/x", ["localhost/x"]),
        ("localhost:5000/x", ["localhost:5000/x"]),
        ("docker.io/fedora", ["docker.io/fedora"]),
    ],
)
def test_meanings(typed: str, meanings: list[str]) -> None:
    assert of(CONFIG).meanings(typed) == meanings
    assert of("").meanings(typed) == [typed]
    assert of("unqualified-search-registries = []").meanings(typed) == [typed]


def test_a_short_name_that_must_be_clear() -> None:
    config = of('short-name-mode = "enforcing"\n' + CONFIG)
    assert config.meanings("fedora") == ["registry.example/fedora"]
    with pytest.raises(
        InvalidInput, match=r'"x" may mean several images: first\.example/x, docker'
    ):
        config.meanings("x:1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = [", "is not valid TOML: "),
        ("[[registry]]\nlocation = 1", "registry 1: location is not a text"),
        ("[[registry]]\ninsecure = true", "registry 1: location is missing, and so is the prefix"),
        ('[[registry]]\nprefix = "a.example"', "registry 1: location is missing"),
        ('[[registry]]\nlocation = "https://a.example"', "registry 1: location is"),
        ('[[registry]]\nprefix = "a*.example"\nlocation = "b"', "registry 1: prefix is"),
        ('[[registry]]\nprefix = "*.example/x"\nlocation = "b"', "registry 1: prefix is"),
        ('[[registry]]\nlocation = "a"\nblocked = "no"', "blocked is neither true nor false"),
        ('[[registry]]\nlocation = "a"\npull-from-mirror = "all"', "is for a mirror"),
        ('[[registry]]\nlocation = "a"\n[[registry.mirror]]\ninsecure = true', "mirror 1: location"),
        (
            '[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = "b"\n'
            'pull-from-mirror = "never"',
            'registry 1, mirror 1: pull-from-mirror is "never", not one of all, digest-only, tag-only',
        ),
        (
            '[[registry]]\nlocation = "a"\nmirror-by-digest-only = true\n[[registry.mirror]]\n'
            'location = "b"\npull-from-mirror = "all"',
            "contradicts mirror-by-digest-only",
        ),
        (
            '[[registry]]\nlocation = "a"\n[[registry]]\nprefix = "b"\nlocation = "a"\nblocked = true',
            'blocked is true and false for "a"',
        ),
        ('registry = "a"', r"registry is not a list of tables: [[registry]]"),
        ('unqualified-search-registries = ["a/b"]', 'has "a/b", which is not HOST'),
        ("unqualified-search-registries = [1]", "is not a list of texts"),
        ('short-name-mode = "ask"', 'short-name-mode is "ask"'),
        ('[aliases]\n"a:1" = "b.example/a"', "aliases: a:1 is not a short name"),
        ('[aliases]\na = "b"', 'aliases: a is "b", which is not REGISTRY/REPOSITORY'),
        ('[registries.search]\nregistries = ["a"]', "registries is of version 1"),
    ],
)  # fmt: skip
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        of(text)
    assert raised.value.message.startswith('"file" ')
    assert fault in raised.value.message


def test_a_location_that_is_none() -> None:
    config = of('[[registry]]\nprefix = "a.example"\nlocation = "nohost"')
    with pytest.raises(InvalidInput, match=r'leads "a\.example/x:1" to "nohost/x:1", which'):
        config.pull_places(grammar.parse("a.example/x:1"))


def test_a_drop_in_wins() -> None:
    base = of(CONFIG)
    more = of(
        'unqualified-search-registries = []\n[aliases]\nfedora = ""\nmine = "x.example/y"\n'
        '[[registry]]\nlocation = "registry.example"\n'
    )
    both = merged(base, more)
    assert both.search == []
    assert both.aliases == {"team/tool": "registry.example/x/tool", "mine": "x.example/y"}
    assert both.registries["registry.example"].location == "registry.example"
    assert "registry.example/deep" in both.registries
    assert merged(base, of("")).search == base.search


def test_version_1_in_the_main_file() -> None:
    text = (
        '[registries.search]\nregistries = ["a.example"]\n[registries.insecure]\n'
        'registries = ["b.example"]\n[registries.block]\nregistries = ["c.example"]\n'
    )
    config = parse(toml(text.encode(), "file"), "file", may_be_old=True)
    assert config.meanings("x") == ["a.example/x"]
    assert config.itself(grammar.parse("b.example/x")).insecure
    with pytest.raises(Blocked):
        config.itself(grammar.parse("c.example/x")).check()


def test_which_files(tmp_path: Path) -> None:
    """The user's own file makes the administrator's directory silent; what is told by name is read in its place."""
    system, home = tmp_path / "etc", tmp_path / "home"
    own = home / ".config/containers"
    for folder in (system, own):
        (folder / "registries.conf.d").mkdir(parents=True)

    def write(path: Path, host: str) -> None:
        path.write_text(f'unqualified-search-registries = ["{host}"]\n')

    def search(**environ: str) -> list[str] | None:
        return registries({"HOME": str(home), **environ}, str(system)).search

    assert search() is None
    write(system / "registries.conf", "system.example")
    assert search() == ["system.example"]
    write(system / "registries.conf.d/50.conf", "system-50.example")
    write(system / "registries.conf.d/60.conf.bak", "bak.example")
    assert search() == ["system-50.example"]
    write(own / "registries.conf.d/10.conf", "own-10.example")
    assert search() == ["own-10.example"]
    (own / "registries.conf.d/10.conf").unlink()
    write(own / "registries.conf", "own.example")
    assert search() == ["own.example"]
    explicit = tmp_path / "explicit"
    write(explicit, "explicit.example")
    assert search(CONTAINERS_REGISTRIES_CONF=str(explicit)) == ["system-50.example"]
    (system / "registries.conf.d/50.conf").unlink()
    assert search(CONTAINERS_REGISTRIES_CONF=str(explicit)) == ["explicit.example"]
    with pytest.raises(InvalidInput, match=r'cannot read ".*/nowhere": no such file'):
        search(CONTAINERS_REGISTRIES_CONF=str(tmp_path / "nowhere"))
