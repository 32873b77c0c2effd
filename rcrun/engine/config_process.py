"""config.json's `process`: command, environment, user, capabilities, limits. Pure."""

from __future__ import annotations

from rcrun.engine.options import strings
from rcrun.errors import HostLacks, InvalidInput
from rcrun.formats import capability, envfile, passwd, spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User
    from rcrun.formats.spec import Capabilities, Process, Rlimit

# docker's fourteen; podman has eleven of them.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip
# Podman's word for the caller's own, which have no numbers inside but count for files.
KEEP_GROUPS = "keep-groups"
# systemd knows "oci" as the neutral word and then looks for the marker files, which say the rest.
CONTAINER_WORD = "oci"
HOSTS_SECCOMP = "/etc/containers/seccomp.json"
SELINUX = "/sys/fs/selinux/enforce"  # there when the kernel asks it
_MOST_FILES = 1_048_576
_MOST_PROCESSES = 4_194_304
_UNLIMITED = 2**64 - 1  # RLIM_INFINITY as config.json writes it


class Security:
    """What --security-opt and --privileged decide."""

    __slots__ = ("apparmor", "masked", "no_new_privileges", "readonly", "seccomp")

    def __init__(self) -> None:
        self.no_new_privileges = False
        self.seccomp = ""  # the host's, else ours; "builtin", "unconfined" or a path
        self.apparmor = ""
        self.masked = list(spec.MASKED_PATHS)
        self.readonly = list(spec.READONLY_PATHS)


def process(
    options: Options,
    args: Sequence[str],
    image: ContainerConfig,
    facts: Facts,
    user: User,
    hostname: str,
    security: Security,
) -> Process:
    entrypoint, command = command_words(options, args, image)
    document: Process = {
        "terminal": bool(options.get("tty")),
        "user": _user(options, user),
        "args": entrypoint + command,
        "env": environment(options, image, facts, user, hostname),
        "cwd": working_directory(options, image),
        "capabilities": capability_sets(options, user, facts.held),
        "noNewPrivileges": security.no_new_privileges,
        "rlimits": limits(options.get("ulimit") or (), facts),
    }
    if options.get("oom_score_adj") is not None:
        document["oomScoreAdj"] = _score(options["oom_score_adj"])
    if security.apparmor:
        document["apparmorProfile"] = security.apparmor
    return document


def command_words(
    options: Options, args: Sequence[str], image: ContainerConfig
) -> tuple[list[str], list[str]]:
    """Entrypoint and command; a new entrypoint does without the image's command, as with docker."""
    given = options.get("entrypoint")
    if given is None:
        entrypoint = strings(image.get("Entrypoint"), "Entrypoint")
        command = list(args) or strings(image.get("Cmd"), "Cmd")
    else:
        entrypoint, command = _entrypoint(given), list(args)
    if not entrypoint and not command:
        raise InvalidInput("no command is given, and the image has none")
    return entrypoint, command


def _entrypoint(text: str) -> list[str]:
    """One word, or a JSON list as podman takes it."""
    if text.startswith("["):
        from rcrun.files import parse_json

        try:
            words = parse_json(text)
        except ValueError:
            return [text]
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return [text] if text else []


# What changes where the environment begins, or what it begins with.
_ENVIRONMENT = ("env_host", "env_merge", "unsetenv_all", "http_proxy", "env_default")


def environment(
    options: Options, image: ContainerConfig, facts: Facts, user: User, hostname: str
) -> list[str]:
    """Image, then --env-file, then -e; HOME of the user unless one of them says it."""
    if any(options.get(key) for key in _ENVIRONMENT):
        from rcrun.engine import config_environment

        return config_environment.environment(options, image, facts, user, hostname)
    words = [spec.DEFAULT_PATH, f"container={CONTAINER_WORD}", f"HOSTNAME={hostname}"]
    if options.get("tty"):
        words.append("TERM=xterm")
    merged = envfile.merge(words, envfile.resolve(image_environment(image), {}))
    changes = environment_changes(options, facts)
    merged = envfile.merge(merged, changes)
    if "HOME" not in changes and not any(word.startswith("HOME=") for word in merged):
        merged.append(f"HOME={user.home}")
    return merged


def environment_changes(options: Options, facts: Facts) -> dict[str, str | None]:
    changes: dict[str, str | None] = dict.fromkeys(options.get("unsetenv") or ())
    for path in options.get("env_file") or ():
        changes.update(envfile.resolve(envfile.parse_file(facts.read(path), path), facts.environ))
    changes.update(envfile.resolve(options.get("env") or (), facts.environ))
    return changes


