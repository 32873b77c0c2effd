"""RUN --mount: bind, cache, tmpfs, secret and ssh, as options of the step's container."""

from __future__ import annotations

import os

from rcrun.files import write_new
from rcrun.formats.size import parse as parse_size
from rcrun.paths import make_private_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rcrun.engine.build.request import Request
    from rcrun.engine.build.root import StepRoot
    from rcrun.engine.build.state import State
    from rcrun.files import Lock
    from rcrun.formats.containerfile.instructions import Instruction

KEYS = {
    "bind": {"target", "source", "from", "rw"},
    "cache": {"target", "source", "from", "id", "ro", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"target", "size"},
    "secret": {"target", "id", "required", "mode", "uid", "gid", "env"},
    "ssh": {"target", "id", "required", "mode", "uid", "gid"},
}
_SPELLINGS = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "readonly": "ro",
    "readwrite": "rw",
}
_ALONE = ("ro", "rw", "required")
SHARING = ("shared", "private", "locked")


class Mount:
    """One --mount with its variables put in."""

    __slots__ = ("kind", "values")

    def __init__(self, instruction: Instruction, text: str, state: State) -> None:
        expand = state.expander(instruction)
        self.values: dict[str, str] = {}
        for pair in text.split(","):
            key, equals, value = pair.partition("=")
            key = _SPELLINGS.get(key.strip().lower(), key.strip().lower())
            if not equals and key not in _ALONE:
                raise instruction.fault(f'--mount: "{pair}" is not KEY=VALUE')
            self.values[key] = expand.word(value) if equals else "true"
        self.kind = self.values.pop("type", "bind")
        known = KEYS.get(self.kind)
        if known is None:
            raise instruction.fault(
                f'--mount: unknown type "{self.kind}"', f"use one of {', '.join(KEYS)}"
            )
        if self.kind == "bind" and "ro" in self.values:
            self.values["rw"] = "false" if self.values.pop("ro") == "true" else "true"
        if self.kind == "cache" and "rw" in self.values:
            self.values["ro"] = "false" if self.values.pop("rw") == "true" else "true"
        for key in self.values:
            if key not in known:
                raise instruction.fault(
                    f'--mount: type {self.kind} has no "{key}"', f"it has {' '.join(sorted(known))}"
                )
        if self.kind in ("bind", "cache", "tmpfs") and not self.values.get("target"):
            raise instruction.fault(f"--mount: type {self.kind} needs a target")
        if self.kind == "cache" and self.get("sharing", "shared") not in SHARING:
            raise instruction.fault(
                f'--mount: sharing is {", ".join(SHARING)}, not "{self.get("sharing")}"'
            )
        self._check_numbers(instruction)
        if self.get("target"):
            self.values["target"] = state.absolute(self.values["target"]).rstrip("/") or "/"

    def _check_numbers(self, instruction: Instruction) -> None:
        for key, base in (("uid", 10), ("gid", 10), ("mode", 8)):
            try:
                int(self.get(key, "0"), base)
            except ValueError:
                raise instruction.fault(
                    f'--mount: {key} is a number, not "{self.get(key)}"'
                ) from None

    def get(self, key: str, default: str = "") -> str:
        return self.values.get(key, default)

    def has(self, key: str) -> bool:
        return self.get(key) in ("true", "1")

    def number(self, key: str, default: int, base: int = 10) -> int:
        return int(self.values[key], base) if key in self.values else default

    @property
    def key(self) -> list[Any]:
        """What the step's result depends on; of a bind the content comes to it."""
        return [self.kind, sorted(self.values.items())]


