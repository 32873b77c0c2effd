"""The keys of Quadlet's sections (podman-systemd.unit(5)): to which option each leads, or why it cannot be had.

A rule is (HOW, OPTION). How a key's values become words of the command line:
    last    the last value that is not empty     each    every value, an option each
    words   every word of every value            args    the same, with escapes
    pairs   KEY=VALUE words, as in Environment=  flag    yes or no
    truth   yes or no, for something else
    own     the section's module looks at it     none    something else looks at it, or nothing is to be done
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Rule = tuple[str, str]

OWN, NONE = ("own", ""), ("none", "")

_STARTUP = (
    "there are no start-up checks: HealthStartPeriod= says for how long failures do not count"
)
_HEALTH_LOG = (
    "of each check 4096 bytes and of all checks the last five results are kept, in rcrun inspect"
)
_DECRYPTION = (
    "images cannot be decrypted: skopeo copy --decryption-key KEY … decrypts one on its way"
)

# By section and key, with the reason; the unit then is there, and tells it when it is started.
REFUSED: dict[str, dict[str, str]] = {
    "Container": {
        **dict.fromkeys(
            ("HealthStartupCmd", "HealthStartupInterval", "HealthStartupRetries", "HealthStartupSuccess", "HealthStartupTimeout"),
            _STARTUP,
        ),
        "HealthLogDestination": _HEALTH_LOG,
        "HealthMaxLogCount": _HEALTH_LOG,
        "HealthMaxLogSize": _HEALTH_LOG,
    },
    "Image": {"DecryptionKey": _DECRYPTION},
    "Artifact": {"DecryptionKey": _DECRYPTION},
}  # fmt: skip
_GLOBAL: dict[str, Rule] = {
    "ContainersConfModule": OWN,
    "GlobalArgs": OWN,
    "PodmanArgs": OWN,
    "ServiceName": NONE,
}

RULES: dict[str, dict[str, Rule]] = {
    "Container": {
        **_GLOBAL,
        "ContainerName": OWN,
        "LogDriver": OWN,
        "LogOpt": ("words", "--log-opt"),
        "CgroupsMode": OWN,
        "Entrypoint": OWN,
        "Timezone": ("last", "--tz"),
        "PidsLimit": ("last", "--pids-limit"),
        "ShmSize": ("last", "--shm-size"),
        "WorkingDir": ("last", "--workdir"),
        "IP": ("last", "--ip"),
        "IP6": ("last", "--ip6"),
        "HostName": ("last", "--hostname"),
        "StopSignal": ("last", "--stop-signal"),
        "StopTimeout": ("last", "--stop-timeout"),
        "Pull": ("last", "--pull"),
        "Memory": ("last", "--memory"),
        "Retry": ("last", "--retry"),
        "RetryDelay": ("last", "--retry-delay"),
        "NetworkAlias": ("each", "--network-alias"),
        "Ulimit": ("each", "--ulimit"),
        "DNS": ("each", "--dns"),
        "DNSOption": ("each", "--dns-option"),
        "DNSSearch": ("each", "--dns-search"),
        "GroupAdd": ("each", "--group-add"),
        "AddHost": ("each", "--add-host"),
        "Tmpfs": ("each", "--tmpfs"),
        "RunInit": ("flag", "--init"),
        "EnvironmentHost": ("flag", "--env-host"),
        "HttpProxy": ("flag", "--http-proxy"),
        "ReadOnly": ("flag", "--read-only"),
        "ReadOnlyTmpfs": ("flag", "--read-only-tmpfs"),
        "Network": OWN,
        "Notify": OWN,
        "NoNewPrivileges": OWN,
        "SecurityLabelDisable": OWN,
        "SecurityLabelNested": OWN,
        "SecurityLabelType": ("last", "--security-opt=label=type:"),
        "SecurityLabelFileType": ("last", "--security-opt=label=filetype:"),
        "SecurityLabelLevel": ("last", "--security-opt=label=level:"),
        "AppArmor": ("last", "--security-opt=apparmor="),
        "SeccompProfile": ("last", "--security-opt=seccomp="),
        "Mask": ("args", "--security-opt=mask="),
        "Unmask": ("args", "--security-opt=unmask="),
        "AddDevice": OWN,
        "DropCapability": ("words", "--cap-drop"),
        "AddCapability": ("words", "--cap-add"),
        "Sysctl": ("words", "--sysctl"),
        "User": OWN,
        "Group": OWN,
        "UserNS": ("last", "--userns"),
        "UIDMap": ("words", "--uidmap"),
        "GIDMap": ("words", "--gidmap"),
        "SubUIDMap": ("last", "--subuidname"),
        "SubGIDMap": ("last", "--subgidname"),
        **dict.fromkeys(("RemapUsers", "RemapUid", "RemapGid", "RemapUidSize", "VolatileTmp"), OWN),
        "Volume": OWN,
        "AutoUpdate": ("last", "--label=io.containers.autoupdate="),
        "ExposeHostPort": ("each", "--expose"),
        "PublishPort": ("each", "--publish"),
        "Environment": ("pairs", "--env"),
        "Label": ("pairs", "--label"),
        "Annotation": ("pairs", "--annotation"),
        "EnvironmentFile": OWN,
        "Secret": ("args", "--secret"),
        "Mount": OWN,
        "HealthCmd": ("last", "--health-cmd"),
        "HealthInterval": ("last", "--health-interval"),
        "HealthOnFailure": ("last", "--health-on-failure"),
        "HealthRetries": ("last", "--health-retries"),
        "HealthStartPeriod": ("last", "--health-start-period"),
        "HealthTimeout": ("last", "--health-timeout"),
        "Pod": OWN,
        "StartWithPod": ("truth", ""),
        "ReloadCmd": OWN,
        "ReloadSignal": OWN,
        "Image": OWN,
        "Rootfs": OWN,
        "Exec": OWN,
    },
    "Volume": {
        **_GLOBAL,
        "VolumeName": OWN,
        "Driver": ("last", "--driver"),
        "UID": ("last", "--uid"),
        "GID": ("last", "--gid"),
        **dict.fromkeys(("Copy", "Device", "Type", "Options", "User", "Group", "Image"), OWN),
        "Label": ("pairs", "--label"),
    },
    "Network": {
        **_GLOBAL,
        "NetworkName": OWN,
        "NetworkDeleteOnStop": OWN,
        "DisableDNS": ("flag", "--disable-dns"),
        "Internal": ("flag", "--internal"),
        "IPv6": ("flag", "--ipv6"),
        "Driver": ("last", "--driver"),
        "IPAMDriver": ("last", "--ipam-driver"),
        "InterfaceName": ("last", "--interface-name"),
        "DNS": ("each", "--dns"),
        **dict.fromkeys(("Subnet", "Gateway", "IPRange"), OWN),
        "Options": ("pairs", "--opt"),
        "Label": ("pairs", "--label"),
    },
    "Image": {
        **_GLOBAL,
        "Image": OWN,
        "ImageTag": NONE,
        "Arch": ("last", "--arch"),
        "AuthFile": ("last", "--authfile"),
        "CertDir": ("last", "--cert-dir"),
        "Creds": ("last", "--creds"),
        "OS": ("last", "--os"),
        "Policy": ("last", "--policy"),
        "Variant": ("last", "--variant"),
        "Retry": ("last", "--retry"),
        "RetryDelay": ("last", "--retry-delay"),
        "AllTags": ("flag", "--all-tags"),
        "TLSVerify": ("flag", "--tls-verify"),
    },
    "Build": {
        **_GLOBAL,
        "Pull": ("last", "--pull="),
        "Arch": ("last", "--arch"),
        "AuthFile": ("last", "--authfile"),
        "IgnoreFile": ("last", "--ignorefile"),
        "Target": ("last", "--target"),
        "Variant": ("last", "--variant"),
        "Retry": ("last", "--retry"),
        "RetryDelay": ("last", "--retry-delay"),
        "TLSVerify": ("flag", "--tls-verify"),
        "ForceRM": ("flag", "--force-rm"),
        "DNS": ("each", "--dns"),
        "DNSOption": ("each", "--dns-option"),
        "DNSSearch": ("each", "--dns-search"),
        "GroupAdd": ("each", "--group-add"),
        "ImageTag": ("each", "--tag"),
        "BuildArg": ("pairs", "--build-arg"),
        "Environment": ("pairs", "--env"),
        "Label": ("pairs", "--label"),
        "Annotation": ("pairs", "--annotation"),
        "Network": OWN,
        "Secret": ("args", "--secret"),
        "Volume": OWN,
        "File": OWN,
        "SetWorkingDirectory": OWN,
    },
    "Artifact": {
        **_GLOBAL,
        "Artifact": OWN,
        "AuthFile": ("last", "--authfile"),
        "CertDir": ("last", "--cert-dir"),
        "Creds": ("last", "--creds"),
        "Retry": ("last", "--retry"),
        "RetryDelay": ("last", "--retry-delay"),
        "Quiet": ("flag", "--quiet"),
        "TLSVerify": ("flag", "--tls-verify"),
    },
    "Kube": {
        **_GLOBAL,
        **dict.fromkeys(
            ("Yaml", "AutoUpdate", "ConfigMap", "KubeDownForce", "LogDriver", "Network"), OWN
        ),
        **dict.fromkeys(
            ("RemapUsers", "RemapUid", "RemapGid", "RemapUidSize", "SetWorkingDirectory"), OWN
        ),
        "ExitCodePropagation": ("last", "--service-exit-code-propagation"),
        "LogOpt": ("words", "--log-opt"),
        "PublishPort": ("each", "--publish"),
        "UserNS": ("last", "--userns"),
    },
    "Pod": {
        **_GLOBAL,
        **dict.fromkeys(("RemapUsers", "RemapUid", "RemapGid", "RemapUidSize"), OWN),
        "PodName": OWN,
        "ExitPolicy": OWN,
        "StopTimeout": OWN,
        "UserNS": ("last", "--userns"),
        "UIDMap": ("words", "--uidmap"),
        "GIDMap": ("words", "--gidmap"),
        "SubUIDMap": ("last", "--subuidname"),
        "SubGIDMap": ("last", "--subgidname"),
        "PublishPort": ("each", "--publish"),
        "Label": ("pairs", "--label"),
        "Network": OWN,
        "IP": ("last", "--ip"),
        "IP6": ("last", "--ip6"),
        "ShmSize": ("last", "--shm-size"),
        "HostName": ("last", "--hostname"),
        "NetworkAlias": ("each", "--network-alias"),
        "DNS": ("each", "--dns"),
        "DNSOption": ("each", "--dns-option"),
        "DNSSearch": ("each", "--dns-search"),
        "AddHost": ("each", "--add-host"),
        "Volume": OWN,
    },
    "Quadlet": {"DefaultDependencies": NONE},
}
SECTIONS = {
    "container": "Container", "volume": "Volume", "network": "Network", "image": "Image", "build": "Build",
    "artifact": "Artifact", "pod": "Pod", "kube": "Kube",
}  # fmt: skip
