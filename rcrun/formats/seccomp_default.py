"""The seccomp filter of a container for which nothing else is asked. Pure.

A call that a program of a container has no business with, or that a kernel bug in the past made dangerous, fails
with EPERM; a call that this list does not know fails with ENOSYS, so that programs fall back as on an older kernel.
What a capability unlocks is allowed with the capability.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_ALLOW = "SCMP_ACT_ALLOW"
_EPERM, _ENOSYS = 1, 38
_ALLOW_IT: dict[str, Any] = {"action": _ALLOW}
_REFUSE_IT: dict[str, Any] = {"action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}

# Every call of the kernel's tables (x86_64, i386, x32, and the generic one) less those below.
_ALWAYS = """
    _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64
    arm_sync_file_range bind breakpoint brk cacheflush cachestat capget capset chdir chmod chown
    chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait
    eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64
    fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
    fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat fstatat64
    fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents
    getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpagesize getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
    getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
    gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup
    io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr listxattrat
    llistxattr llseek lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lstat lstat64
    madvise map_shadow_stack membarrier memfd_create memfd_secret migrate_pages mincore mkdir
    mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt move_pages mprotect
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
    mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall
    munmap name_to_handle_at nanosleep newfstatat nice oldfstat oldlstat oldolduname oldstat
    olduname open openat openat2 pause pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
    prlimit64 process_madvise process_mrelease process_vm_readv process_vm_writev pselect6
    pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat
    readv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat
    rename renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo s390_guarded_storage s390_pci_mmio_read
    s390_pci_mmio_write s390_runtime_instr s390_sthyi sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 sendfile sendfile64
    sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address set_tls setfsgid
    setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32
    setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt
    shmget shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn
    sigsuspend socketcall socketpair splice ssetmask stat stat64 statfs statfs64 statx swapcontext
    symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
    timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
    timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat
    uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write
    writev
"""

_WITH_CAPABILITY = {
    "CAP_SYS_ADMIN": """bpf clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_set_self_attr
        mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns
        statmount umount umount2 unshare""",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

# Known and refused whatever the capabilities: keyrings and io_uring are not divided by namespaces or have a
# history, the rest is obsolete or about the machine.
_NEVER = """_sysctl add_key create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup kexec_file_load
    kexec_load keyctl nfsservctl pivot_root query_module request_key swapoff swapon sysfs uselib userfaultfd ustat vm86
    vm86old"""

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "ppc64le": ["SCMP_ARCH_PPC64LE"],
    "riscv64": ["SCMP_ARCH_RISCV64"],
    "s390x": ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
    "armv7l": ["SCMP_ARCH_ARM"],
    "i686": ["SCMP_ARCH_X86"],
}

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NAMESPACES = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
# PER_LINUX, PER_LINUX32, both with UNAME26, and the question what it is (personality(2))
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_VSOCK = 40  # reaches the hypervisor, past every network namespace


def default_profile(capabilities: Collection[str], machine: str = "x86_64") -> dict[str, Any]:
    """config.json's `linux.seccomp` for a container with these capabilities (its bounding set)."""
    allowed = set(_ALWAYS.split())
    known = set(_NEVER.split())
    for capability, names in _WITH_CAPABILITY.items():
        (allowed if capability in capabilities else known).update(names.split())
    refused = known - allowed
    rules: list[dict[str, Any]] = [{"names": sorted(allowed), "action": _ALLOW}]
    if "clone3" in refused:
        refused.remove(
            "clone3"
        )  # its flags are out of a filter's sight; with ENOSYS libc takes clone
        rules.append(_refuse(["clone3"], _ENOSYS))
    rules.append(_refuse(sorted(refused), _EPERM))
    rules += _conditional("CAP_SYS_ADMIN" in capabilities, machine)
    profile: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _ENOSYS,
        "syscalls": rules,
    }
    if machine in _ARCHITECTURES:
        profile["architectures"] = _ARCHITECTURES[machine]
    return profile


def _refuse(names: list[str], errno: int) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno}


def _conditional(admin: bool, machine: str) -> list[dict[str, Any]]:
    rules = [_when(_ALLOW_IT, "personality", 0, "EQ", value) for value in _PERSONALITIES]
    rules.append(_when(_ALLOW_IT, "socket", 0, "NE", _AF_VSOCK))
    rules.append(_when(_REFUSE_IT, "socket", 0, "EQ", _AF_VSOCK))
    if admin:
        return [*rules, {"names": ["clone"], "action": _ALLOW}]
    flags = 1 if machine == "s390x" else 0  # which argument has them
    rules.append(_when(_ALLOW_IT, "clone", flags, "MASKED_EQ", sum(_CLONE_NAMESPACES), 0))
    for flag in _CLONE_NAMESPACES:
        rules.append(_when(_REFUSE_IT, "clone", flags, "MASKED_EQ", flag, flag))
    return rules


def _when(
    action: dict[str, Any],
    name: str,
    argument: int,
    operator: str,
    value: int,
    second: int | None = None,
) -> dict[str, Any]:
    condition = {"index": argument, "op": f"SCMP_CMP_{operator}", "value": value}
    if second is not None:
        condition["valueTwo"] = second
    return {"names": [name], "args": [condition], **action}
