"""The same lines as docker 28.5 and podman 5.8 took them: what they printed, and how they ended."""

from __future__ import annotations

import re

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

ID = "[0-9a-f]{64}"
# What is there for them; every line is typed in one shell, as a script would.
MADE = """
    docker create --name bare --network none busybox
"""
# the name; the line in a shell; its status; what it prints, a pattern; how stderr begins, if with anything
LINES = [
    # inspect finds everything that has a name
    ("docker", "inspect -f {{.Name}} bridge", 0, "bridge", ""),
    ("docker", "inspect --type network -f {{.Driver}} bridge none host", 0, "bridge\nnull\nhost", ""),
    ("docker", "inspect --type network bare", 1, r"\[\]", "Error response from daemon: network bare not found"),
    ("docker", "network inspect -f {{.Name}} none nosuch", 1, "none", "Error response from daemon: network nosuch not found"),
    ("podman", "inspect -f {{.name}} podman", 0, "podman", ""),
    ("podman", "network inspect host", 125, r"\[\]", "Error: unable to find network with name or ID host"),
    ("podman", "pod create --name peas >/dev/null; podman inspect -f {{.State}} peas; podman pod rm peas >/dev/null", 0, "Created", ""),
]  # fmt: skip


@pytest.mark.timeout(300)
def test_lines(rcrun):
    folder, work = rcrun.account.new_dir("bin"), rcrun.account.new_dir("work")
    for name in ("docker", "podman"):
        (folder / name).symlink_to(bin_dir() / "rcrun")
    env = {**rcrun.env, "PATH": f"{folder}:{rcrun.account.environ['PATH']}"}

    def typed(line):
        return rcrun.account.run("bash", "-c", line, env=env, cwd=work)

    typed(f"set -e; {MADE}").check()
    wrong = []
    for name, line, status, out, err in LINES:
        got = typed(f"{name} {line}")
        fits = re.fullmatch(out, got.out.removesuffix("\n"), re.S)
        if got.status != status or not fits or not re.match(err or "$", got.err):
            wrong.append(f"{name} {line}\n   expected {status}, {out!r}, {err!r}\n   {got!r}")
    assert not wrong, "\n".join(wrong)
