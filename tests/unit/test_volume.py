"""-v, --mount and --tmpfs."""

from __future__ import annotations

import pytest

from rcrun.errors import InvalidInput
from rcrun.formats import mountflag, volume


def parts(mount: volume.Mount) -> tuple[str, str, str]:
    return mount.kind, mount.source, mount.destination


@pytest.mark.parametrize(
    ("text", "expected", "options"),
    [
        ("/data", ("volume", "", "/data"), ["rbind", "rw", "rprivate"]),
        ("db:/data", ("volume", "db", "/data"), ["rbind", "rw", "rprivate"]),
        ("/a:/b", ("bind", "/a", "/b"), ["rbind", "rw", "rprivate"]),
        ("/a:/b:ro", ("bind", "/a", "/b"), ["rbind", "ro", "rprivate"]),
        ("./a:/b/../c/", ("bind", "/cwd/a", "/c"), ["rbind", "rw", "rprivate"]),
        (".:/w", ("bind", "/cwd", "/w"), ["rbind", "rw", "rprivate"]),
        ("../a:/w", ("bind", "/a", "/w"), ["rbind", "rw", "rprivate"]),
        (
            "/a:/b:ro,rslave,noexec,nosuid",
            ("bind", "/a", "/b"),
            ["rbind", "ro", "noexec", "nosuid", "rslave"],
        ),
        ("/a:/b:bind,z,cached", ("bind", "/a", "/b"), ["bind", "rw", "rprivate"]),
        (r"/a\:b:/c", ("bind", "/a:b", "/c"), ["rbind", "rw", "rprivate"]),
    ],
)
def test_volume(text: str, expected: tuple[str, str, str], options: list[str]) -> None:
    mount = volume.parse_volume(text, "/cwd")
    assert parts(mount) == expected
    assert mount.options() == options


def test_only_a_host_path_of_v_is_created() -> None:
    assert volume.parse_volume("/a:/b").create_source
    assert not mountflag.parse_mount("type=bind,src=/a,dst=/b").create_source
    assert mountflag.parse_mount("type=bind,src=/a,dst=/b,bind-create-src").create_source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid --volume"),
        ("data", 'the destination "data" is not an absolute path'),
        ("/a:b", 'the destination "b" is not an absolute path'),
        ("/data:ro", 'the destination "ro" is not an absolute path'),
        ("/a:/", "must not be /"),
        ("/a:/b/..", "must not be /"),
        ("a b:/c", '"a b" is not a volume name'),
        ("x:/c", '"x" is not a volume name'),
        ("/a:/b:ro,rw", '"ro" and "rw" contradict'),
        ("/a:/b:what", 'unknown option "what"'),
        ("/a:/b:ro:x", "invalid --volume"),
        (":/b", "invalid --volume"),
    ],
)
def test_volume_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        volume.parse_volume(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected", "decided"),
    [
        ("target=/d", ("volume", "", "/d"), {}),
        ("type=volume,src=db,dst=/d,ro", ("volume", "db", "/d"), {"access": "ro"}),
        ("type=bind,source=/a,destination=/d", ("bind", "/a", "/d"), {}),
        ("type=bind,src=a,dst=/d,readonly=true", ("bind", "/cwd/a", "/d"), {"access": "ro"}),
        ("type=bind,src=/a,dst=/d,readonly=false", ("bind", "/a", "/d"), {}),
        ("type=bind,src=/a,dst=/d,rw=false", ("bind", "/a", "/d"), {"access": "ro"}),
        ('type=bind,"src=/a,b",dst=/d', ("bind", "/a,b", "/d"), {}),
        (
            "type=bind,src=/a,dst=/d,bind-propagation=rslave",
            ("bind", "/a", "/d"),
            {"propagation": "rslave"},
        ),
        (
            "type=bind,src=/a,dst=/d,bind-recursive=disabled",
            ("bind", "/a", "/d"),
            {"recursion": "bind"},
        ),
        (
            "type=bind,src=/a,dst=/d,ro,bind-recursive=writable",
            ("bind", "/a", "/d"),
            {"access": "ro", "read_only": "writable"},
        ),
        (
            "type=volume,src=db,dst=/d,volume-nocopy,U,nosuid",
            ("volume", "db", "/d"),
            {"copy": "nocopy", "chown": "U", "suid": "nosuid"},
        ),
        ("type=bind,src=/a,dst=/d,Z", ("bind", "/a", "/d"), {"relabel": "Z"}),
        ("type=bind,src=/a,dst=/d,z", ("bind", "/a", "/d"), {"relabel": "z"}),
    ],
)
def test_mount(text: str, expected: tuple[str, str, str], decided: dict[str, str]) -> None:
    mount = mountflag.parse_mount(text, "/cwd")
    assert parts(mount) == expected
    assert mount.decided == decided


