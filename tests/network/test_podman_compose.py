"""podman-compose drives rcrun as its podman: a pod of three services, two networks, conditions, a volume, a port, an image built."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import pytest

from accounts import bin_dir
from engine.builds import forget_images
from network.servers import free_port
from waiting import wait_for

pytestmark = [
    pytest.mark.requires("userns", "overlay", "network"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

PROJECT = """services:
  db:
    image: busybox
    command:
      - sh
      - -c
      - sleep 1; echo stored >/data/index.html; touch /tmp/ready; exec httpd -f -p 8000 -h /data
    volumes: ["data:/data"]
    networks: {back: {aliases: [database]}}
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 1s, retries: 30}
  app:
    image: busybox
    command: ["sh", "-c", "wget -qO /tmp/index.html http://database:8000/ && exec httpd -f -p 8080 -h /tmp"]
    depends_on: {db: {condition: service_healthy}}
    networks: [back, front]
    healthcheck: {test: "test -s /tmp/index.html", interval: 1s, retries: 30}
  web:
    build: web
    depends_on: {app: {condition: service_healthy}}
    networks: [front]
    ports: ["PORT:80"]
networks: {back: {}, front: {}}
volumes: {data: {}}
"""
CONTAINERFILE = """
FROM busybox
RUN mkdir /page && echo built >/page/index.html
HEALTHCHECK --interval=1s CMD wget -qO /dev/null http://127.0.0.1/
CMD ["httpd", "-f", "-p", "80", "-h", "/page"]
"""


def page(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return answer.read()
    except OSError:
        return b""  # `up` does not wait for the last one


class Compose:
    """`podman-compose` in a project's folder, with rcrun under the name podman on its PATH."""

    def __init__(self, rcrun, port):
        self.rcrun = rcrun
        self.folder = rcrun.account.new_dir("project")
        (self.folder / "compose.yaml").write_text(PROJECT.replace("PORT", str(port)))
        (self.folder / "web").mkdir()
        (self.folder / "web/Containerfile").write_text(CONTAINERFILE)
        programs = rcrun.account.new_dir("programs")
        (programs / "podman").symlink_to(bin_dir() / "rcrun")
        self.env = {**rcrun.env, "PATH": f"{programs}:{rcrun.account.environ['PATH']}"}
        self.program = Path(sys.executable).parent / "podman-compose"

    def __call__(self, *words):
        words = (self.program, "-f", self.folder / "compose.yaml", "-p", "three", *words)
        return self.rcrun.account.run(*words, env=self.env, timeout=250)


def test_a_project_of_three_services(rcrun):
    port = free_port()
    compose = Compose(rcrun, port)
    compose("up", "-d", "--build").check()
    try:
        states = rcrun("ps", "--format", "{{.Names}} {{.Status}}").check().out
        assert sorted(line.split()[0] for line in states.splitlines()) == [
            "three_app_1", "three_db_1", "three_web_1",
        ]  # fmt: skip
        assert states.count("(healthy)") >= 2
        assert rcrun("pod", "ps", "--format", "{{.Name}} {{.Status}}").out == "pod_three Running\n"
        asked = compose("exec", "-T", "web", "wget", "-qO-", "http://app:8080/").check()
        assert asked.out == "stored\n"
        assert compose("exec", "-T", "web", "wget", "-qO-", "http://database:8000/").status != 0
        assert wait_for(lambda: page(port)) == b"built\n"
        compose("restart", "db").check()
        again = compose("exec", "-T", "app", "wget", "-qO-", "http://db:8000/")
        assert "stored" in again.out or "refused" in again.err  # it may not listen yet
        assert "three_data" in rcrun("volume", "ls", "-q").out
    finally:
        compose("down", "-v").check()
        forget_images(rcrun)
    assert rcrun("ps", "-aq").out + rcrun("pod", "ps", "-q").out == ""
    assert "three_" not in rcrun("volume", "ls", "-q").out + rcrun("network", "ls", "-q").out
