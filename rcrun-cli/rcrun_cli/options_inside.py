"""Options of `run` and `create`: what the container is made of and may do."""

from __future__ import annotations

from rcrun_cli.declare import option

PROCESS = (
    option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set an environment variable"),
    option(
        "--env-file", multiple=True, metavar="FILE", help="Read environment variables from a file"
    ),
    option("--unsetenv", multiple=True, metavar="NAME", help="Take a variable of the image away"),
    option("--entrypoint", metavar="COMMAND", help="Run this instead of the image's entrypoint"),
    option("-w", "--workdir", metavar="DIR", help="Working directory; made if it is missing"),
    option("-u", "--user", metavar="USER[:GROUP]", help="Run as this user, by name or number"),
    option("--group-add", multiple=True, metavar="GROUP", help="Add a supplementary group"),
    option("--umask", metavar="OCTAL", help="The umask of the command; 0022 if nothing is said"),
    option("-i", "--interactive", is_flag=True, help="Keep standard input open"),
    option("-t", "--tty", is_flag=True, help="Give the command a terminal"),
    option(
        "--init", is_flag=True, help="Run a small init that reaps processes and passes signals on"
    ),
    option("--stop-signal", metavar="SIGNAL", help="The signal that asks it to stop"),
    option(
        "--stop-timeout", type=int, metavar="SECONDS", help="How long stop waits before it kills"
    ),
    option("--ulimit", multiple=True, metavar="NAME=SOFT[:HARD]", help="Set a resource limit"),
    option(
        "--oom-score-adj",
        type=int,
        metavar="NUMBER",
        help="The kernel's preference when memory is short",
    ),
    option("--tz", metavar="ZONE", help="Time zone, or `local` for the host's"),
)
FILES = (
    option(
        "-v",
        "--volume",
        multiple=True,
        metavar="[SOURCE:]DESTINATION[:OPTIONS]",
        help="Mount a directory or a volume",
    ),
    option(
        "--mount",
        multiple=True,
        metavar="KEY=VALUE,…",
        help="Mount, by keys such as type, source and target",
    ),
    option(
        "--volumes-from",
        multiple=True,
        metavar="CONTAINER[:ro]",
        help="Mount the volumes and directories of another container",
    ),
    option("--volume-driver", metavar="DRIVER", help="Only `local`"),
    option(
        "--secret",
        multiple=True,
        metavar="NAME[,KEY=VALUE]",
        help="Give it a secret, as a file in /run/secrets or with type=env in the environment",
    ),
    option("--tmpfs", multiple=True, metavar="PATH[:OPTIONS]", help="Mount a new tmpfs"),
    option(
        "--device", multiple=True, metavar="HOST[:CONTAINER]", help="Give it a device of the host"
    ),
    option("--read-only", is_flag=True, help="Make the root file system read-only"),
    option(
        "--read-only-tmpfs",
        is_flag=True,
        help="With --read-only: keep /run, /tmp and /var/tmp writable",
    ),
    option("--shm-size", metavar="SIZE", help="Size of /dev/shm; 64m if nothing is said"),
    option("--rootfs", metavar="DIR", help="Use this directory as the root file system; no image"),
    option("--bundle", metavar="DIR", help="Run an OCI bundle; no image"),
)
ISOLATION = (
    option("--cap-add", multiple=True, metavar="CAPABILITY", help="Add a capability, or ALL"),
    option("--cap-drop", multiple=True, metavar="CAPABILITY", help="Drop a capability, or ALL"),
    option("--privileged", is_flag=True, help="All capabilities, no filter, nothing masked"),
    option(
        "--security-opt",
        multiple=True,
        metavar="OPTION",
        help="no-new-privileges, seccomp=FILE, mask=PATH, unmask=PATH, …",
    ),
    option("--sysctl", multiple=True, metavar="KEY=VALUE", help="Set a sysctl of its namespaces"),
    option("--pid", metavar="MODE", help="Process namespace: private or host"),
    option("--ipc", metavar="MODE", help="IPC namespace: private, host or none"),
    option("--uts", metavar="MODE", help="Host name namespace: private or host"),
    option("--userns", metavar="MODE", help="User namespace: host or keep-id"),
    option("--cgroupns", metavar="MODE", help="Cgroup namespace: private or host"),
)
LIMITS = (
    option("-m", "--memory", metavar="SIZE", help="Limit the memory"),
    option("--memory-reservation", metavar="SIZE", help="The memory that it is meant to keep to"),
    option(
        "--memory-swap", metavar="SIZE", help="Limit memory and swap together; -1: no limit of swap"
    ),
    option("--cpus", metavar="NUMBER", help="Limit processor time to so many processors"),
    option("-c", "--cpu-shares", type=int, metavar="NUMBER", help="Weight of its processor time"),
    option("--cpu-period", type=int, metavar="MICROSECONDS", help="Period of the processor quota"),
    option("--cpu-quota", type=int, metavar="MICROSECONDS", help="Processor time in each period"),
    option("--cpuset-cpus", metavar="LIST", help="The processors that it may use: 0-3,5"),
    option("--cpuset-mems", metavar="LIST", help="The memory nodes that it may use"),
    option("--pids-limit", type=int, metavar="NUMBER", help="Limit the number of its processes"),
)