def test_mount_labels_and_subpath() -> None:
    mount = mountflag.parse_mount(
        "src=db,dst=/d,volume-label=a=b,volume-label=c=d,volume-subpath=x/y"
    )
    assert mount.labels == {"a": "b", "c": "d"}
    assert mount.subpath == "x/y"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=bind,dst=/d", "source is missing"),
        ("type=bind,src=/a", "target is missing"),
        ("type=what,dst=/d", 'unknown type "what"'),
        ("type=artifact,dst=/d", "source is missing"),
        ("type=artifact,src=x,dst=/d,rw", "an artifact is mounted read-only"),
        ("type=artifact,src=x,dst=/d,title=a,digest=b", "title and digest exclude each other"),
        ("type=artifact,src=x,dst=/d,name=a/b", "the name is that of a file"),
        ("type=image,src=x,dst=/d,title=a", '"title" does not go with type "image"'),
        ("type=image,dst=/d", "source is missing"),
        ("type=devpts,dst=/d,max=x", '"max" is a number'),
        ("type=ramfs,dst=/d,size=1m,mode=9", "the mode is an octal number"),
        ("type=tmpfs,src=/a,dst=/d", '"source" does not go with type "tmpfs"'),
        ("type=volume,dst=/d,bind-propagation=shared", "does not go with"),
        ("dst=/d,what=1", 'unknown key "what"'),
        ("dst=/d,readonly=perhaps", '"readonly" is true or false'),
        ("type=bind,src=/a,dst=/d,bind-recursive=readonly", "needs readonly"),
        ("src=db,dst=/d,volume-subpath=../x", "must stay inside"),
        ("type=bind,src=/a,dst=/d,subpath=x/../../y", "must stay inside"),
        ("type=bind,src=/a,dst=/d,subpath=x,idmap", '"idmap" does not go with a subpath'),
        ("type=volume,src=data,dst=/d,subpath=x,idmap", '"idmap" does not go with a subpath'),
        (
            "type=bind,src=/a,dst=/d,subpath=x,bind-propagation=rshared",
            "does not go with a subpath",
        ),
        ("type=bind,src=/a,dst=/d,subpath=x,bind-recursive=disabled", "does not go with a subpath"),
        ("src=/a,dst=/d", "is not a volume name"),
        ("type=bind,src,dst=/d", '"source" needs a value'),
        ('dst=/d,"x', "invalid --mount"),
    ],
)
def test_mount_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        mountflag.parse_mount(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("/run", ["noexec", "nosuid", "nodev"]),
        ("/run:size=64m,mode=1777", ["noexec", "nosuid", "nodev", "size=64m", "mode=1777"]),
        ("/run:exec,suid", ["nodev", "exec", "suid"]),
        ("/run:rw,noexec", ["nosuid", "nodev", "rw", "noexec"]),
        ("/run:notmpcopyup", ["noexec", "nosuid", "nodev"]),
    ],
)
def test_tmpfs(text: str, data: list[str]) -> None:
    mount = volume.parse_tmpfs(text)
    assert parts(mount) == ("tmpfs", "", "/run")
    assert mount.data == data


def test_tmpfs_as_mount() -> None:
    mount = mountflag.parse_mount("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700,ro")
    assert mount.data == ["noexec", "nosuid", "nodev", "ro", "size=1048576", "mode=700"]
    assert mount.read_only


@pytest.mark.parametrize("text", ["run", "/", "/run:what", "/run:size", "/run:size="])
def test_tmpfs_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--tmpfs"):
        volume.parse_tmpfs(text)
