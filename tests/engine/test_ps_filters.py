"""Every kind of filter that docker and podman have for ps, over records."""

from __future__ import annotations

import pytest

from rcrun.engine import ps
from rcrun.errors import InvalidInput
from rcrun.files import write_json
from rcrun.paths import Store
from rcrun.storage import claims


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "root"), str(tmp_path / "live"))


def make(store, name, created, **changes):
    with claims.claim(store) as claim:
        claim.claim_name(name)
        claim.container.record = {
            "auto_remove": False, "created": f"2026-01-01T00:00:{created:02}.000000000Z", "id": claim.container.id,
            "labels": {}, "launched": 0, "name": name, **changes,
        }  # fmt: skip
        claim.container.save(durable=False)
        write_json(
            claim.container.path("config.json"), {"annotations": {"team": name}}, durable=False
        )
        return claim.container


@pytest.fixture
def four(store):
    bound = {"host_ip": "", "host_port": 80, "container_port": 8080, "protocol": "tcp"}
    make(store, "web-1", 1, labels={"role": "web", "tier": "1"}, image="docker.io/library/debian:12",
         network={"mode": "pasta", "bound": [bound], "ports": [bound]}, exposed=["53/udp"], command=["nginx", "-g", "x"])  # fmt: skip
    make(store, "web-2", 2, labels={"role": "web"}, last_exit={"exit_code": 3, "finished": 0},
         restart_policy={"name": "always"}, network={"mode": "host"})  # fmt: skip
    make(store, "db", 3, labels={"role": "db"}, image_id="sha256:" + "ab" * 32, mounts=[
        {"type": "volume", "name": "data", "source": "/x", "destination": "/data"},
        {"type": "bind", "source": "/srv", "destination": "/in"},
    ], restart_policy={"name": "unless-stopped"})  # fmt: skip
    make(store, "job", 4, last_exit={"exit_code": 0, "finished": 0}, network={"mode": "none"})
    return store


TABLE = [
    (["name=web"], "web-2 web-1"),
    (["name=^web-1$"], "web-1"),
    (["name=^/db"], "db"),
    (["name=web-1", "name=db"], "db web-1"),
    (["label=role"], "db web-2 web-1"),
    (["label=role=web"], "web-2 web-1"),
    (["label=role=web", "label=tier=1"], "web-1"),
    (["label!=role"], "job"),
    (["label!=role=web"], "job db"),
    (["label=role=web", "status=exited"], "web-2"),
    (["annotation=team=db"], "db"),
    (["annotation!=team=db"], "job web-2 web-1"),
    (["status=created", "status=exited"], "job db web-2 web-1"),
    (["status=stopped"], "job web-2"),
    (["status=initialized"], "db web-1"),
    (["status=running"], ""),
    (["status=paused"], ""),
    (["status=restarting"], ""),
    (["status=dead"], ""),
    (["status=removing"], ""),
    (["exited=3"], "web-2"),
    (["exited=0", "exited=3"], "job web-2"),
    (["ancestor=debian:12"], "web-1"),
    (["ancestor=docker.io/library/debian:12"], "web-1"),
    (["ancestor=" + "ab" * 6], "db"),
    (["ancestor=nosuch"], ""),
    (["before=db"], "web-2 web-1"),
    (["since=web-2"], "job db"),
    (["since=web-1", "before=job"], "db web-2"),
    (["until=2026-01-01T00:00:02.5Z"], "web-2 web-1"),
    (["until=1h"], "job db web-2 web-1"),
    (["volume=data"], "db"),
    (["volume=/data"], "db"),
    (["volume=data:/data"], "db"),
    (["volume=/srv"], "db"),
    (["volume=/other"], ""),
    (["network=host"], "web-2"),
    (["network=none"], "job db"),
    (["publish=80"], "web-1"),
    (["publish=70-90/tcp"], "web-1"),
    (["publish=8080"], ""),
    (["expose=53/udp"], "web-1"),
    (["expose=8080"], "web-1"),
    (["health=none"], "job db web-2 web-1"),
    (["health=healthy"], ""),
    (["restart-policy=always"], "web-2"),
    (["restart-policy=no"], "job web-1"),
    (["should-start-on-boot=true"], "web-2"),
    (["command=nginx"], "web-1"),
    (["pod=x"], ""),
    (["is-task=false"], "job db web-2 web-1"),
    (["is-task=true"], ""),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "names"), TABLE)
def test_filters(four, filters, names):
    found = ps.listed(four, everything=True, filters=filters)
    assert [seen.container.name for seen in found] == names.split()


def test_the_beginning_of_an_id(four):
    first = ps.listed(four, everything=True)[0].container
    assert [
        s.container.name for s in ps.listed(four, everything=True, filters=[f"id={first.id[:12]}"])
    ] == ["job"]
    assert [
        s.container.name for s in ps.listed(four, everything=True, filters=[f"id=^{first.id[:12]}"])
    ] == ["job"]


@pytest.mark.parametrize("word", [
    "nosuch=1", "name", "name=(", "status=asleep", "exited=x", "publish=http", "publish=80/x", "health=fine",
    "restart-policy=never", "is-task=maybe", "should-start-on-boot=x", "until=never", "command=(",
])  # fmt: skip
def test_what_is_no_filter(four, word):
    with pytest.raises(InvalidInput):
        ps.listed(four, everything=True, filters=[word])


def test_a_state_that_is_asked_for_shows_those_that_do_not_run(four):
    assert len(ps.listed(four, filters=["status=exited"])) == 2
    assert ps.listed(four, filters=["label=role"]) == []
