"""What stats, logs, info and port print under the names `docker` and `podman`."""

from __future__ import annotations

import json
import re

import pytest

from accounts import bin_dir

NO_NETWORK = ("--network", "none")


@pytest.fixture
def called(rcrun):
    folder = rcrun.account.new_dir("bin")

    def link(name):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(bin_dir() / "rcrun")
        return lambda *words, **more: rcrun.account.run(
            folder / name, *words, env=rcrun.env, **more
        )

    return link


def test_docker_logs_into_its_own_format(called):
    docker = called("docker")
    docker("run", "--name", "web", *NO_NETWORK, "busybox", "echo", "text").check()
    assert docker("inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "web").out == "json-file\n"
    assert docker("info", "-f", "{{.LoggingDriver}}").check().out == "json-file\n"
    assert docker("logs", "web").check().out == "text\n"


def test_podman_has_its_own_stats(rcrun, called):
    rcrun("run", "-d", "--name", "web", *NO_NETWORK, "busybox", "sleep", "100").check()
    podman = called("podman")
    titles = podman("stats", "--no-stream", "web").check().out.splitlines()[0]
    assert re.split(r"\s{2,}", titles) == [
        "ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET IO", "BLOCK IO", "PIDS", "CPU TIME", "AVG CPU %",
    ]  # fmt: skip
    (got,) = json.loads(podman("stats", "--no-stream", "--format", "json", "web").check().out)
    assert set(got) == {
        "id", "name", "cpu_time", "cpu_percent", "avg_cpu", "mem_usage", "mem_percent", "net_io", "block_io", "pids",
    }  # fmt: skip
    titles = podman("top", "web").check().out.splitlines()[0].split()
    assert titles == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]


def test_podman_prints_yaml(called):
    lines = called("podman")("info").check().out.splitlines()
    assert [line for line in lines if not line.startswith((" ", "-"))] == [
        "host:", "plugins:", "registries:", "store:", "version:",
    ]  # fmt: skip
    assert any(line.startswith("  graphRoot: ") for line in lines)


def test_everything_of_df_goes_through_a_template(rcrun, called):
    rcrun("create", "--name", "web", "-v", "data:/data", "busybox", "true").check()
    form = "{{range .Images}}{{.Repository}} {{.Containers}}{{end}} {{range .Volumes}}{{.Name}} {{.Links}}{{end}}"
    got = called("docker")("system", "df", "-v", "--format", form).check().out
    assert got == "busybox 1 data 1\n"
    rcrun("rm", "-f", "web").check()
    rcrun("volume", "rm", "data").check()
