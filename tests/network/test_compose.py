"""`rcrun compose`, which is podman-compose on rcrun: the words that scripts and workflows type, and their statuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from accounts import bin_dir

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

PROJECT = """services:
  db:
    image: busybox
    network_mode: none
    stop_signal: KILL
    command: ["sh", "-c", "touch /tmp/ready; exec sleep 1000"]
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 1s, retries: 60}
  job:
    image: busybox
    network_mode: none
    profiles: [once]
    command: ["sh", "-c", "exit 5"]
"""


def test_as_docker(rcrun):
    programs, project = rcrun.account.new_dir("programs"), rcrun.account.new_dir("shop")
    (programs / "docker").symlink_to(bin_dir() / "rcrun")
    (project / "compose.yaml").write_text(PROJECT)
    beside = Path(sys.executable).parent  # podman-compose
    env = {**rcrun.env, "PATH": f"{programs}:{beside}:{rcrun.account.environ['PATH']}"}
    script = """
        docker compose up -d --wait >/dev/null
        docker ps --format '{{.Names}} {{.Label "com.docker.compose.service"}}'
        docker inspect -f '{{.State.Health.Status}}' $(docker compose ps -q)
        docker compose exec -T db cat /etc/hostname | wc -l
        docker compose --ansi never run --rm -T db sh -c 'exit 7' || echo $?
        docker compose -f compose.yaml --profile once up --exit-code-from job job >/dev/null || echo $?
        docker compose --profile once down -v --timeout 0 >/dev/null
        docker ps -aq
        PODMAN_COMPOSE_PROVIDER=/none/such docker compose version 2>&1 || echo $?
    """
    got = rcrun.account.run("sh", "-euc", script, env=env, cwd=project, timeout=250).check()
    lines = got.out.splitlines()
    assert lines[:5] == [f"{project.name}-db-1 db", "healthy", "1", "7", "5"], got
    assert lines[5:] == [
        'docker: "/none/such" is not installed, and compose needs it',
        "hint: python3 -m pip install podman-compose",
        "1",
    ]
