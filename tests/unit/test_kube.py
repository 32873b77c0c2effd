"""Kubernetes's documents → what `pod create` and `run` are asked for; each fault names its place."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from rcrun.engine.kube import objects
from rcrun.engine.kube.environment import expanded
from rcrun.engine.kube.pod import merged_ports, pod_plan
from rcrun.errors import InvalidInput, RcrunError
from rcrun.formats.kube import documents, fields, quantity
from rcrun.formats.kube.value import Value
from unit.kube_documents import RICH, around, parsed, plan, sorted_out
from unit.mutations import mutate

ROUNDS = 400


def test_the_pod_itself() -> None:
    made = plan(parsed(RICH))
    assert made.options == {
        "name": "web",
        "label": ["app=web", "tier=front"],
        "hostname": "front",
        "share": "ipc,net,uts,pid",
        "publish": ["127.0.0.1:8080:80/tcp", "5353:53/udp"],
        "add_host": ["db:10.0.0.9", "cache:10.0.0.9"],
        "sysctl": ["net.ipv4.ping_group_range=0 5"],
        "dns": ["9.9.9.9"],
        "dns_search": ["example.org"],
        "dns_option": ["ndots:2", "edns0"],
    }


def test_its_containers() -> None:
    setup, main = plan(parsed(RICH)).containers
    assert (setup.name, setup.image, setup.init, setup.policy) == ("setup", "busybox", "once", "missing")  # fmt: skip
    assert setup.options["entrypoint"] == '["sh","-c","echo hello > /data/x"]'
    assert (setup.options["user"], setup.options["restart"]) == ("1000:2000", "no")
    assert "stop_timeout" not in setup.options
    options = main.options
    assert (main.init, main.policy) == ("", "missing")
    assert options["entrypoint"] == '["/bin/app"]'
    assert main.args == ["--name=x-$(POD)", "$(NAME)", "$(UNKNOWN)"]
    assert options["env"] == [
        "C_sky=blue", "C_sun=yellow", "NAME=x-$(POD)", "POD=web", "AGAIN=web", "LABEL=front", "MEMORY=64", "CPU=1",
        "COLOUR=blue", "PASSWORD=secret",
    ]  # fmt: skip
    assert options["mount"] == [
        "type=volume,source=web-scratch,target=/data,readonly",
        "type=tmpfs,target=/fast,tmpfs-size=10000000,tmpfs-mode=1777",
        "type=bind,source=/host/dir,target=/host,subpath=sub,U,bind-propagation=rslave,relabel=shared",
        "type=volume,source=colours,target=/config,volume-nocopy=true",
        "type=volume,source=login,target=/key,subpath=web,volume-nocopy=true",
        "type=volume,source=disk,target=/claim,subpath=part,readonly",
        "type=image,source=registry.example/files,target=/files",
    ]
    assert options["device"] == ["vendor.com/class=name", "/dev/null:/dev/nothing"]
    assert options["security_opt"] == [
        "no-new-privileges", "unmask=ALL", "label=type:spc_t", "seccomp=/var/lib/kubelet/seccomp/a/b.json",
    ]  # fmt: skip
    wanted: dict[str, Any] = {
        "name": "web-main", "user": "0:2000", "group_add": ["30", "40"], "cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"],
        "read_only": True, "workdir": "/srv", "tty": True, "interactive": True, "stop_signal": "SIGUSR1",
        "stop_timeout": 3, "cpu_period": 100_000, "cpu_quota": 150_000, "memory": str(64 << 20),
        "memory_reservation": "1000000", "ulimit": ["nofile=10:20", "core=0:0"], "init": True, "pids_limit": 77,
        "cpuset_cpus": "0", "volumes_from": ["web-setup", "outside:ro"], "restart": "on-failure",
        "label": ["app=web", "tier=front", "io.containers.autoupdate=local"], "health_interval": "5s",
        "health_retries": "2", "health_timeout": "1s", "health_start_period": "60s", "health_start_interval": "2s",
        "health_on_failure": "kill",
    }  # fmt: skip
    assert {key: options[key] for key in wanted} == wanted
    assert "curl -f -s -k -o /dev/null http://localhost:80/healthz; else wget" in options["health_cmd"]  # fmt: skip


def test_its_volumes_and_notes() -> None:
    found = sorted_out(RICH)
    made = pod_plan(found.pods[0], around(found))
    files = {name: volume.files for name, volume in made.volumes.items() if volume.files}
    assert files == {"config": {"a/sky": (b"blue", 0o400)}, "key": {"password": (b"secret", 0o644)}}
    assert made.volumes["files"].policy == "Never"
    assert sorted(note.split(": ")[1] for note in found.notes) == [
        "spec.containers[0].lifecycle.preStop",
        "spec.containers[0].readinessProbe",
    ]


def test_kinds() -> None:
    text = """