class Bringer:
    """Makes the mounts of one RUN; `bring` gives the host's path of what `from` and `source` name."""

    def __init__(
        self,
        root: StepRoot,
        request: Request,
        instruction: Instruction,
        bring: Callable[[Mount], str],
    ) -> None:
        self.root = root
        self.request = request
        self.instruction = instruction
        self.bring = bring
        self.options: dict[str, list[str]] = {"volume": [], "mount": [], "tmpfs": [], "env": []}
        self.locks: list[Lock] = []

    def add(self, mount: Mount) -> None:
        getattr(self, f"_{mount.kind}")(mount)

    def release(self) -> None:
        for lock in self.locks:
            lock.release()

    def _bind(self, mount: Mount) -> None:
        """Writes are allowed with rw, and lost."""
        path = self.bring(mount)
        access = "O" if mount.has("rw") else "ro"
        self.options["volume"].append(f"{path}:{mount.get('target')}:{access}")

    def _tmpfs(self, mount: Mount) -> None:
        size = f":size={parse_size(mount.get('size'))}" if mount.get("size") else ""
        self.options["tmpfs"].append(f"{mount.get('target')}{size}")

    def _cache(self, mount: Mount) -> None:
        """A directory of the store's, which lives as long as nobody prunes it."""
        from rcrun.engine.build.state import key_of
        from rcrun.files import Lock

        store = self.root.context.store
        # Who asks for other owners or modes has another cache, as with BuildKit.
        looks = [mount.number("uid", 0), mount.number("gid", 0), mount.number("mode", 0o755, 8)]
        key = key_of("cache", mount.get("id") or mount.get("target"), looks)
        folder = f"{store.path('build/mounts')}/{key}"
        make_private_dir(store.path("build/mounts"))
        if mount.get("sharing") == "private":
            folder = self._private(folder)
        elif mount.get("sharing") == "locked":
            self._hold(Lock(f"{folder}.lock"))
        self._make_cache(folder, mount)
        access = ":ro" if mount.has("ro") else ""
        self.options["volume"].append(f"{folder}/data:{mount.get('target')}{access}")

    def _private(self, folder: str) -> str:
        """One that nobody else uses at the moment."""
        from rcrun.files import Lock

        for number in range(1000):
            lock = Lock(f"{folder}.{number}.lock")
            if lock.acquire(wait=False):
                self.locks.append(lock)
                return f"{folder}.{number}"
        raise self.instruction.fault("--mount: too many private caches are in use")

    def _hold(self, lock: Lock) -> None:
        lock.acquire()
        self.locks.append(lock)

    def _make_cache(self, folder: str, mount: Mount) -> None:
        from rcrun.engine.build.below import worker

        make_private_dir(folder)
        if os.path.isdir(f"{folder}/data"):
            return
        owner = (mount.number("uid", 0), mount.number("gid", 0))
        is_single = self.root.context.identity.kind == "single"
        job = {"root": folder, "path": "data", "owner": None if is_single else owner}
        worker(self.root.context, "workdir", job)
        if mount.get("mode"):
            os.chmod(f"{folder}/data", mount.number("mode", 0o755, 8))

    def _secret(self, mount: Mount) -> None:
        name = mount.get("id") or os.path.basename(mount.get("target"))
        data = self.request.secrets.get(name)
        if data is None:
            if mount.has("required"):
                raise self.instruction.fault(
                    f'the secret "{name}" is required', f"rcrun build --secret id={name},src=FILE"
                )
            return
        if mount.get("env"):
            self.options["env"].append(
                f"{mount.get('env')}={data.decode('utf-8', 'surrogateescape')}"
            )
            if not mount.get("target"):
                return
        path = self.root.claim.container.path(f"secret{len(self.options['volume'])}")
        write_new(path, data)
        os.chmod(path, mount.number("mode", 0o400, 8))
        target = mount.get("target") or f"/run/secrets/{name}"
        uid, gid = mount.number("uid", 0), mount.number("gid", 0)
        owned = ",U" if (uid, gid) != (0, 0) else ""
        self.options["volume"].append(f"{path}:{target}:ro{owned}")

    def _ssh(self, mount: Mount) -> None:
        name = mount.get("id") or "default"
        socket = self.request.ssh.get(name)
        if not socket:
            if mount.has("required"):
                raise self.instruction.fault(
                    f'the SSH agent "{name}" is required', f"rcrun build --ssh {name}"
                )
            return
        target = mount.get("target") or f"/run/buildkit/ssh_agent.{len(self.options['volume'])}"
        self.options["volume"].append(f"{socket}:{target}")
        if not any(word.startswith("SSH_AUTH_SOCK=") for word in self.options["env"]):
            self.options["env"].append(f"SSH_AUTH_SOCK={target}")
