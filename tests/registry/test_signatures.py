"""Signatures that policy.json asks for: made by skopeo and GnuPG, by openssl as cosign does; verified before anything else comes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from signing_keys import Keys

from rcrun.engine import trust
from rcrun.engine.access import Access
from rcrun.engine.context import Context
from rcrun.engine.trust import Untrusted
from rcrun.errors import InvalidInput
from rcrun.formats.reference import parse
from rcrun.paths import Store
from rcrun.registry import gpg, sigstore
from rcrun.registry.payload import COSIGN, Refused, read
from rcrun.registry.sigstore import ANNOTATION, PAYLOAD_TYPE, Sigstore
from tiny_image import INDEX, descriptor, digest_of, index_of, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiny_registry import TinyRegistry

    from conftest import Rcrun
    from rcrun.registry.client import Client
    from tiny_image import TinyImage

pytestmark = pytest.mark.requires("gpg", "skopeo")

# Made by skopeo 1.22 (`generate-sigstore-key`, `copy --sign-by-sigstore-private-key`).
SKOPEO_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpi+Pk4VUMFT/vrli7QOkZPGG0KAx
g64KfGJHdokQr6tg9x4IIe+C94vvEEXdDBgiBESaIZQDOJUGf1AlSMVafg==
-----END PUBLIC KEY-----
"""
SKOPEO_PAYLOAD = (
    b'{"critical":{"identity":{"docker-reference":"127.0.0.1:5599/lib/cosigned:1"},"image":'
    b'{"docker-manifest-digest":"sha256:8da902ce8b857c4dccf5e1d64409381a2dd2af56e24f381593f660bb390615c8"},'
    b'"type":"cosign container image signature"},"optional":{"creator":"containers/image 5.39.1",'
    b'"timestamp":1795897700}}'
)
SKOPEO_SIGNATURE = "MEUCIQDJQ2fm44eN2Rky7McDk/pdAF1nLXlYKAB9ShzeW5gbKwIgPqdvqoh2499ZTK7dYAkn/Nm4D/MRbWidkRpGampJHQc="


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    made = Keys(home)
    yield made
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


