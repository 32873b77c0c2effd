"""OCI's seccomp object → a BPF program, by libseccomp; compiled once and kept by content.

Loading the library and compiling costs more than the rest of a container's start, so the program is a file in the
cache, found by the digest of the object. The shim loads it from a descriptor.
"""

from __future__ import annotations

import os

from rcrun.errors import HostLacks, InvalidInput
from rcrun.files import dump_json, write_file
from rcrun.formats import digest as digests
from rcrun.paths import cache_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rcrun.formats.spec import Spec

FORMAT = "2"  # of the cached programs: part of their name
# libseccomp's constants (seccomp.h)
_ACTIONS = {
    "SCMP_ACT_KILL": 0x0,
    "SCMP_ACT_KILL_THREAD": 0x0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x30000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_NUMBER = {"SCMP_ACT_ERRNO": 0x50000, "SCMP_ACT_TRACE": 0x7FF00000}
_MOST_NUMBER = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 0xFFFF}  # MAX_ERRNO, SECCOMP_RET_DATA
# As the specification has them; an older libseccomp knows fewer.
ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}"
    for name in (
        "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64"
        " PPC64LE S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB"
    ).split()
)
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")  # numbered from 1
_ATTRIBUTE_OPTIMIZE, _BINARY_TREE = 8, 2
_EPERM, _EEXIST, _EDOM = 1, 17, 33
_EFAULT = 14
# seccomp(2); how an agent is waited for goes with the flag for having one (8)
_FLAG_BITS = {"tsync": 1, "log": 2, "spec_allow": 4, "wait_killable_recv": 32 | 8}
SYSCALL_NUMBERS = {
    "x86_64": 317, "aarch64": 277, "riscv64": 277, "loongarch64": 277, "ppc64le": 358, "s390x": 348, "i686": 354,
    "armv7l": 383,
}  # fmt: skip
STRICT = "rcrun.strict"  # a key of ours beside the profile's, so that it counts for the digest


