"""What every test can ask for: an account, the installed rcrun, and what the host must allow."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import parallel
import skips
from accounts import (
    Account,
    DelegatedAccount,
    Result,
    bin_dir,
    store_parent,
)
from all_accounts import Accounts, busybox_archive
from in_guest import plugins
from probes import lacking
from skips import unmet


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts us in the background has these ignored, and so would have every command of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for plugin in (skips, parallel, *plugins(config)):
        config.pluginmanager.register(plugin)


# ---- accounts


@pytest.fixture(scope="session")
def accounts() -> Iterator[Accounts]:
    base_dir = Path(store_parent(), f"rcrun-tests-{os.getpid()}")
    base_dir.mkdir(mode=0o755)
    begun = time.time()
    made = Accounts(base_dir)
    yield made
    left = leftovers(made) + sanitizer_reports(begun)
    for account in made.made.values():
        account.remove()
    shutil.rmtree(base_dir, ignore_errors=True)
    assert not left, "the tests left these behind:\n" + "\n".join(left)


def leftovers(accounts: Accounts) -> list[str]:
    """Processes and mounts that the tests' accounts still have, after a moment to end."""
    for pause in (0, 0.1, 0.3, 1, 2):
        time.sleep(pause)
        left = [
            f"{account.name}: {line}"
            for account in accounts.made.values()
            for line in (*account.processes(), *account.mounts())
        ]
        if not left:
            break
    return left


def sanitizer_reports(begun: float) -> list[str]:
    """What a shim with sanitizers has said since then (rcrun/shim/sanitize.c)."""
    return [
        f"{path}: {path.read_text(errors='replace')}"
        for path in Path("/tmp").glob("rcrun-shim-report.*")
        if path.stat().st_mtime >= begun
    ]


@pytest.fixture(params=["user", "root"])
def account(request: pytest.FixtureRequest, accounts: Accounts) -> Account:
    """The test runs twice: as the ordinary user and as root.

    `@pytest.mark.parametrize("account", ["user"], indirect=True)` is for what only one of them can do.
    """
    return accounts.get(request.param)


@pytest.fixture
def user_account(accounts: Accounts) -> Account:
    return accounts.get("user")


@pytest.fixture
def root_account(accounts: Accounts) -> Account:
    return accounts.get("root")


@pytest.fixture
def single_id_account(accounts: Accounts) -> Account:
    """A user without subordinate ids."""
    return accounts.get("single")


@pytest.fixture(
    params=["delegated", pytest.param("systemd", marks=pytest.mark.requires("systemd"))]
)
def delegated_account(request: pytest.FixtureRequest, accounts: Accounts) -> DelegatedAccount:
    """The ordinary user in a cgroup v2 subtree of its own: one that root made, and one of the user's systemd."""
    if os.geteuid() != 0:
        unmet("a cgroup is delegated by root: make test takes sudo for it")
    account = accounts.get(request.param)
    assert isinstance(account, DelegatedAccount)
    return account


# ---- rcrun


class Rcrun:
    """Runs the launchers as one account with one store: `rcrun("ps", "-q").out`."""

    def __init__(self, account: Account, store_dir: Path) -> None:
        self.account = account
        self.store_dir = store_dir
        self.env = {"RCRUN_ROOT": str(store_dir)}

    def __call__(self, *args: str | os.PathLike[str], **options: object) -> Result:
        return self.launch("rcrun", *args, **options)

    def oci(self, *args: str | os.PathLike[str], **options: object) -> Result:
        return self.launch("rcrun-oci", *args, **options)

    def launch(self, name: str, *args: str | os.PathLike[str], **options: object) -> Result:
        env = {**self.env, **(options.pop("env", None) or {})}  # type: ignore[dict-item]
        return self.account.run(bin_dir() / name, *args, env=env, **options)  # type: ignore[arg-type]

    def popen(self, *args: str | os.PathLike[str], **options: object):  # type: ignore[no-untyped-def]
        env = {**self.env, **(options.pop("env", None) or {})}  # type: ignore[dict-item]
        return self.account.popen(bin_dir() / "rcrun", *args, env=env, **options)


@pytest.fixture
def fresh_rcrun(account: Account) -> Callable[..., Rcrun]:
    """Makes an Rcrun with an empty store; of this test's account unless another is given."""

    def make(owner: Account | None = None) -> Rcrun:
        owner = owner or account
        return Rcrun(owner, owner.new_dir("store"))

    return make


class SharedRcrun(Rcrun):
    """With one store for the whole run. Each test finds it as the first one did: the image `busybox`, and nothing else."""

    # What tests leave, by the directory of the store that it is in; most leave nothing, and need no command for that.
    LEFT = (
        ("pods", ("pod", "rm", "-fa", "-t", "0")),
        ("containers", ("rm", "-fa")),
        ("volumes", ("volume", "prune", "-fa")),
        ("networks", ("network", "prune", "-f")),
        ("secrets", ("secret", "rm", "-a")),
    )

    def __init__(self, account: Account, archive: Path) -> None:
        super().__init__(account, account.new_dir("store"))
        self.archive = archive
        self.load()

    def load(self) -> None:
        self("load", "-i", self.archive).check()
        self.index = self.index_path.read_bytes()

    @property
    def index_path(self) -> Path:
        return self.store_dir / "index.json"

    def restore(self) -> None:
        for name, words in self.LEFT:
            folder = self.store_dir / name
            if folder.exists() and any(folder.iterdir()):
                self(*words).check()
        if not self.index_path.exists() or self.index_path.read_bytes() != self.index:
            self("rmi", "-fa").check()
            self.load()


@pytest.fixture(scope="session")
def shared_stores(accounts: Accounts) -> Callable[[Account], SharedRcrun]:
    stores: dict[str, SharedRcrun] = {}

    def get(account: Account) -> SharedRcrun:
        if account.kind not in stores:
            stores[account.kind] = SharedRcrun(account, busybox_archive(accounts))
        return stores[account.kind]

    return get


@pytest.fixture
def rcrun(account: Account, shared_stores: Callable[[Account], SharedRcrun]) -> Iterator[Rcrun]:
    """The launchers with a store that has the image `busybox`; what a test makes in it goes with the test."""
    shared = shared_stores(account)
    yield shared
    shared.restore()


@pytest.fixture
def single_rcrun(
    single_id_account: Account, shared_stores: Callable[[Account], SharedRcrun]
) -> Iterator[Rcrun]:
    """As `rcrun`, of the user without subordinate ids."""
    shared = shared_stores(single_id_account)
    yield shared
    shared.restore()


@pytest.fixture
def delegated_rcrun(
    delegated_account: DelegatedAccount, shared_stores: Callable[[Account], SharedRcrun]
) -> Iterator[Rcrun]:
    """As `rcrun`, of the user with a cgroup of its own."""
    shared = shared_stores(delegated_account)
    yield shared
    shared.restore()


# ---- what the host must allow


@pytest.fixture(autouse=True)
def met(request: pytest.FixtureRequest) -> None:
    """`@pytest.mark.requires("userns", "overlay")`: probed by trying, once, as the test's account."""
    marks = list(request.node.iter_markers("requires"))
    if not marks:
        return
    accounts: Accounts = request.getfixturevalue("accounts")
    kind = "user"
    if "account" in request.fixturenames:
        kind = request.getfixturevalue("account").kind
    elif "single_id_account" in request.fixturenames:
        kind = "single"
    for mark in marks:
        for name in mark.args:
            reason = lacking(name, accounts.get(kind))
            if reason is not None:
                unmet(reason, name)
