"""What every verb of the engine works with: the store, who we are, the caller's environment, and how to start rcrun again."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.errors import RcrunError
    from rcrun.formats.image import Descriptor
    from rcrun.kernel.identity import Identity
    from rcrun.paths import Store
    from rcrun.runtime.host import Host


MOUNTS_FILES = ("/etc/containers/mounts.conf", "/usr/share/containers/mounts.conf")
HOOKS_DIRS = ("/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d")


class Context:
    """`launcher` are the words that start rcrun again with the same store: hidden commands come behind them.

    `warn` takes a message for people and a hint; `mark` is told the name of each phase that is over (--debug).
    `cgroup_manager` is systemd, cgroupfs or none, if one was asked for. `max_size`: bytes that a layer may unpack to, 0
    for any. `hooks_dirs`: where hooks of the host are looked for, if not in HOOKS_DIRS; a later one wins.
    `mounts_file` is read in place of the host's mounts.conf. `conf`: what containers.conf says, by table and key;
    `conf_fault`: why it cannot be used.
    """

    __slots__ = (
        "_host", "cgroup_manager", "conf", "conf_fault", "environ", "hooks_dirs", "launcher", "leaves_blobs", "mark",
        "max_size", "mounts_file", "restored", "store", "warn",
    )  # fmt: skip

    def __init__(
        self,
        store: Store,
        environ: Mapping[str, str],
        launcher: Sequence[str],
        warn: Callable[[str, str | None], None],
        mark: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self.store = store
        self.environ = environ
        self.launcher = list(launcher)
        self.warn = warn
        self.mark = mark
        self.cgroup_manager = ""
        self.conf: Mapping[str, Mapping[str, Any]] = {}
        self.conf_fault: RcrunError | None = None
        self.max_size = 0
        self.hooks_dirs: Sequence[str] = ()
        self.mounts_file = ""
        self._host: Host | None = None
        self.leaves_blobs = False  # a build has made some that may go
        self.restored: list[str] = []  # digests of blobs that were dropped and are here again
        store.restore = self._restore

    def setting(self, table: str, key: str) -> Any:
        """What containers.conf says there; None where it says nothing."""
        if self.conf_fault is not None:
            raise self.conf_fault
        return self.conf[table].get(key) if table in self.conf else None

    @property
    def search(self) -> str:
        """Where programs are looked for, as PATH has it."""
        path = self.environ.get("PATH", "")
        if not self.conf:
            return path
        return ":".join([*self.conf.get("engine", {}).get("helper_binaries_dir", ()), path])

    @property
    def network_options(self) -> dict[str, Any]:
        """Words for each pasta and slirp4netns that is started."""
        if not self.conf:
            return {}
        found = self.conf.get("network", {}).get("pasta_options", ())
        more = self.conf.get("engine", {}).get("network_cmd_options", ())
        return {"pasta": found, "slirp4netns": more}

    @property
    def preferred_network(self) -> str:
        """pasta or slirp4netns, where a file says it."""
        word = self.conf.get("network", {}).get("default_rootless_network_cmd") if self.conf else ""
        return str(word or "")

    def _restore(self, digest: str) -> None:
        from rcrun.engine.restoring import restore

        restore(self, digest)
        self.restored.append(digest)

    @property
    def drops_blobs(self) -> bool:
        """Whether the blobs of layers that are unpacked are to go, where they can be had again (dropping.py)."""
        word = self.environ.get("RCRUN_DROP_BLOBS", "")
        return word not in ("0", "false", "no") and (
            bool(word) or os.path.lexists(self.store.path("drop-blobs"))
        )

    def drop_blobs(self, *descriptors: Descriptor, builds: bool = False, ask: bool = False) -> None:
        """Those of images that were just brought or made, and what was brought back for a moment, if blobs are dropped here."""
        if self.drops_blobs:
            from rcrun.engine.dropping import after

            after(self, *descriptors, builds=builds, ask=ask)

    def drop_again(self) -> None:
        if self.restored:
            self.drop_blobs()

    @property
    def has_hooks(self) -> bool:
        """Whether there may be some: most hosts have no such directory."""
        return bool(self.hooks_dirs) or any(map(os.path.isdir, HOOKS_DIRS))

    @property
    def mounts_conf(self) -> str:
        """The file that says what of the host new containers get, if there is one; the user's own is the first."""
        if self.mounts_file:
            return self.mounts_file
        own = f"{self.environ.get('HOME', '')}/.config/containers/mounts.conf"
        files = MOUNTS_FILES if self.identity.kind == "root" else (own, *MOUNTS_FILES)
        return next(filter(os.path.exists, files), "")

    @property
    def host(self) -> Host:
        if self._host is None:
            from rcrun.runtime.host import current

            self._host = current(self.environ)
        return self._host

    @property
    def identity(self) -> Identity:
        return self.host.identity

    def tell(self, text: str) -> None:
        """A line for people that is no warning."""
        try:
            os.write(2, f"{text}\n".encode("utf-8", "surrogateescape"))
        except OSError:
            pass  # nobody reads it
