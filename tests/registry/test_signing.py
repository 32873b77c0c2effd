"""Images signed on their way into a registry: skopeo accepts what rcrun signed, and rcrun what skopeo signed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rcrun.errors import InvalidInput
from rcrun.registry import secretbox, sigstore
from rcrun.registry.sigstorekey import PrivateKey
from tiny_image import digest_of, oci_archive, tiny_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiny_registry import Handler, TinyRegistry

    from conftest import Rcrun

WORD = "secret pass"
# Made by skopeo 1.22: `generate-sigstore-key`, with that passphrase.
PRIVATE = b"""-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJIOHpmSzFIMVREYlVuaExrZGxvWWtnaVRvU0FYZkZB
bjNReG4zTzhOSzAwPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJ6cGZiZllTNGJPUWlLODljWmp1VGVKR0xhRWtYWU5zUSJ9LCJj
aXBoZXJ0ZXh0IjoicVRZZlVOa1ZJSzQxSm9oMUJES1l4OUpwVWNMRlJuU3FZd1JB
QU1La1pPU0VNUFhDYzJRaENQMWFoQ3o2d20rZDRoVkZNRU1JMW1aZ2FUV2xTdFpO
SkZneUJhZFQ4dUhVeGErVDM0akJrS3o2d3Fwb0RSd1cxdEpXK1FPcTU5TUFwZTdP
QmVpOFhPclRhdXlZS0Y4djdBcGtJUklUSUxHclc5T2d3UlhSa05FRWNZaExnM2tX
ZXplUDBMMjgzaVdBeHUzWFQ4bDM5RE9yY2c9PSJ9
-----END ENCRYPTED COSIGN PRIVATE KEY-----
"""
PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4lKinflpw1s5jYiluUyW/tMMBF7e
jXxJ2ofLFJ97rwk9mHv5gFGjMBWd0d7sqrfEmseXXWOh/MxLMLYEsBl2Zg==
-----END PUBLIC KEY-----
"""
PLAIN = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIA1bHWI6K6FBZuGYOOm+4vaNtcbaydx/n6tsFFqO8Adx
-----END PRIVATE KEY-----
"""
ANYTHING = [{"type": "insecureAcceptAnything"}]


def test_a_box_of_nacl() -> None:
    """Made by PyNaCl 1.6: the cipher's own numbers, over more than one block."""
    text = b"a text of more than sixty-four bytes, so that the stream goes on with another block"
    box = bytes.fromhex(
        "9f59da72f0b7602231b033de05bb55863fdf4c2abfbe827fdd1ce2511aea6ae33ac428ffff4c479b6e8f01fb20b58183faaf90a66990866d99f988f80e46df2b"
        "46611beb81f2bd229c7848d86941f89bfcf7966d6d36a8837b86e9b4b853eaee99b0b9"
    )
    key, nonce = bytes(range(32)), bytes(range(24))
    assert secretbox.opened(key, nonce, box) == text
    for bad in (box[:-1], box[:20] + b"x" + box[21:], b"short"):
        with pytest.raises(InvalidInput):
            secretbox.opened(key, nonce, bad)


def test_private_keys() -> None:
    key = PrivateKey("k", PRIVATE, WORD.encode())
    assert key.public() == PUBLIC
    assert sigstore.verify(key.sign(b"payload"), [("k", PUBLIC)]) == b"payload"
    document = json.loads(base64.b64decode(b"".join(PRIVATE.splitlines()[1:-1])))
    hungry = {**document["kdf"], "params": {"N": 1 << 30, "r": 8, "p": 1}}
    for data, reason in (
        (PRIVATE, 'cannot read the private key "k": it does not open with this passphrase'),
        (wrapped({**document, "cipher": {**document["cipher"], "name": "rot13"}}), '"rot13" is not understood'),
        (wrapped({**document, "kdf": hungry}), "more memory than a key may ask for"),
        (wrapped({}), 'the private key "k" is damaged'),
        (wrapped([]), 'the private key "k" is damaged'),
        (PUBLIC, 'cannot read the private key "k"'),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=reason):
            PrivateKey("k", data, b"wrong")
    for algorithm in ("ED25519", "RSA"):
        pem = subprocess.run(["openssl", "genpkey", "-algorithm", algorithm], capture_output=True, check=True).stdout  # fmt: skip
        plain = PrivateKey("k", pem, b"")
        assert sigstore.verify(plain.sign(b"x"), [("k", plain.public())]) == b"x"


def wrapped(document: object) -> bytes:
    name = b"ENCRYPTED SIGSTORE PRIVATE KEY-----"
    body = base64.b64encode(json.dumps(document).encode())
    return b"-----BEGIN " + name + b"\n" + body + b"\n-----END " + name + b"\n"


