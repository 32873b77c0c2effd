"""An attribute that notes owners for who has a single id (storage/marks.py) means nothing where ids are mapped."""

from __future__ import annotations

import pytest

FORGE = "import os, sys; os.setxattr(sys.argv[1], 'user.rcrun.owner', b'0:0')"


@pytest.mark.requires("userns", "subids", "overlay")
@pytest.mark.parametrize("account", ["user"], indirect=True)
def test_a_user_of_a_container_cannot_make_files_of_its_root(rcrun):
    script = "cp /bin/busybox /tmp/su && chmod 4755 /tmp/su"
    words = ("--network", "none", "-u", "1000", "busybox", "sh", "-c", script)
    rcrun("run", "--name", "forger", *words).check()
    ident = rcrun("inspect", "-f", "{{.Id}}", "forger").check().out.strip()
    su = rcrun.store_dir / "containers" / ident / "upper/tmp/su"
    rcrun("unshare", "python3", "-c", FORGE, su).check()
    rcrun("commit", "forger", "forged").check()
    look = ("stat", "-c", "%u:%g %a", "/tmp/su")
    assert (
        rcrun("run", "--rm", "--network", "none", "forged", *look).check().out == "1000:1000 4755\n"
    )
    rcrun("rmi", "forged").check()
    listed = rcrun.account.run(
        "sh", "-c", "rcrun export forger | tar -tvf - tmp/su --numeric-owner", env=rcrun.env
    )
    assert listed.check().out.split()[:2] == ["-rwsr-xr-x", "1000/1000"]