# What every start puts into the environment by itself: inspect leaves them out, as docker does.
OWN_VARIABLES = ("HOSTNAME", "HOME", "TERM", "container")


def shown_variables(options: Options, image: ContainerConfig) -> list[str]:
    """Those of OWN_VARIABLES that somebody asked for; all of them where it takes a look at files to know."""
    if options.get("env_file") or any(options.get(key) for key in _ENVIRONMENT):
        return list(OWN_VARIABLES)
    words = [*image_environment(image), *(options.get("env") or ())]
    return [name for name in OWN_VARIABLES if any(w.partition("=")[0] == name for w in words)]


def image_environment(image: ContainerConfig) -> list[str]:
    """Without what is no NAME=VALUE: the image's fault must not keep its user from running it."""
    return [word for word in strings(image.get("Env"), "Env") if word.find("=") > 0]


def working_directory(options: Options, image: ContainerConfig) -> str:
    path = options.get("workdir") or image.get("WorkingDir") or "/"
    if not path.startswith("/"):
        raise InvalidInput(f'invalid --workdir "{path}": it is not an absolute path')
    return str(path)


def find_user(options: Options, image: ContainerConfig, facts: Facts) -> User:
    text = options.get("user")
    kept = _kept_user(options, facts)
    if text is None:
        text = kept or image.get("User") or ""
    users, groups = facts.passwd, facts.group
    if any(options.get(key) for key in ("hostuser", "passwd_entry", "group_entry")):
        from rcrun.engine.config_accounts import with_added

        users, groups = with_added(options, users, groups)
    added = [word for each in options.get("group_add") or () for word in each.split(",")]
    if KEEP_GROUPS in added:
        if len(added) > 1:
            raise InvalidInput(f"--group-add {KEEP_GROUPS} goes with no other --group-add")
        added = []
    user = passwd.lookup(str(text), users, groups, added)
    if kept and not user.name and options.get("passwd", True):
        from rcrun.engine.config_accounts import kept_home

        user.home = kept_home(options, facts, working_directory(options, image))
    return user


def _kept_user(options: Options, facts: Facts) -> str:
    """With --userns keep-id the process is the caller, unless -u says otherwise."""
    if (options.get("userns") or "").partition(":")[0] != "keep-id":
        return ""
    from rcrun.engine.config_ids import kept_ids

    uid, gid, _ = kept_ids(options["userns"], facts.identity)
    return f"{uid}:{gid}"


def _user(options: Options, user: User) -> spec.User:
    document: spec.User = {"uid": user.uid, "gid": user.gid, "umask": _umask(options)}
    if user.groups:
        document["additionalGids"] = user.groups
    return document


def _umask(options: Options) -> int:
    text = str(options.get("umask") or "0022")
    if text.strip("01234567") or int(text, 8) > 0o777:
        raise InvalidInput(f'invalid --umask "{text}": it is an octal number up to 0777')
    return int(text, 8)


def _score(score: int) -> int:
    if not -1000 <= score <= 1000:
        raise InvalidInput(f"invalid --oom-score-adj {score}: it is -1000 to 1000")
    return score


def allowed(options: Options, held: int) -> list[str]:
    """The names that the container's processes may ever have, in the kernel's order."""
    if options.get("privileged"):
        bits = (1 << len(capability.NAMES)) - 1
    else:
        added = _capability_mask(options.get("cap_add") or (), "--cap-add")
        dropped = _capability_mask(options.get("cap_drop") or (), "--cap-drop")
        bits = _changed(added, dropped, options)
    return capability.names_of(bits & held)


def _changed(added: int, dropped: int, options: Options) -> int:
    """docker's rule: with ALL added the dropped go, with ALL dropped only the added stay."""
    every = (1 << len(capability.NAMES)) - 1
    if _has_all(options.get("cap_add") or ()):
        return every & ~dropped if not _has_all(options.get("cap_drop") or ()) else every
    if _has_all(options.get("cap_drop") or ()):
        return added
    usual = capability.mask(DEFAULT_CAPABILITIES)
    if options.get("default_capabilities") is not None:
        usual = _capability_mask(options["default_capabilities"], "default_capabilities")
    return usual & ~dropped | added


def _has_all(words: Sequence[str]) -> bool:
    return any(word.upper() in ("ALL", "CAP_ALL") for word in _words(words))


def _words(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in text.replace(",", " ").split()]


def _capability_mask(texts: Sequence[str], flag: str) -> int:
    try:
        names = [
            capability.normalise(word)
            for word in _words(texts)
            if word.upper() not in ("ALL", "CAP_ALL")
        ]
    except InvalidInput as error:
        raise InvalidInput(f"invalid {flag}: {error.message}") from error
    return capability.mask(names)


