"""The accounts of a test run, each made once, and the image that all of them read."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

from accounts import (
    CHECKOUT,
    SINGLE_ID_USER,
    USER,
    Account,
    DelegatedAccount,
    SystemdAccount,
)
from skips import unmet

ACCOUNTS = {"delegated": DelegatedAccount, "systemd": SystemdAccount}


class Accounts:
    """Makes each account once, under one directory on a fast file system."""

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir
        self.made: dict[str, Account] = {}

    def user_name(self, kind: str) -> str:
        if kind == "root":
            return "root"
        if kind == "single":
            return SINGLE_ID_USER
        return USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def get(self, kind: str) -> Account:
        if kind not in self.made:
            name = self.user_name(kind)
            try:
                pwd.getpwnam(name)
            except KeyError:
                unmet(f"no user {name}: run ci/setup test")
            if os.geteuid() not in (0, pwd.getpwnam(name).pw_uid):
                unmet(f"cannot become {name} without root: make test takes sudo for it")
            folder = self.base_dir / kind
            self.made[kind] = ACCOUNTS.get(kind, Account)(kind, name, folder)
        return self.made[kind]


def busybox_archive(accounts: Accounts) -> Path:
    """A docker-archive of the host's static busybox, made once, readable by all."""
    path = accounts.base_dir / "busybox.tar"
    if not path.exists():
        maker = CHECKOUT / "examples/images/make-busybox"
        status = os.spawnl(os.P_WAIT, sys.executable, "python3", str(maker), str(path))
        assert status == 0
    return path
