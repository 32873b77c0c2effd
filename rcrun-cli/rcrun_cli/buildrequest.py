"""From the options of `build` to what the engine is asked for."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.buildsource import Source, ignored
from rcrun_cli.textfile import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.access import Access
    from rcrun.engine.build.request import Caching, Looks, Request
    from rcrun.formats.buildwords import Words

    Options = dict[str, Any]

# Of `run`, and what they mean for steps.
FOR_STEPS = (
    "add_host", "cap_add", "cap_drop", "cgroup_parent", "cgroupns", "cpu_period", "cpu_quota", "cpu_shares",
    "cpuset_cpus", "cpuset_mems", "device", "dns", "dns_option", "dns_search", "group_add", "ipc", "memory",
    "memory_swap", "no_hostname", "no_hosts", "pid", "root_emulation", "security_opt", "shm_size", "ulimit", "uts",
    "volume",
)  # fmt: skip
_POLICIES = {"ifmissing": "missing", "ifnewer": "newer"}
_NO_ATTESTATIONS = "rcrun makes no attestations"


def request_of(source: Source, options: Options) -> Request:
    from rcrun.engine.build.request import Request
    from rcrun.engine.options import pairs
    from rcrun_cli.dockerdefaults import build_arguments, for_build

    check(options)
    options = for_build(options)
    environ = context.environ()
    arguments = _arguments(options, environ)
    return Request(
        text=source.text,
        context_dir=source.folder,
        ignore=ignored(source.folder, options["file"], options["ignorefile"]),
        file=source.shown,
        target=options["target"] or "",
        every_stage=not options["skip_unused_stages"],
        base=options["base"] or "",
        arguments={**build_arguments(arguments), **arguments},
        contexts=pairs(options["build_context"], "--build-context", bare=False),
        looks=_looks(options, environ),
        names=options["names"],
        manifest_list=options["manifest_list"] or "",
        outputs=_outputs(options),
        platforms=_platforms(options),
        form=_form(
            options["form"]
            or environ.get("BUILDAH_FORMAT")
            or options.get("usual_form")  # containers.conf's
            or "oci"
        ),
        squash=_squash(options),
        caching=_caching(options),
        pull=_pull_policy(options),
        jobs=options["jobs"] or 0,
        network=options["network"] or "",
        options=_step_options(options, environ),
        secrets=_secrets(options["secret"], environ),
        ssh=_agents(options["ssh"], environ),
        allowed=options["allow"],
        epoch=_epoch(
            options["epoch"]
            or arguments.get("SOURCE_DATE_EPOCH")
            or environ.get("SOURCE_DATE_EPOCH")
        ),
        verify=options["verify"],
        keep_failed=options["shell_on_failure"],
        access=access_of(options),
    )


def check(options: Options) -> None:
    """Options of which one value makes sense."""
    for name in ("provenance", "sbom"):
        if options[name] not in (None, "false", "0"):
            raise InvalidInput(
                f'--{name} "{options[name]}" is not possible: {_NO_ATTESTATIONS}', f"--{name}=false"
            )
    for word in options["attest"]:
        if "disabled=true" not in word:
            raise InvalidInput(
                f'--attest "{word}" is not possible: {_NO_ATTESTATIONS}', "leave it out"
            )
    if options["call"] not in (None, "build", "check"):
        raise InvalidInput(f'--call "{options["call"]}" is not possible', "use build or check")
    if options["jobs"] is not None and options["jobs"] < 0:
        raise InvalidInput(f"invalid --jobs {options['jobs']}", "0 is as many as there are stages")


def access_of(options: Options) -> Access:
    from rcrun_cli.registryoptions import access_from

    names = (
        "tls_verify", "creds", "authfile", "cert_dir", "retry", "retry_delay", "signature_policy",
    )  # fmt: skip
    return access_from(**{name: options[name] for name in names})


def _looks(options: Options, environ: dict[str, str]) -> Looks:
    from rcrun.engine.build.request import Looks
    from rcrun.engine.options import pairs

    annotations = pairs(options["annotation"], "--annotation")
    for key in list(annotations):
        # docker says at which level; ours is the manifest's.
        level, _, name = key.rpartition(":")
        if level in ("manifest", "index", "manifest,index", "index,manifest"):
            annotations[name] = annotations.pop(key)
    for key in options["unsetannotation"]:
        annotations.pop(key, None)
    return Looks(
        labels=pairs(options["label"], "--label"),
        annotations=annotations,
        env=_named(options["env"], environ),
        unset_env=options["unsetenv"],
        unset_labels=options["unsetlabel"],
        inherit_labels=options["inherit_labels"],
        history=not options["omit_history"],
        os_version=options["os_version"] or "",
        os_features=options["os_feature"],
    )


def _outputs(options: Options) -> list[Words]:
    """--push and --load are outputs, too; docker knows both by themselves as well."""
    if not options["output"]:
        return []
    from rcrun.formats.buildwords import Words, output

    outputs = [output(text) for text in options["output"]]
    has_image = any(each.kind in ("image", "registry") for each in outputs)
    if options["push"] and not has_image:
        outputs.append(Words("--push", "image", {"push": "true"}))
    if options["load"]:
        outputs.append(Words("--load", "docker", {}))
    if context.settings.personality == "podman" and (options["names"] or not has_image):
        outputs.append(Words("--load", "docker", {}))  # podman keeps the image besides
    if sum(each.get("dest") == "-" for each in outputs) > 1:
        raise InvalidInput("only one --output can be standard output")
    return outputs


def pushes(request: Request, options: Options) -> list[Words]:
    """What asks for a push; one of them is enough."""
    if not request.outputs and not options["push"]:
        return []
    from rcrun.formats.buildwords import Words

    found = [
        each
        for each in request.outputs
        if each.kind == "registry"
        or (each.kind == "image" and (each.has("push") or options["push"]))
    ]
    return found or ([Words("--push", "image", {})] if options["push"] else [])


def _platforms(options: Options) -> list[str]:
    words = [word.strip() for text in options["platform"] for word in text.split(",")]
    if not words and not any(options[key] for key in ("system", "arch", "variant")):
        return []
    from rcrun.engine.build.platforms import normalised
    from rcrun_cli.commands.pull import wanted_platform

    one = wanted_platform(options["system"], options["arch"], options["variant"])
    if words and one:
        raise InvalidInput("--platform says already what --os, --arch and --variant say")
    found: list[str] = []
    for word in words or ([one] if one else []):
        platform = normalised("" if word == "local" else word)
        if platform not in found:
            found.append(platform)
    return found


def _squash(options: Options) -> str:
    if options["squash_all"] and options["squash"]:
        raise InvalidInput("--squash-all and --squash exclude each other")
    if options["squash_all"]:
        return "all"
    return "new" if options["squash"] or not options["layers"] else ""


def _pull_policy(options: Options) -> str:
    given = options["pull"]
    if options["pull_always"]:
        return "always"
    if options["pull_never"]:
        return "never"
    if isinstance(given, str):
        return _POLICIES.get(given, given)
    return "newer" if given else "missing"


def _caching(options: Options) -> Caching:
    from rcrun.engine.build.request import Caching

    ttl = options["cache_ttl"]
    younger = None
    if ttl:
        from rcrun.formats.duration import parse

        younger = parse(ttl) / 1_000_000_000
    return Caching(
        use=not options["no_cache"] and options["layers"],
        without=[name for text in options["no_cache_filter"] for name in text.split(",") if name],
        sources=_caches("--cache-from", options["cache_from"]),
        targets=_caches("--cache-to", options["cache_to"]),
        younger=younger,
    )


def _caches(option: str, texts: Sequence[str]) -> list[Words]:
    """An empty one is what scripts say whose variable is not set."""
    wanted = [text for text in texts if text]
    if not wanted:
        return []
    from rcrun.formats.buildwords import cache, unreachable
    from rcrun_cli.output import warn

    found = []
    for text in wanted:
        reason = unreachable(option, text)
        if reason is None:
            found.append(cache(option, text))
        else:
            warn(*reason)
    return found


def _step_options(options: Options, environ: dict[str, str]) -> Options:
    found = {key: options[key] for key in FOR_STEPS if options[key]}
    found["http_proxy"] = options["http_proxy"]
    return found


def _form(text: str) -> str:
    form = {"oci": "oci", "docker": "docker", "v2s2": "docker"}.get(text)
    if form is None:
        raise InvalidInput(f'invalid format "{text}"', "write oci or docker")
    return form


def _epoch(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise InvalidInput(f'invalid time "{text}"', "write seconds since 1970")
    return int(text)


def _arguments(options: Options, environ: dict[str, str]) -> dict[str, str]:
    words: list[str] = []
    for path in options["build_arg_file"]:
        lines = (line.strip() for line in read_text(path).splitlines())
        words += [line for line in lines if line and not line.startswith("#")]
    return _named([*words, *options["build_arg"]], environ)


def _named(words: Sequence[str], environ: dict[str, str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    return found


def _secrets(words: Sequence[str], environ: dict[str, str]) -> dict[str, bytes]:
    found = {}
    for word in words:
        values = dict(pair.partition("=")[::2] for pair in word.split(","))
        name = values.get("id") or ""
        path = values.get("src") or values.get("source") or ""
        variable = values.get("env") or ("" if path else name)
        if not name:
            raise InvalidInput(f'--secret "{word}" has no id', "write id=ID,src=FILE")
        if path:
            try:
                with open(path, "rb") as file:
                    found[name] = file.read()
            except OSError as error:
                reason = (error.strerror or "").lower()
                raise InvalidInput(f'--secret: cannot read "{path}": {reason}') from error
        elif variable in environ:
            found[name] = environ[variable].encode("utf-8", "surrogateescape")
        else:
            raise InvalidInput(
                f'--secret "{word}": there is no variable "{variable}"', "write id=ID,src=FILE"
            )
    return found


def _agents(words: Sequence[str], environ: dict[str, str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, _, path = word.partition("=")
        socket = path or environ.get("SSH_AUTH_SOCK", "")
        if not socket:
            raise InvalidInput(
                f'--ssh "{word}": SSH_AUTH_SOCK is not set', "run: eval $(ssh-agent)"
            )
        if path and not _is_socket(path):
            raise InvalidInput(
                f'--ssh "{word}": "{path}" is not the socket of an agent',
                f"ssh-add {path}; --ssh {name}",
            )
        found[name] = socket
    return found


def _is_socket(path: str) -> bool:
    import os
    import stat

    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