kind: List
items:
- {kind: Deployment, metadata: {name: d, annotations: {a: outer}}, spec: {replicas: 3, template: {metadata: {labels: {x: y}, annotations: {a: inner, b: c}}, spec: {}}}}
- {kind: Service, metadata: {name: s}, spec: {}}
---
{kind: Job, metadata: {name: j}, spec: {template: {spec: {}}}}
---
{kind: DaemonSet, metadata: {name: e}, spec: {template: {spec: {hostNetwork: true, hostPID: true, hostUsers: false, containers: [{name: c, image: localhost/x, ports: [{containerPort: 1, hostPort: 1}]}]}}}}
---
{kind: PersistentVolumeClaim, metadata: {name: pp}}
"""
    found = sorted_out(text)
    assert [(pod.kind, pod.name) for pod in found.pods] == [("Deployment", "d-pod"), ("Job", "j-pod"), ("DaemonSet", "e-pod")]  # fmt: skip
    assert (found.pods[0].labels, found.pods[0].annotations) == ({"x": "y"}, {"a": "outer", "b": "c"})  # fmt: skip
    assert found.skipped == ['Service "s"']
    assert [claim.name for claim in found.claims] == ["pp"]
    assert found.notes == ['Deployment "d": spec.replicas: there is one pod of it on one host']
    host = pod_plan(found.pods[2], around(found))
    assert host.options == {"name": "e-pod", "share": "ipc,net,uts", "network": ["host"], "userns": "auto"}  # fmt: skip
    assert host.containers[0].options["pid"] == "host"
    assert host.containers[0].options["restart"] == "always"


CONTAINER = "name: c, image: x"


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("containers: [{image: x}]", "spec.containers[0].name: it is not given"),
        ("containers: [{name: c}]", "spec.containers[0].image: it is not given"),
        ("containers: [{name: c, image: x}, {name: c, image: x}]", 'spec.containers[1].name: there are two containers "c"'),
        ("containers: {name: c}", "spec.containers: a map where a list belongs"),
        ("containers: [c]", 'spec.containers[0]: the text "c" where a map belongs'),
        ("containers: [{C, ports: [{containerPort: 1}, {containerPort: 1, hostPort: x}]}]", 'spec.containers[0].ports[1].hostPort: the text "x" where a number belongs'),
        ("containers: [{C, ports: [{containerPort: 70000}]}]", "ports[0].containerPort: 70000 is not between 1 and 65535"),
        ("containers: [{C, ports: [{containerPort: 1, hostPort: 1, protocol: SCTP}]}]", "spec.containers[0].ports[0]: cannot publish port"),
        ("containers: [{C, ports: [{containerPort: 1, hostPort: 1, hostIP: nowhere}]}]", '"nowhere" is not an IP address'),
        ("containers: [{C, env: [{name: A, value: 5}]}]", "spec.containers[0].env[0].value: the number 5 where a text belongs: write it in quotes"),
        ("containers: [{C, env: [{name: A, valueFrom: {configMapKeyRef: {name: no, key: k}}}]}]", 'env[0].valueFrom.configMapKeyRef: there is no ConfigMap "no"'),
        ("containers: [{C, env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]", 'env[0].valueFrom.fieldRef.fieldPath: "status.podIP" is not supported'),
        ("containers: [{C, env: [{name: A=B, value: c}]}]", '"A=B" is no name of a variable'),
        ("containers: [{C, envFrom: [{secretRef: {name: no}}]}]", 'envFrom[0].secretRef: there is no secret "no"'),
        ("containers: [{C, volumeMounts: [{name: v, mountPath: /v}]}]", 'volumeMounts[0].name: there is no volume "v"'),
        ("containers: [{C, volumeMounts: [{name: v, mountPath: v}]}], volumes: [{name: v, emptyDir: {}}]", 'volumeMounts[0].mountPath: "v" is no absolute path'),
        ("containers: [{C, volumeMounts: [{name: v, mountPath: /v, subPath: ../x}]}], volumes: [{name: v, emptyDir: {}}]", 'subPath: "../x" is no path inside'),
        ("volumes: [{name: v, nfs: {server: x}}]", 'spec.volumes[0]: "nfs" is not supported'),
        ("volumes: [{name: v}]", "spec.volumes[0]: it is of one kind"),
        ("volumes: [{name: v, hostPath: {path: /no}}]", 'spec.volumes[0].hostPath.path: "/no" does not exist'),
        ("volumes: [{name: v, hostPath: {path: /host/dir, type: File}}]", '"/host/dir" is no File'),
        ("volumes: [{name: v, hostPath: {path: /host/dir, type: Fold}}]", 'hostPath.type: "Fold" is none of'),
        ("volumes: [{name: v, emptyDir: {medium: Tape}}]", 'emptyDir.medium: "Tape" is not supported'),
        ("volumes: [{name: v, configMap: {name: no}}]", 'spec.volumes[0].configMap: there is no ConfigMap "no"'),
        ("volumes: [{name: v, configMap: {name: colours, items: [{key: sky, path: ../x}]}}]", 'items[0].path: "../x" is no path inside'),
        ("volumes: [{name: v, configMap: {name: colours, defaultMode: 1000}}]", "defaultMode: 1000 is not between 0 and 511"),
        ("containers: [{C, resources: {limits: {memory: 5Q}}}]", 'spec.containers[0].resources.limits.memory: "5Q" is no quantity'),
        ("containers: [{C, resources: {limits: {cpu: -1}}}]", "limits.cpu: it is less than nothing"),
        ("containers: [{C, securityContext: {runAsUser: -1}}]", "securityContext.runAsUser: -1 is not between"),
        ("containers: [{C, securityContext: {runAsNonRoot: true, runAsUser: 0}}]", "runAsNonRoot: the container would run as root"),
        ("containers: [{C, securityContext: {windowsOptions: {}, privileged: 1}}]", "securityContext.privileged: the number 1 where true or false belongs"),
        ("containers: [{C, securityContext: {seccompProfile: {type: Localhost, localhostProfile: /x}}}]", 'localhostProfile: "/x" is no path beneath'),
        ("containers: [{C, livenessProbe: {httpGet: {port: web}}}]", 'livenessProbe.httpGet.port: the container has no port "web"'),
        ("containers: [{C, livenessProbe: {exec: {}}}]", "livenessProbe.exec"),
        ("initContainers: [{C, livenessProbe: {exec: {command: [x]}}}]", "spec.initContainers[0].livenessProbe: an init container has none"),
        ("restartPolicy: Often", 'spec.restartPolicy: "Often" is none of Always, OnFailure, Never'),
        ("dnsPolicy: None", "spec.dnsPolicy: None needs dnsConfig.nameservers"),
        ("containers: [{C, imagePullPolicy: Seldom}]", 'imagePullPolicy: "Seldom" is none of'),
    ],
)  # fmt: skip
def test_faults(spec: str, fault: str) -> None:
    text = (
        f"kind: Pod\nmetadata: {{name: pp}}\nspec: {{{spec.replace('{C', '{' + CONTAINER)}}}\n---\n"
    )
    text += "{kind: ConfigMap, metadata: {name: colours}, data: {sky: blue}}\n"
    with pytest.raises(InvalidInput) as caught:
        plan(parsed(text))
    assert caught.value.message.startswith('Pod "pp": spec.')
    assert fault in caught.value.message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1", 'document 1 of "f" says no kind'),
        ("- a", 'document 1 of "f" says no kind'),
        ("kind: Pod", "Pod (document 1): metadata.name: it is not given"),
        ("{kind: Pod, metadata: {name: pp}}", 'Pod "pp": spec: it is not given'),
        ("{kind: ConfigMap, metadata: {name: c}, data: {a: x}, binaryData: {a: eA==}}", 'ConfigMap "c": binaryData.a: data has it, too'),
        ("{kind: Secret, metadata: {name: s}, data: {a.b: '!'}}", 'Secret "s": data["a.b"]: it is no base64'),
        ("{kind: Secret, metadata: {name: s}}\n---\n{kind: Secret, metadata: {name: s}}", "there are two of this name"),
        ("a: [", '"f" is no YAML: line '),
        ("a: 1\na: 2", 'line 2, column 1: the key "a" comes twice'),
        ("a: &x [*x]", '"*x" stands within itself'),
        ("[" * 100 + "]" * 100, "more than 60 levels deep"),
        ("x: !!python/name:os.system a", '"f" is no YAML'),
        ("\ud800", '"f" is no YAML'),
        ("a: &a [" + "x," * 99 + "]\nb: &b [" + "*a," * 99 + "]\nc: [" + "*b," * 99 + "]", "more than 200000 values"),
        ("#" * (8 << 20) + "##", "is too large"),
    ],
)  # fmt: skip
def test_what_is_no_document(text: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        objects.sort_out(documents.parse(text.encode("utf-8", "surrogatepass"), "f"), "f")
    assert fault in caught.value.message


def test_words_are_kubernetess() -> None:
    text = "[yes, 0644, 0o17, 2024-01-01, 12:30:45, 1e3, ~, on, True, 0x10, 08, null]"
    assert parsed(text) == [["yes", 420, 15, "2024-01-01", "12:30:45", 1000.0, None, "on", True, 16, 8.0, None]]  # fmt: skip
    texts = ["yes", "0o17", "1e3", "08", "", "~", "a\nb\n", "x: y", "true", "2024-01-01", "é"]
    [back] = documents.text_of([{"a": texts}])
    assert parsed(back) == [{"a": texts}]


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "1/2"), ("1.5Gi", "1610612736"), ("2e3", "2000"), ("1E", "1000000000000000000"), ("1E2", "100"), (".5", "1/2"),
     ("100n", "1/10000000"), ("12", "12"), ("-3k", "-3000"), ("1Ki", "1024"), ("5.", "5"), ("", None), ("1KiB", None), ("0x1", None),
     ("1e", None), ("1e99", None), ("9Ei", None), (".", None), ("--1", None), ("1 Mi", None), ("1" * 65, None)],
)  # fmt: skip
def test_quantities(text: str, number: str | None) -> None:
    value = Value(text, "t", "p")
    if number is None:
        with pytest.raises(InvalidInput, match=r"t: p: "):
            quantity.parse(value)
    else:
        assert str(quantity.parse(value)) == number
    assert quantity.up(quantity.parse(Value("1.5", "t"))) == 2


def test_variables_and_ports() -> None:
    known = {"A": "1", "B C": "2"}
    assert expanded("$(A)$(A)-$$(A)-$(B C)-$(D)-$(-$", known) == "11-$(A)-2-$(D)-$(-$"
    assert merged_ports(["9090:80", "1"], ["8080:80/tcp", "8080:80/udp"]) == ["9090:80", "1", "8080:80/udp"]  # fmt: skip


def test_random_changes_are_told_by_their_place() -> None:
    """Whatever is written, it is taken, or one error names the place."""
    seed = random.randrange(1 << 30)
    print(f"seed={seed}")
    dice = random.Random(seed)
    rich = parsed(RICH)
    refused = []
    for _ in range(ROUNDS):
        data = [mutate(rich[0], dice), *rich[1:]]
        try:
            found = objects.sort_out(data, "f")
            for pod in found.pods:
                pod_plan(pod, around(found))
        except RcrunError as error:
            refused.append(error.message)
    places = ("spec", "metadata", "apiVersion", "kind", "document 1", "ConfigMap", "Secret")
    assert all(any(place in message for place in places) for message in refused), refused
    assert len(refused) > ROUNDS // 10


def test_the_document_names_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs/kube.md").read_text(encoding="utf-8")
    tables = ("POD", "CONTAINER", "PORT", "ENV", "ENV_SOURCE", "ENV_FROM", "MOUNT", "SECURITY", "POD_SECURITY",
              "RESOURCES", "VOLUME")  # fmt: skip
    for table in tables:
        known: fields.Fields = getattr(fields, table)
        for name in (*known.known, *known.silent, *known.left_out):
            if name not in ("value", "name", "recursiveReadOnly", "fsGroupChangePolicy", "seLinuxChangePolicy", "supplementalGroupsPolicy", "claims"):  # fmt: skip
                assert f"`{name}`" in text, name
