"""A pod with nearly everything that its specification has, and how it is translated here."""

from __future__ import annotations

import os
import stat
from typing import Any

from rcrun.engine.kube import objects
from rcrun.engine.kube.around import Around
from rcrun.engine.kube.pod import PodPlan, pod_plan
from rcrun.formats.kube import documents

RICH = """
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web, tier: front}
  annotations:
    io.podman.annotations.ulimit: nofile=10:20,core=0:0
    io.podman.annotations.init/main: "true"
    io.podman.annotations.pids-limit/main: "77"
    io.podman.annotations.cpuset/main: "0"
    io.podman.annotations.volumes-from/main: setup;outside:ro
    io.containers.autoupdate: registry
    io.containers.autoupdate/main: local
    bind-mount-options: /host/dir:z
spec:
  hostname: front
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 3
  shareProcessNamespace: true
  hostAliases: [{ip: 10.0.0.9, hostnames: [db, cache]}]
  dnsPolicy: None
  dnsConfig:
    nameservers: [9.9.9.9]
    searches: [example.org]
    options: [{name: ndots, value: "2"}, {name: edns0}]
  nodeSelector: {disk: ssd}
  tolerations: [{key: a, operator: Exists}]
  securityContext:
    runAsUser: 1000
    runAsGroup: 2000
    supplementalGroups: [30, 40]
    sysctls: [{name: net.ipv4.ping_group_range, value: 0 5}]
    seccompProfile: {type: RuntimeDefault}
  initContainers:
  - name: setup
    image: busybox
    command: [sh, -c, "echo $(GREETING) > /data/x"]
    env: [{name: GREETING, value: hello}]
    volumeMounts: [{name: scratch, mountPath: /data}]
  containers:
  - name: main
    image: registry.example/app:1.2
    imagePullPolicy: IfNotPresent
    command: [/bin/app]
    args: ["--name=$(NAME)", "$$(NAME)", "$(UNKNOWN)"]
    workingDir: /srv
    tty: true
    stdin: true
    env:
    - {name: NAME, value: "x-$(POD)"}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: AGAIN, value: "$(POD)"}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu}}}
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: colours, key: sky}}}
    - {name: NONE, valueFrom: {configMapKeyRef: {name: colours, key: no, optional: true}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
    envFrom:
    - {configMapRef: {name: colours}, prefix: C_}
    - {secretRef: {name: missing, optional: true}}
    ports:
    - {name: http, containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1}
    - {containerPort: 53, hostPort: 5353, protocol: UDP}
    - {containerPort: 9}
    resources:
      limits: {cpu: 1500m, memory: 64Mi, "vendor.com/class=name": 1}
      requests: {cpu: 100m, memory: "1e6"}
    lifecycle: {stopSignal: SIGUSR1, preStop: {exec: {command: [sleep, "5"]}}}
    livenessProbe: {httpGet: {port: http, path: /healthz}, periodSeconds: 5, failureThreshold: 2}
    startupProbe: {httpGet: {port: http, path: /healthz}, periodSeconds: 2, failureThreshold: 30}
    readinessProbe: {tcpSocket: {port: 80}}
    securityContext:
      runAsUser: 0
      privileged: false
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      procMount: Unmasked
      capabilities: {add: [NET_ADMIN], drop: [ALL]}
      seccompProfile: {type: Localhost, localhostProfile: a/b.json}
      seLinuxOptions: {type: spc_t}
    volumeMounts:
    - {name: scratch, mountPath: /data, readOnly: true}
    - {name: fast, mountPath: /fast}
    - {name: host, mountPath: "/host:U", subPath: sub, mountPropagation: HostToContainer}
    - {name: config, mountPath: /config}
    - {name: key, mountPath: /key, subPathExpr: $(POD)}
    - {name: claim, mountPath: /claim, subPath: part}
    - {name: files, mountPath: /files}
    - {name: absent, mountPath: /absent}
    - {name: null, mountPath: /dev/nothing}
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: fast, emptyDir: {medium: Memory, sizeLimit: 10M}}
  - {name: host, hostPath: {path: /host/dir, type: Directory}}
  - {name: config, configMap: {name: colours, defaultMode: 0600, items: [{key: sky, path: a/sky, mode: 0400}]}}
  - {name: key, secret: {secretName: login}}
  - {name: claim, persistentVolumeClaim: {claimName: disk, readOnly: true}}
  - {name: files, image: {reference: registry.example/files, pullPolicy: Never}}
  - {name: absent, configMap: {name: nowhere, optional: true}}
  - {name: null, hostPath: {path: /dev/null, type: CharDevice}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: colours}
data: {sky: blue}
binaryData: {sun: eWVsbG93}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
data: {password: c2VjcmV0}
""".replace("name: null,", 'name: "null",')
_MODES = {"/host/dir": stat.S_IFDIR | 0o755, "/dev/null": stat.S_IFCHR | 0o666}


def parsed(text: str) -> list[Any]:
    return documents.parse(text.encode(), "f")


def sorted_out(text: str) -> objects.Objects:
    return objects.sort_out(parsed(text), "f")


def around(found: objects.Objects) -> Around:
    here = Around()
    here.config_maps = found.config_maps
    here.secret = lambda name: found.secrets[name].data if name in found.secrets else None
    here.exists = _looked_at
    here.processors, here.memory = 4, 1 << 30
    here.image = lambda name: {"Env": ["PATH=/bin"], "User": "app"}
    return here


def _looked_at(path: str) -> os.stat_result | None:
    return os.stat_result((_MODES[path], *[0] * 9)) if path in _MODES else None


def plan(data: list[Any]) -> PodPlan:
    found = objects.sort_out(data, "f")
    return pod_plan(found.pods[0], around(found))
