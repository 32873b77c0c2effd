"""A seccomp profile file, in docker's format or config.json's own, as config.json's object. Pure."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from rcrun.formats.spec import Seccomp, SeccompArg, SeccompSyscall

# uname's word → Go's word, which profiles use in `arches`, and libseccomp's.
_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "i686": ("386", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
}
_CONDITIONS = frozenset(("caps", "arches", "minKernel"))


class Target:
    """What a profile's conditions are about."""

    __slots__ = ("capabilities", "kernel", "machine")

    def __init__(
        self, capabilities: Collection[str], machine: str, kernel: tuple[int, int]
    ) -> None:
        self.capabilities = frozenset(capabilities)
        self.machine = machine
        self.kernel = kernel


def parse(data: bytes, name: str, target: Target) -> Seccomp:
    from rcrun.files import parse_json

    try:
        document = parse_json(data)
    except ValueError as error:
        raise InvalidInput(f'the seccomp profile "{name}" is not JSON: {error}') from error
    if not isinstance(document, dict) or not isinstance(document.get("defaultAction"), str):
        raise InvalidInput(f'the seccomp profile "{name}" has no "defaultAction"')
    try:
        return _converted(document, target)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f'the seccomp profile "{name}" is damaged: {error}') from error


def _converted(document: dict[str, Any], target: Target) -> Seccomp:
    result: Seccomp = {"defaultAction": document["defaultAction"]}
    if document.get("defaultErrnoRet") is not None:
        result["defaultErrnoRet"] = document["defaultErrnoRet"]
    architectures = document.get("architectures") or _mapped(document.get("archMap") or [], target)
    if architectures:
        result["architectures"] = architectures
    if document.get("flags"):
        result["flags"] = document["flags"]
    for key in ("listenerPath", "listenerMetadata"):
        if document.get(key):
            result[key] = document[key]
    rules = [rule for rule in document.get("syscalls") or [] if _applies(rule, target)]
    result["syscalls"] = [_rule(rule) for rule in rules]
    return result


def _mapped(rows: list[dict[str, Any]], target: Target) -> list[str]:
    """docker's archMap: the native architecture and those that run beside it."""
    native = _ARCHITECTURES.get(target.machine, ("", ""))[1]
    for row in rows:
        if row["architecture"] == native:
            return [native, *(row.get("subArchitectures") or [])]
    return []


def _rule(rule: dict[str, Any]) -> SeccompSyscall:
    names = rule.get("names") or [rule["name"]]
    result: SeccompSyscall = {"names": names, "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        result["errnoRet"] = rule["errnoRet"]
    if rule.get("args"):
        result["args"] = [_argument(arg) for arg in rule["args"]]
    return result


def _argument(row: dict[str, Any]) -> SeccompArg:
    found: SeccompArg = {"index": row["index"], "value": row["value"], "op": row["op"]}
    if "valueTwo" in row:
        found["valueTwo"] = row["valueTwo"]
    return found


def _applies(rule: dict[str, Any], target: Target) -> bool:
    """docker's rule: of `includes` every condition must hold, of `excludes` none."""
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    unknown = (includes.keys() | excludes.keys()) - _CONDITIONS
    if unknown:
        raise ValueError(f'unknown condition "{min(unknown)}"')
    return (
        target.capabilities.issuperset(includes.get("caps") or ())
        and target.capabilities.isdisjoint(excludes.get("caps") or ())
        and all(
            _holds(key, includes, target) for key in ("arches", "minKernel") if includes.get(key)
        )
        and not any(
            _holds(key, excludes, target) for key in ("arches", "minKernel") if excludes.get(key)
        )
    )


def _holds(key: str, conditions: dict[str, Any], target: Target) -> bool:
    if key == "arches":
        return _ARCHITECTURES.get(target.machine, (target.machine, ""))[0] in conditions[key]
    major, _, minor = conditions[key].partition(".")
    return target.kernel >= (int(major), int(minor or 0))