def supported_flags(known: Mapping[str, str]) -> list[str]:
    """Those of the flags (name → the shim's word) that the kernel takes; asked without loading anything (seccomp(2))."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def is_taken(bits: int) -> bool:
        libc.syscall(SYSCALL_NUMBERS.get(os.uname().machine, -1), 1, bits, None)
        return ctypes.get_errno() == _EFAULT  # it looked for the filter

    return [name for name, word in known.items() if is_taken(_FLAG_BITS[word])]


def filter_fd_of(spec: Spec) -> int | None:
    """A descriptor of the program that `linux.seccomp` describes, if it describes one; the caller closes it."""
    profile = (spec.get("linux") or {}).get("seccomp")
    if not profile:
        return None
    # crun's annotation: a call that libseccomp does not know is an error then
    word = (spec.get("annotations") or {}).get("run.oci.seccomp_fail_unknown_syscall", "0")
    return filter_fd(profile if word in ("", "0") else {**profile, STRICT: True})


def filter_fd(profile: Mapping[str, Any]) -> int:
    path = os.path.join(cache_dir(), "seccomp", _digest(profile) + ".bpf")
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        pass
    program = compile_filter(profile)
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        write_file(path, program, mode=0o600, durable=False)
    except OSError:
        pass  # a read-only or full home: it is compiled again next time
    fd = os.memfd_create("rcrun-seccomp", os.MFD_CLOEXEC)
    os.write(fd, program)
    return fd


def _digest(profile: Mapping[str, Any]) -> str:
    text = FORMAT + os.uname().machine + dump_json(profile)
    return digests.of_bytes(text.encode()).removeprefix(digests.PREFIX)


def compile_filter(profile: Mapping[str, Any]) -> bytes:
    """The program, an array of `struct sock_filter`; InvalidInput names the part that is wrong."""
    library = _Library(strict=STRICT in profile)
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    context = library.init(default)
    try:
        for name in profile.get("architectures") or []:
            library.add_architecture(context, name)
        library.optimize(context)
        for rule in profile.get("syscalls") or []:
            _add_rule(library, context, rule, default)
        return library.export(context)
    finally:
        library.release(context)


def _action(name: object, number: object) -> int:
    if isinstance(name, str) and name in _ACTIONS:
        if number is not None:
            raise InvalidInput(f"the seccomp action {name} returns no errno, and {number} is given")
        return _ACTIONS[name]
    if isinstance(name, str) and name in _WITH_NUMBER:
        value = number if isinstance(number, int) else _EPERM
        if not 0 <= value <= _MOST_NUMBER[name]:
            raise InvalidInput(f"the seccomp action {name} cannot return {value}")
        return _WITH_NUMBER[name] | value
    raise InvalidInput(f'unknown seccomp action "{name}"')


def _add_rule(library: _Library, context: int, rule: Mapping[str, Any], default: int) -> None:
    action = _action(rule.get("action"), rule.get("errnoRet"))
    if not rule.get("names"):
        raise InvalidInput(f'a seccomp rule with the action {rule.get("action")} has no "names"')
    if action == default:
        return  # the library refuses a rule that says nothing
    conditions = [_condition(argument) for argument in rule.get("args") or []]
    numbers = [condition[0] for condition in conditions]
    # two conditions on one argument cannot stand in one rule: as runc has it, each is a rule then
    alternatives = (
        [conditions] if len(set(numbers)) == len(numbers) else [[one] for one in conditions]
    )
    for name in rule.get("names") or []:
        for alternative in alternatives:
            library.add_rule(context, action, name, alternative)


def _condition(argument: Mapping[str, Any]) -> tuple[int, int, int, int]:
    operator = str(argument.get("op", "")).removeprefix("SCMP_CMP_")
    if operator not in _OPERATORS:
        raise InvalidInput(f'unknown seccomp operator "{argument.get("op")}"')
    index, value, second = (argument.get(key, 0) for key in ("index", "value", "valueTwo"))
    if not 0 <= index <= 5:
        raise InvalidInput(f"a seccomp rule is about argument {index}; calls have 0 to 5")
    mask = (1 << 64) - 1
    return index, _OPERATORS.index(operator) + 1, value & mask, second & mask


class _Library:
    """libseccomp through ctypes: only the calls that we make."""

    def __init__(self, *, strict: bool = False) -> None:
        import ctypes

        self._strict = strict
        try:
            self._c = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError as error:
            raise HostLacks(
                "cannot make the seccomp filter: libseccomp is not installed",
                "sudo apt-get install libseccomp2, or use --security-opt seccomp=unconfined",
            ) from error

        class Comparison(ctypes.Structure):
            _fields_ = (
                ("arg", ctypes.c_uint),
                ("op", ctypes.c_int),
                ("datum_a", ctypes.c_uint64),
                ("datum_b", ctypes.c_uint64),
            )

        self._comparison = Comparison
        self._c.seccomp_init.restype = ctypes.c_void_p
        self._c.seccomp_init.argtypes = (ctypes.c_uint32,)
        self._c.seccomp_release.argtypes = (ctypes.c_void_p,)
        self._c.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        self._c.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
        self._c.seccomp_arch_resolve_name.restype = ctypes.c_uint32
        self._c.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
        self._c.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
        self._c.seccomp_rule_add_array.argtypes = (
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.POINTER(Comparison),
        )
        self._c.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)

    def init(self, default: int) -> int:
        context = self._c.seccomp_init(default)
        if not context:
            raise InvalidInput("the default action of the seccomp filter is not possible here")
        return int(context)

    def release(self, context: int) -> None:
        self._c.seccomp_release(context)

    def add_architecture(self, context: int, name: str) -> None:
        number = self._c.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
        if not number:
            raise InvalidInput(f'unknown seccomp architecture "{name}" (to this libseccomp)')
        result = self._c.seccomp_arch_add(context, number)
        if result == -_EDOM:
            raise InvalidInput(
                f'the seccomp architecture "{name}" has another byte order than this machine'
            )
        if result not in (0, -_EEXIST):
            raise InvalidInput(
                f'cannot add the seccomp architecture "{name}": {os.strerror(-result)}'
            )

    def optimize(self, context: int) -> None:
        """A search tree instead of a list; libseccomp before 2.5 has none."""
        self._c.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE)

    def add_rule(
        self, context: int, action: int, name: str, conditions: list[tuple[int, int, int, int]]
    ) -> None:
        number = self._c.seccomp_syscall_resolve_name(name.encode())
        if number == -1 and self._strict:
            raise InvalidInput(f'unknown system call "{name}" in the seccomp filter')
        if number == -1:
            return  # a call of a kernel that this library does not know: the default applies
        comparisons = (self._comparison * len(conditions))(*conditions)  # type: ignore[misc]
        result = self._c.seccomp_rule_add_array(
            context, action, number, len(conditions), comparisons
        )
        if result not in (0, -_EEXIST):
            raise InvalidInput(f'cannot add the seccomp rule for "{name}": {os.strerror(-result)}')

    def export(self, context: int) -> bytes:
        fd = os.memfd_create("rcrun-seccomp", os.MFD_CLOEXEC)
        try:
            result = self._c.seccomp_export_bpf(context, fd)
            if result != 0:
                raise InvalidInput(f"cannot compile the seccomp filter: {os.strerror(-result)}")
            return os.pread(fd, os.lseek(fd, 0, os.SEEK_END), 0)
        finally:
            os.close(fd)
