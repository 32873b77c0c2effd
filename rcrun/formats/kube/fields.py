"""The fields of Kubernetes's documents: what is looked at, what means nothing on one host, what is left out with a warning. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.formats.kube.value import Value


class Fields:
    """`known` are looked at; `silent` mean nothing here; `left_out` says of each why, and the warning does, too."""

    __slots__ = ("known", "left_out", "silent")

    def __init__(
        self, known: str, silent: str = "", left_out: dict[str, str] | None = None
    ) -> None:
        self.known = known.split()
        self.silent = silent.split()
        self.left_out = left_out or {}


_GRACE = "the stop signal is sent at once: see lifecycle.stopSignal"
POD = Fields(
    "containers initContainers volumes restartPolicy terminationGracePeriodSeconds hostname hostAliases dnsConfig "
    "dnsPolicy hostNetwork hostPID hostIPC hostUsers shareProcessNamespace securityContext",
    "affinity automountServiceAccountToken enableServiceLinks nodeName nodeSelector os overhead preemptionPolicy "
    "priority priorityClassName readinessGates runtimeClassName schedulerName schedulingGates serviceAccount "
    "serviceAccountName tolerations topologySpreadConstraints",
    {
        "activeDeadlineSeconds": "a pod runs as long as it wants",
        "ephemeralContainers": "there are none: use rcrun exec",
        "imagePullSecrets": "log in with rcrun login, or give --creds or --authfile",
        "resourceClaims": "devices are given by resources.limits",
        "resources": "limits are those of its containers",
        "setHostnameAsFQDN": "the host name is spec.hostname",
        "subdomain": "the host name is spec.hostname",
    },
)
CONTAINER = Fields(
    "name image imagePullPolicy command args workingDir ports env envFrom volumeMounts resources lifecycle livenessProbe "
    "readinessProbe startupProbe securityContext stdin tty",
    "stdinOnce terminationMessagePath terminationMessagePolicy resizePolicy",
    {
        "restartPolicy": "all containers have the pod's",
        "restartPolicyRules": "all containers have the pod's",
        "volumeDevices": "give a device as a hostPath volume of type CharDevice or BlockDevice",
    },
)
PORT = Fields("containerPort hostPort hostIP protocol name")
ENV = Fields("name value valueFrom")
ENV_SOURCE = Fields("configMapKeyRef secretKeyRef fieldRef resourceFieldRef")
ENV_FROM = Fields("configMapRef secretRef prefix")
MOUNT = Fields("name mountPath subPath subPathExpr readOnly mountPropagation", "recursiveReadOnly")
POD_SECURITY = Fields(
    "runAsUser runAsGroup runAsNonRoot supplementalGroups sysctls seLinuxOptions seccompProfile appArmorProfile",
    "fsGroupChangePolicy seLinuxChangePolicy supplementalGroupsPolicy",
    {"fsGroup": "the owner of volumes stays: mountPath: /DIR:U gives one to the container's user"},
)
SECURITY = Fields(
    "runAsUser runAsGroup runAsNonRoot privileged readOnlyRootFilesystem allowPrivilegeEscalation capabilities "
    "procMount seLinuxOptions seccompProfile appArmorProfile",
)
RESOURCES = Fields("limits requests", "", {"claims": "devices are given by limits"})
LIFECYCLE = Fields(
    "stopSignal", "", {"postStart": "nothing is run after the start", "preStop": _GRACE}
)
PROBE = Fields(
    "exec httpGet tcpSocket periodSeconds failureThreshold timeoutSeconds initialDelaySeconds",
    "successThreshold",
    {"grpc": "there is no such check", "terminationGracePeriodSeconds": "the pod's counts"},
)
VOLUME = Fields("name hostPath emptyDir configMap secret persistentVolumeClaim image")
EMPTY_DIR = Fields("medium sizeLimit")
META = Fields(
    "name labels annotations namespace",
    "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation managedFields "
    "ownerReferences resourceVersion selfLink uid",
)
DOCUMENT = Fields("apiVersion kind metadata spec", "status")
CONFIG_MAP = Fields("apiVersion kind metadata data binaryData immutable")
SECRET = Fields("apiVersion kind metadata data stringData immutable type")


def look(value: Value, fields: Fields) -> None:
    """A note of each that will not be looked at."""
    every = (*fields.known, *fields.silent)
    for name, member in value.fields().items():
        if name in fields.left_out:
            member.note(f"it is left out: {fields.left_out[name]}")
        elif name not in every:
            member.note(f"there is no such field{_guess(name, every)}; it is left out")


def _guess(name: str, known: tuple[str, ...]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f': is it "{close[0]}"?' if close else ""