class Home:
    """Of a user with keys, a policy for each, and a place for signatures."""

    def __init__(self, rcrun: Rcrun) -> None:
        self.rcrun = rcrun
        self.account = rcrun.account
        self.dir = self.account.new_dir("home")
        self.gnupg = self.account.new_dir("gnupg")
        self.env = {"HOME": str(self.dir), "GNUPGHOME": str(self.gnupg)}
        self.gpg("--quick-gen-key", "me", "ed25519", "sign", "never")
        listed = self.gpg("--with-colons", "--list-keys", "me").decode().splitlines()
        self.key = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
        self.put("word", WORD.encode() + b"\n")
        self.put("key", PRIVATE)
        self.put("plain", PLAIN)  # to decrypt one takes its time
        sigs = f"file://{self.dir}/sigs"
        self.put(
            ".config/containers/registries.d/x.yaml",
            f"default-docker: {{lookaside: '{sigs}', use-sigstore-attachments: true}}".encode(),
        )
        public = base64.b64encode(self.gpg("--export", "me")).decode()
        self.policy("gpg", {"type": "signedBy", "keyType": "GPGKeys", "keyData": public})
        data = base64.b64encode(PUBLIC).decode()
        self.policy("cosign", {"type": "sigstoreSigned", "keyData": data})

    def gpg(self, *words: str) -> bytes:
        way = ("--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", WORD)
        return self.account.run("gpg", *way, *words, env=self.env).check().stdout

    def put(self, name: str, data: bytes) -> Path:
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def policy(self, name: str, rule: object) -> None:
        document = {"default": ANYTHING, "transports": {"docker": {"": [rule]}}}
        self.put(f"{name}.json", json.dumps(document).encode())

    def __call__(self, *words: object, status: int = 0) -> str:
        done = self.rcrun(*map(str, words), env=self.env)
        assert done.status == status, repr(done)
        return done.out + done.err

    def skopeo(self, *words: object, policy: str = "") -> None:
        rules = [f"--policy={self.dir}/{policy}.json"] if policy else ["--insecure-policy"]
        folder = f"--registries.d={self.dir}/.config/containers/registries.d"
        program = os.environ.get("RCRUN_TEST_SKOPEO") or "skopeo"
        command = [program, *rules, folder, *map(str, words)]
        env = {**self.account.environ, **self.env}
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def ways(self) -> dict[str, list[object]]:
        """What signs for each policy."""
        word = ["--sign-passphrase-file", self.dir / "word"]
        return {
            "gpg": ["--sign-by", self.key, *word],
            "cosign": ["--sign-by-sigstore-private-key", self.dir / "key", *word],
        }


@pytest.fixture
def home(fresh_rcrun: Callable[..., Rcrun]) -> Iterator[Home]:
    made = Home(fresh_rcrun())
    yield made
    made.account.run("gpgconf", "--homedir", made.gnupg, "--kill", "all").check()