class Host:
    """A home with a policy and registries.d, a registry with a signed image, and the question whether it is allowed."""

    def __init__(self, folder: Path, registry: TinyRegistry, client: Client) -> None:
        self.folder = folder
        self.client = client
        self.registry = registry
        self.config = folder / ".config/containers"
        (self.config / "registries.d").mkdir(parents=True)
        self.environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self.reference = client.reference
        self.put(
            self.config / "registries.d/x.yaml",
            f"default-docker:\n  lookaside: file://{folder}/sigs\n",
        )

    def put(self, path: Path, text: str | bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def policy(self, *requirements: object) -> None:
        document = {"default": [{"type": "reject"}], "transports": {"docker": {"": requirements}}}
        self.put(self.config / "policy.json", json.dumps(document))

    def signed(self, manifest: bytes, *signatures: bytes) -> None:
        base = self.folder / f"sigs/x@{digest_of(manifest).replace(':', '=')}"
        for number, data in enumerate(signatures, 1):
            self.put(base / f"signature-{number}", data)

    def check(self, tag: str = "1", reference: str = "", chosen: str = "") -> None:
        """Untrusted when the image is not allowed; `chosen` is one of an index."""
        store = Store(f"{self.folder}/store", f"{self.folder}/live")
        context = Context(store, self.environ, [], lambda *_: None)
        documents = [self.client.manifest(each) for each in (chosen, tag) if each]
        asked = parse(reference) if reference else self.reference
        trust.check_pull(context, self.client, asked, documents, Access())


@pytest.fixture
def host(tmp_path: Path, registry: TinyRegistry, client_of: Callable[..., Client]) -> Host:
    return Host(tmp_path, registry, client_of(f"{registry.address}/x:1"))


def by(keys: Keys, *names: str, **more: object) -> dict[str, object]:
    paths = [keys.path(name) for name in names]
    where = {"keyPath": paths[0]} if len(paths) == 1 else {"keyPaths": paths}
    return {"type": "signedBy", "keyType": "GPGKeys", **where, **more}


def test_signed_by_gnupg(host: Host, keys: Keys, image: TinyImage) -> None:
    host.registry.put(image, "1")
    good = keys.sign("me", image.manifest, str(host.reference))
    host.policy(by(keys, "me"))
    with pytest.raises(
        Untrusted, match=r'is refused by ".*/policy\.json", docker: it must be signed'
    ) as raised:
        host.check()
    assert image.digest in (raised.value.hint or "")
    host.signed(image.manifest, good)
    host.check()
    assert host.registry.paths("/blobs/") == []  # nothing else was needed
    host.check(reference=f"{host.reference.repository}@{image.digest}")
    host.policy(by(keys, "you", "me"))
    host.check()
    data = base64.b64encode(keys.public("you") + keys.public("me")).decode()
    host.policy({"type": "signedBy", "keyType": "GPGKeys", "keyData": data})
    host.check()
    host.policy(by(keys, "me"), by(keys, "you"))
    with pytest.raises(Untrusted, match="none of the keys made it"):
        host.check()
    host.signed(image.manifest, good, keys.sign("you", image.manifest, str(host.reference)))
    host.check()
    with pytest.raises(Untrusted, match=r'signature is for ".*:1", not for this image'):
        host.check(reference=f"{host.reference.repository}:2")
    host.policy(by(keys, "me", signedIdentity={"type": "matchRepository"}))
    host.check(reference=f"{host.reference.repository}:2")


def test_signatures_that_prove_nothing(host: Host, keys: Keys, image: TinyImage) -> None:
    host.registry.put(image, "1")
    host.policy(by(keys, "me"))
    other = tiny_image({"other": b""})
    name = str(host.reference)
    good = keys.sign("me", image.manifest, name)
    # What the key signed, but not as a signature of an image.
    claim = json.loads(gpg.signed_content(good, [keys.public("me")], os.environ))

    def text(**critical: object) -> bytes:
        return json.dumps({**claim, "critical": {**claim["critical"], **critical}}).encode()

    changed = keys.sign_text("me", text(), "--compress-algo", "none")
    unsigned = keys.gpg("--store", data=text())
    for bad, words in (
        (keys.sign("me", other.manifest, name), "which is another manifest"),
        (keys.sign("you", image.manifest, name), "none of the keys made it"),
        (changed[:-20] + b"xx" + changed[-18:], "the signature is wrong"),
        (good[:-40], "a damaged one"),
        (unsigned + changed, "a damaged one"),
        (b"", "no message of OpenPGP"),
        (text(), "no message of OpenPGP"),
        (keys.sign_text("me", text(type="something")), 'of type "something"'),
        (keys.sign_text("me", text(more=1)), "has not the members"),
        (keys.sign_text("me", text()[:-1] + b',"critical":{}}'), "a name stands there twice"),
        (keys.sign_text("me", b"[]"), "has not the members"),
        (keys.sign_text("me", text(), "--detach-sign"), "with one signature"),
    ):
        host.signed(image.manifest, bad)
        with pytest.raises(Untrusted, match=f"refused by .*({words})"):
            host.check()
    host.signed(image.manifest, keys.sign_text("me", text()))
    host.check()


def test_a_key_that_has_expired(keys: Keys) -> None:
    then = ("--faked-system-time", "20200101T000100")
    with pytest.raises(Refused, match="the key has expired"):
        gpg.signed_content(keys.sign_text("old", b"text", *then), [keys.public("old")], os.environ)


def test_an_index_may_be_signed(host: Host, keys: Keys) -> None:
    images = {"amd64": tiny_image(), "arm64": tiny_image(architecture="arm64")}
    index = index_of(**images)
    host.registry.manifests["1"] = host.registry.manifests[digest_of(index)] = (INDEX, index)
    for each in images.values():
        host.registry.put(each)
    host.policy(by(keys, "me"))
    chosen = images["amd64"].digest
    with pytest.raises(Untrusted):
        host.check(chosen=chosen)
    host.signed(index, keys.sign("me", index, str(host.reference)))
    host.check(chosen=chosen)


def test_where_signatures_lie(
    host: Host, keys: Keys, image: TinyImage, elsewhere: TinyRegistry
) -> None:
    """Of the most special scope in registries.d; from a server too; and there is a place where none is told."""
    host.registry.put(image, "1")
    host.policy(by(keys, "me"))
    good = keys.sign("me", image.manifest, str(host.reference))
    file = host.config / "registries.d/y.yaml"
    host.put(file, f'docker:\n  "{host.reference.domain}":\n    sigstore: {elsewhere.url}/sigs\n')
    path = f"/sigs/x@{image.digest.replace(':', '=')}/signature-1"
    with pytest.raises(Untrusted):
        host.check()
    assert elsewhere.paths("/sigs") == [path]
    elsewhere.rule(path, lambda h: h.answer(200, good))
    host.check()
    (host.config / "registries.d/x.yaml").unlink()
    file.unlink()
    place = ".local/share/containers/sigstore" if os.geteuid() else ""
    if place:
        host.put(host.folder / place / path.removeprefix("/sigs/"), good)
        host.check()
    host.put(file, "docker: []")
    with pytest.raises(InvalidInput, match=r'y\.yaml" cannot be used: docker is not a map'):
        host.check()


# ---- as cosign signs


def test_skopeo_made_it() -> None:
    signature = Sigstore(PAYLOAD_TYPE, SKOPEO_PAYLOAD, {ANNOTATION: SKOPEO_SIGNATURE})
    claim = read(sigstore.verify(signature, [("key", SKOPEO_KEY)]), COSIGN)
    assert claim.reference == "127.0.0.1:5599/lib/cosigned:1"
    changed = Sigstore(PAYLOAD_TYPE, SKOPEO_PAYLOAD + b" ", {ANNOTATION: SKOPEO_SIGNATURE})
    with pytest.raises(Refused, match="none of the keys made it"):
        sigstore.verify(changed, [("key", SKOPEO_KEY)])
    with pytest.raises(InvalidInput, match='"key" is no public key in PEM'):
        sigstore.verify(signature, [("key", b"nonsense")])
    with pytest.raises(Refused, match='"text/plain" is not understood'):
        sigstore.verify(Sigstore("text/plain", b"", {}), [("key", SKOPEO_KEY)])


def openssl(*words: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, input=data).stdout


@pytest.mark.parametrize(
    "words",
    [
        ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        ("rsa", "-pkeyopt", "rsa_keygen_bits:2048"),
    ],
)
def test_attached_to_the_image(host: Host, image: TinyImage, words: tuple[str, ...]) -> None:
    key, public = host.folder / "key", host.folder / "public"
    openssl("genpkey", "-algorithm", *words, "-out", str(key))
    openssl("pkey", "-in", str(key), "-pubout", "-out", str(public))
    claim = {
        "type": COSIGN,
        "image": {"docker-manifest-digest": image.digest},
        "identity": {"docker-reference": host.reference.repository},  # cosign names no tag
    }
    payload = json.dumps({"critical": claim, "optional": None}).encode()
    made = base64.b64encode(openssl("dgst", "-sha256", "-sign", str(key), data=payload)).decode()
    layer = {**descriptor(PAYLOAD_TYPE, payload), "annotations": {ANNOTATION: made}}
    host.registry.put(image, "1")
    host.registry.put(image)  # its manifest again: only the layers matter
    manifest = json.dumps({**json.loads(image.manifest), "layers": [layer]}).encode()
    tag = image.digest.replace(":", "-") + ".sig"
    host.registry.manifests[tag] = (json.loads(image.manifest)["mediaType"], manifest)
    host.registry.blobs[digest_of(payload)] = payload
    rule = {"type": "sigstoreSigned", "keyPath": str(public)}
    host.policy({**rule, "signedIdentity": {"type": "matchRepository"}})
    with pytest.raises(Untrusted, match="no signature was found"):
        host.check()  # registries.d has to say so
    host.put(
        host.config / "registries.d/x.yaml", "default-docker: {use-sigstore-attachments: true}"
    )
    host.check()
    host.policy(rule)
    with pytest.raises(Untrusted, match="not for this image"):
        host.check()
    host.policy({**rule, "rekorPublicKeyPath": "/r"})
    with pytest.raises(Untrusted, match="asks for rekorPublicKeyPath, which cannot be verified"):
        host.check()


# ---- as it is typed


@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_trust_shown_and_set(rcrun: Rcrun, keys: Keys) -> None:
    home = rcrun.account.new_dir("home")
    env = {"HOME": str(home)}
    own = home / ".config/containers/policy.json"
    for file in (keys.path("me"), keys.path("you")):
        (home / Path(file).name).write_bytes(Path(file).read_bytes())

    def trust(*words: str, status: int = 0) -> str:
        done = rcrun("image", "trust", *words, env=env)
        assert done.status == status, done.err
        return done.err if status else done.out

    trust("set", "--type", "reject", "default")
    trust("set", "-f", f"{home}/me.asc", "-f", f"{home}/you.asc", "r.example/team")
    written = json.loads(own.read_text())
    assert written["default"] == [{"type": "reject"}]
    rules = written["transports"]["docker"]["r.example/team"]
    assert rules[1] == {"type": "signedBy", "keyType": "GPGKeys", "keyPath": f"{home}/you.asc"}
    lines = trust("show").splitlines()
    assert lines[0].split() == ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]
    assert lines[1].split() == ["all", "default", "reject"]
    assert lines[2].split()[:4] == ["repository", "r.example/team", "signed", "me.asc"]
    assert json.loads(trust("show", "--json", "r.example/team").splitlines()[1])["Id"] == "you.asc"
    assert trust("show", "--raw") == own.read_text()
    assert "needs a public key" in trust("set", "x.example", status=1)
    assert 'invalid type "maybe"' in trust("set", "-t", "maybe", "x.example", status=1)
    own.write_text("{")
    assert "is not proper JSON" in trust("show", status=1)
    assert "is not proper JSON" in trust("set", "-t", "accept", "x.example", status=1)


