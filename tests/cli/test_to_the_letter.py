"""The same lines as docker 28.5 and podman 5.8 took them: what they printed, and how they ended."""

from __future__ import annotations

import re

import pytest

from accounts import bin_dir
from engine.builds import forget_images

pytestmark = [
    pytest.mark.requires("userns", "overlay"),
    pytest.mark.parametrize("account", ["user"], indirect=True),
]

ID = "[0-9a-f]{64}"
# What is there for them; every line is typed in one shell, as a script would.
MADE = """
    printf 'FROM busybox\nLABEL a=b\n' >Dockerfile
    docker create --name bare --network none busybox
    docker run -d --name up --network none --stop-signal KILL busybox sleep 1000
    docker create --name full --network none -t -v data:/data -v /anon -v /usr:/t:ro,z --mount type=bind,src=/usr,dst=/m,ro \
        --mount dst=/more --tmpfs /x:size=1m --cap-add net_admin --cap-drop all -e HOME=/q --health-cmd true --health-interval 90s busybox
"""
# the name; the line in a shell; its status; what it prints, a pattern; how stderr begins, if with anything
LINES = [
    # buildx, as docker/setup-buildx-action and docker/build-push-action type it
    ("docker", "buildx build --builder default --provenance=false --cache-from type=gha,scope=x --cache-to type=gha,mode=max --iidfile iid --metadata-file md --load -t made . && wc -c <iid && grep -o '\"image.name\":[^}]*' md", 0, '71\n"image.name":"docker.io/library/made:latest"', ".*there is no cache of type gha here"),
    ("docker", "build --progress quiet .", 0, f"sha256:{ID}", ""),
    ("docker", "buildx du | tail -1", 0, "Total:\t\t.*B", ""),
    # inspect tells of what was asked for
    ("docker", "inspect -f '{{json .HostConfig.Binds}} {{json .Config.Volumes}}' full", 0, r'\["data:/data","/usr:/t:ro,z"\] {"/anon":{},"/more":{}}', ""),
    ("docker", "inspect -f '{{json .HostConfig.Mounts}}' full", 0, r'\[{"Type":"bind","Source":"/usr","Target":"/m","ReadOnly":true},{"Type":"volume","Target":"/more"}\]', ""),
    ("docker", "inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{end}}' full", 0, "volume /data volume /anon bind /t bind /m volume /more ", ""),
    ("docker", "inspect -f '{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}} {{.Config.Env}}' full", 0, r"\[CAP_NET_ADMIN\] \[ALL\] \[PATH=/bin HOME=/q\]", ""),
    ("docker", "inspect -f '{{json .HostConfig.Binds}} {{json .Config.Volumes}} {{.Config.Env}} {{json .ImageManifestDescriptor}}' bare", 0, r"null null \[PATH=/bin\] null", ""),
    ("podman", "inspect -f '{{json .HostConfig.Binds}} {{json .HostConfig.CapAdd}} {{json .HostConfig.SecurityOpt}}' bare", 0, r"\[\] \[\] \[\]", ""),
    ("docker", "inspect -f '{{.Config.Healthcheck.Interval}} {{json .Config.Healthcheck.Interval}} {{lt 1 .Config.Healthcheck.Interval}}' full", 0, "1m30s 90000000000 true", ""),
    ("docker", "inspect -f '{{.NetworkSettings.Networks.nosuch.IPAddress}}{{with .Config.Labels.a.b.c}}x{{end}}' bare", 0, "<no value>", ""),
    # lists
    ("docker", "ps -aq --format '{{.Names}}' -f name=bare", 0, "[0-9a-f]{12}", "rcrun: warning: --format has no effect"),
    ("podman", "ps -aq --format '{{.Names}}' -f name=bare", 0, "bare", ""),
    ("docker", "images -q --format '{{.Tag}}' busybox", 0, "latest", ""),
    ("podman", "images -q --format '{{.Tag}}' busybox", 0, "[0-9a-f]{12}", ""),
    ("docker", "ps -a --format '{{.Mounts}} {{.LocalVolumes}}' -f name=full", 0, "data,[0-9a-f]{14}…,/usr,/usr,[0-9a-f]{14}… 3", ""),
    ("docker", "stats --no-stream --format '{{.Container}} {{.Name}}' up", 0, "up up", ""),
    # statuses
    ("docker", "run -it --rm --network none busybox true </dev/null", 1, "", "the input device is not a TTY"),
    ("docker", "run --rm --network none busybox ''", 127, "", 'docker: "": executable file not found in [$]PATH'),
    ("docker", "exec up ''", 127, "", 'docker: "": executable file not found in [$]PATH'),
    ("podman", "exec -d up true", 0, ID, ""),
    ("docker", "exec -d up true", 0, "", ""),
    ("docker", "run --rm --network none --mount TYPE=bind,SRC=/usr,DST=/u,ReadOnly busybox ls -d /u", 0, "/u", ""),
    ("docker", "tag made made:2; docker rmi $(docker images -q made:2)", 1, "", "Error response from daemon: conflict: unable to delete [0-9a-f]+ .must be forced."),
    ("docker", "rmi -f $(docker images -q made:2)", 0, f"Untagged: made:2\nUntagged: made:latest\nDeleted: sha256:{ID}", ""),
    ("docker", "create --name ports --expose 80 --network none busybox >/dev/null; docker inspect -f '{{.Config.ExposedPorts}}' ports", 0, r"map\[80/tcp:{}\]", ""),
    ("docker", "inspect -f '{{.HostConfig.LogConfig.Type}}{{index .HostConfig.LogConfig.Config \"max-size\"}}' bare", 0, "json-file", ""),
    # contexts
    ("docker", "context ls --format '{{.Name}} {{.Current}}'; docker context show; docker context use default", 0, "default true\ndefault\ndefault", ""),
    ("docker", "context ls", 0, r"NAME +DESCRIPTION +DOCKER ENDPOINT +ERROR\ndefault \* +This host +unix:///var/run/docker.sock *", ""),
    ("docker", "context inspect -f '{{.Endpoints.docker.Host}}'", 0, "unix:///var/run/docker.sock", ""),
    ("docker", "context use nosuch", 1, "", 'docker: context "nosuch": context not found'),
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
    typed("docker rm -fv $(docker ps -aq)")
    forget_images(rcrun)
    assert not wrong, "\n".join(wrong)