asked = [
    pytest.mark.requires("userns", "gpg"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]


class TestSigned:
    pytestmark = asked

    @pytest.mark.requires("docker-registry", "skopeo")
    def test_both_ways(self, home: Home, docker_registry: str) -> None:
        """What is signed is accepted by the policy for its key, and by no other.

        Debian 12's skopeo has sigstore taken out; RCRUN_TEST_SKOPEO names another one, as of sid, by which that is tried too.
        """
        archive = home.put("a.tar", oci_archive(tiny_image({"a": b"of this test alone"})))
        image = home("pull", "-q", f"oci-archive:{archive}").strip()
        source = f"oci-archive:{archive}"
        for policy, words in home.ways().items():
            other = {"gpg": "cosign", "cosign": "gpg"}[policy]
            it_can = policy == "gpg" or bool(os.environ.get("RCRUN_TEST_SKOPEO"))
            ours = f"{docker_registry}/signing/{policy}:1"
            home("push", "-q", *words, image, ours)
            from_there = (
                "copy",
                "--src-tls-verify=false",
                f"docker://{ours}",
                f"dir:{home.dir}/{policy}",
            )
            theirs = f"docker://{docker_registry}/signing/by-skopeo-{policy}:1"
            if it_can:
                home.skopeo(*from_there, policy=policy)
                home.skopeo("copy", "--dest-tls-verify=false", *words, source, theirs)
                with pytest.raises(AssertionError, match="A signature was required"):
                    home.skopeo(*from_there, policy=other)
            copied = f"docker://{docker_registry}/signing/copied-{policy}:1"
            home("image", "copy", "-q", *words, source, copied)
            for name in (ours, copied, *([theirs] if it_can else ())):
                way = ("image", "copy", "-q", name if "://" in name else f"docker://{name}")
                home(*way, f"dir:{home.dir}/out", "--signature-policy", home.dir / f"{policy}.json")
                said = home(
                    *way,
                    f"dir:{home.dir}/out",
                    "--signature-policy",
                    home.dir / f"{other}.json",
                    status=1,
                )
                assert "no signature was found" in said

    def test_once_of_each(self, home: Home, registry: TinyRegistry) -> None:
        """The same key signs the same thing once; a list with what it names, each; before the name is there."""
        archive = home.put("a.tar", oci_archive(tiny_image()))
        image = home("pull", "-q", f"oci-archive:{archive}").strip()
        name = f"{registry.address}/x:1"
        digest = home("inspect", "-f", "{{.Digest}}", image).strip()
        tag = f"{digest.replace(':', '-')}.sig"
        cosign = ("--sign-by-sigstore-private-key", home.dir / "plain")
        for _ in range(2):
            for words in (home.ways()["gpg"], cosign):
                home("push", "-q", *words, image, name)
        assert os.listdir(home.dir / f"sigs/x@{digest.replace(':', '=')}") == ["signature-1"]
        assert len(json.loads(registry.manifests[tag][1])["layers"]) == 1
        puts = [each.path.rpartition("/")[2] for each in registry.asked if each.method == "PUT"]
        assert puts.index(tag) < puts.index("1", puts.index(tag))
        # Under another name it is signed again.
        home("push", "-q", *cosign, image, f"{registry.address}/x:2")
        assert len(json.loads(registry.manifests[tag][1])["layers"]) == 2
        home("manifest", "create", "list")
        home("manifest", "add", "list", image)
        listed = home("manifest", "push", *cosign, "list", f"docker://{registry.address}/x:3")
        index = digest_of(registry.manifests["3"][1])
        assert index in listed
        assert f"{index.replace(':', '-')}.sig" in registry.manifests
        home("artifact", "add", "art", home.dir / "word")
        home("artifact", "push", "-q", *cosign, "art", f"{registry.address}/x:4")
        assert (
            f"{digest_of(registry.manifests['4'][1]).replace(':', '-')}.sig" in registry.manifests
        )
        file = home.put("Containerfile", b"FROM scratch\nCOPY word /\n")
        home(
            "build",
            "-q",
            "--push",
            *cosign,
            "-f",
            file,
            "-t",
            f"{registry.address}/x:5",
            home.dir,
        )
        assert (
            f"{digest_of(registry.manifests['5'][1]).replace(':', '-')}.sig" in registry.manifests
        )

    def test_what_cannot_sign(self, home: Home, registry: TinyRegistry) -> None:
        """It is told before anything goes out."""
        archive = home.put("a.tar", oci_archive(tiny_image()))
        image = home("pull", "-q", f"oci-archive:{archive}").strip()
        name = f"{registry.address}/x:1"
        word, key = home.dir / "word", home.dir / "key"
        home.put("wrong", b"wrong")
        private = ("--sign-by-sigstore-private-key", key)
        for words, reason in (
            (("--sign-by", "nobody", name), 'there is no key "nobody"'),
            (
                (*private, "--sign-passphrase-file", home.dir / "wrong", name),
                "does not open with this passphrase",
            ),
            ((*private, name), "needs a passphrase, and there is no terminal"),
            (("--sign-passphrase-file", word, name), "what it is signed with is missing"),
            (
                ("--sign-by", home.key, *private, "--sign-passphrase-file", word, name),
                "cannot be for two keys",
            ),
            ((*private, "--sign-passphrase-file", home.dir / "none", name), "cannot read"),
            (
                (*home.ways()["gpg"], f"dir:{home.dir}/out"),
                "only what goes into a registry is signed",
            ),
        ):
            assert reason in home("push", *words[:-1], image, words[-1], status=1)
        assert registry.asked == []
        home.put(
            ".config/containers/registries.d/x.yaml",
            b"default-docker: {lookaside: 'http://localhost:1'}",
        )
        gpg = home.ways()["gpg"]
        assert "lookaside-staging: file:///DIR" in home("push", *gpg, image, name, status=1)
        gpg[-1] = home.dir / "wrong"
        home.put(".config/containers/registries.d/x.yaml", b"")
        assert "GnuPG does not sign with" in home("push", *gpg, image, name, status=1)
        assert "1" not in registry.manifests
        build = home(
            "build",
            "-q",
            *home.ways()["cosign"],
            "-f",
            home.put("C", b"FROM scratch\n"),
            home.dir,
            status=1,
        )
        assert "only what is pushed is signed" in build

    def test_a_registry_that_keeps_them(self, home: Home, registry: TinyRegistry) -> None:
        """X-Registry-Supports-Signatures: written to it and read from it, and nowhere else."""
        archive = home.put("a.tar", oci_archive(tiny_image()))
        image = home("pull", "-q", f"oci-archive:{archive}").strip()
        kept: list[object] = []

        def extension(handler: Handler) -> None:
            if handler.command == "PUT":
                kept.append(json.loads(registry.asked[-1].body))
                handler.answer(201)
            else:
                handler.answer(200, json.dumps({"signatures": kept}).encode())

        registry.rule("/extensions/v2/some/thing/signatures/sha256:", extension, 99)
        registry.headers["X-Registry-Supports-Signatures"] = "1"
        name = f"{registry.address}/some/thing:1"
        policy = ("--signature-policy", home.dir / "gpg.json")
        home("push", "-q", image, name)
        assert "no signature was found" in home("pull", "-q", *policy, name, status=1)
        for _ in range(2):
            home("push", "-q", *home.ways()["gpg"], image, name)
        assert [one["type"] for one in kept] == ["atomic"]  # type: ignore[index]
        assert not (home.dir / "sigs").exists()
        home("rmi", "-f", name)
        home("pull", "-q", *policy, name)