def capability_sets(options: Options, user: User, held: int) -> Capabilities:
    """Root has them all. Another user has those that were added by name, so that they survive exec."""
    bounding = allowed(options, held)
    if user.uid == 0:
        return {"bounding": bounding, "effective": bounding, "permitted": bounding}
    added = _capability_mask(options.get("cap_add") or (), "--cap-add")
    kept = [name for name in capability.names_of(added) if name in bounding]
    if options.get("privileged"):
        kept = []
    return {
        "bounding": bounding,
        "effective": kept,
        "permitted": kept,
        "inheritable": kept,
        "ambient": kept,
    }


def limits(words: Sequence[str], facts: Facts) -> list[Rlimit]:
    """As many files and processes as the caller may have, and what --ulimit asks for."""
    found: dict[str, tuple[int, int]] = {}
    for name, most in (("RLIMIT_NOFILE", _MOST_FILES), ("RLIMIT_NPROC", _MOST_PROCESSES)):
        own = facts.hard_limit(name)
        value = most if own < 0 else min(own, most)
        found[name] = (value, value)
    if words:
        found.update(asked_limits(words, facts.hard_limit, rootless=facts.rootless))
    return [
        {"type": name, "soft": limit_number(soft), "hard": limit_number(hard)}
        for name, (soft, hard) in found.items()
    ]


def limit_number(value: int) -> int:
    return _UNLIMITED if value < 0 else value


def asked_limits(
    words: Sequence[str], hard_limit: Callable[[str], int], *, rootless: bool
) -> Mapping[str, tuple[int, int]]:
    from rcrun.formats import ulimit

    found: dict[str, tuple[int, int]] = {}
    for word in words:
        if word == "host":
            continue  # podman's word for what we do anyway
        name, soft, hard = ulimit.parse(word)
        own = hard_limit(name)
        if rootless and own >= 0 and (hard < 0 or hard > own):
            raise HostLacks(
                f'cannot raise a limit with --ulimit "{word}": this user\'s hard limit is {own}',
                "ask for a limit up to that, or have it raised in /etc/security/limits.conf",
            )
        found[name] = (soft, hard)
    return found


def security(options: Options, stat: Callable[[str], object]) -> Security:
    """--security-opt, and --privileged, which takes the masks and the filter away."""
    decided = Security()
    if options.get("privileged"):
        decided.seccomp = "unconfined"
        decided.masked, decided.readonly = [], []
    for text in options.get("security_opt") or ():
        _decide(decided, text, stat)
    return decided


def _decide(decided: Security, text: str, stat: Callable[[str], object]) -> None:
    key, _, value = text.partition(":" if "=" not in text else "=")
    if key == "no-new-privileges" and value in ("", "true", "false"):
        decided.no_new_privileges = value != "false"
    elif key == "seccomp" and value:
        decided.seccomp = value
    elif key == "apparmor" and value:
        decided.apparmor = "" if value == "unconfined" else value
    elif key == "systempaths" and value == "unconfined":
        decided.masked, decided.readonly = [], []
    elif key == "mask" and value:
        decided.masked += [path for path in value.split(":") if path not in decided.masked]
    elif key == "unmask" and value:
        _unmask(decided, value)
    elif key == "label" and value:
        if value not in ("disable", "nested") and stat(SELINUX):
            raise InvalidInput(f'--security-opt "{text}": SELinux labels are not supported yet')
    else:
        raise InvalidInput(
            f'invalid --security-opt "{text}": there is no such option',
            "options: no-new-privileges seccomp=FILE apparmor=PROFILE systempaths=unconfined mask=PATHS unmask=PATHS label=disable",
        )


def _unmask(decided: Security, value: str) -> None:
    import fnmatch

    patterns = value.split(":")
    every = any(pattern.upper() == "ALL" for pattern in patterns)

    def stays(path: str) -> bool:
        return not every and not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)

    decided.masked = [path for path in decided.masked if stays(path)]
    decided.readonly = [path for path in decided.readonly if stays(path)]


def seccomp(decided: Security, capabilities: list[str], facts: Facts) -> Any:
    """The object of config.json, or None. /usr/share has what a package brings; /etc what an administrator decided."""
    chosen = decided.seccomp or ("builtin" if facts.stat(HOSTS_SECCOMP) is None else HOSTS_SECCOMP)
    if chosen == "unconfined":
        return None
    if chosen == "builtin":
        from rcrun.formats.seccomp_default import default_profile

        return default_profile(capabilities, facts.machine)
    from rcrun.formats.seccomp_profile import Target, parse

    target = Target(capabilities, facts.machine, facts.kernel)
    return parse(facts.read(chosen), chosen, target)