@pytest.mark.requires("userns")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_every_way_in(
    fresh_rcrun: Callable[..., Rcrun], registry: TinyRegistry, keys: Keys, image: TinyImage
) -> None:
    """Refused before a blob comes; allowed, it runs. The ways that know no signatures are allowed or not."""
    rcrun = fresh_rcrun()
    home = rcrun.account.new_dir("home")
    rcrun.env["HOME"] = str(home)
    registry.put(image, "1")
    name = f"{registry.address}/x:1"
    config = home / ".config/containers"
    (config / "registries.d").mkdir(parents=True)
    sigs = home / f"sigs/x@{image.digest.replace(':', '=')}"
    (config / "registries.d/x.yaml").write_text(
        f"default-docker: {{lookaside: 'file://{home}/sigs'}}"
    )
    key = base64.b64encode(keys.public("me")).decode()
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyData": key}
    document = {
        "default": [{"type": "reject"}],
        "transports": {"docker": {registry.address: [signed]}},
    }
    (config / "policy.json").write_text(json.dumps(document))
    copy = ("image", "copy", f"docker://{name}", f"oci:{home}/out")
    for words in (("pull", name), ("run", name), copy, ("manifest", "add", "--all", "l", name)):
        done = rcrun(*words)
        assert done.status != 0
        assert "it must be signed, and no signature was found" in done.err
    file = home / "Containerfile"
    file.write_text(f"FROM {name}\n")
    assert "no signature was found" in rcrun("build", "-f", file, home).err
    assert registry.paths("/blobs/") == []
    assert rcrun("images", "-q").check().out == ""
    refused = rcrun("pull", "unknown.example/x")
    assert "default: every image from there is rejected" in refused.err
    anything = home / "anything.json"
    anything.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    rcrun("pull", "-q", "--signature-policy", anything, name).check()
    rcrun("build", "-q", "--signature-policy", anything, "-f", file, home).check()
    rcrun("save", "-o", home / "a.tar", name).check()
    rcrun("save", "--format", "docker-dir", "-o", home / "dir", name).check()
    rcrun("rmi", "-f", name).check()
    for words in (
        ("load", "-i", home / "a.tar"),
        ("pull", f"dir:{home}/dir"),
        ("import", home / "a.tar"),
        ("image", "copy", f"dir:{home}/dir", f"oci:{home}/out"),
    ):
        assert "default: every image from there is rejected" in rcrun(*words).err
    rcrun("load", "-i", home / "a.tar", "--signature-policy", anything).check()
    rcrun("rmi", "-f", name).check()
    sigs.mkdir(parents=True)
    good = keys.sign("me", image.manifest, name)
    (sigs / "signature-1").write_bytes(good)
    rcrun("pull", "-q", name).check()
    # skopeo's directories carry their signatures; whose they are has to be told.
    (home / "dir/signature-1").write_bytes(good)
    exact = {"type": "exactReference", "dockerReference": name}
    document["transports"] = {"dir": {str(home): [{**signed, "signedIdentity": exact}]}}
    (config / "policy.json").write_text(json.dumps(document))
    rcrun("pull", "-q", f"dir:{home}/dir").check()
