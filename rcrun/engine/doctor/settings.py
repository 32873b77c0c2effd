"""What other programs' files and variables say, as far as rcrun reads them or people expect it to."""

from __future__ import annotations

import os

from rcrun.engine.doctor.finding import fine, limited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.doctor.finding import Finding
    from rcrun.engine.doctor.here import Here

    Fault = tuple[str, str, str]  # a path, what is wrong with it, the command


def try_auth(here: Here) -> Finding:
    documents, faults = auth_documents(here.environ)
    return judge_auth(faults, len(documents))


def auth_documents(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, object]], list[Fault]]:
    from rcrun.errors import InvalidInput
    from rcrun.registry.credentials import auth_paths, json_object

    found, faults = {}, []
    for path in auth_paths(environ):
        try:
            with open(path, "rb") as file:
                found[path] = json_object(path, file.read())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            own = "" if os.access(os.path.dirname(path), os.X_OK) is False else f"chmod u+rw {path}"
            faults.append((path, (error.strerror or str(error)).lower(), own))
        except InvalidInput as error:
            faults.append((path, error.message.partition(": ")[2] or error.message, ""))
    return found, faults


def judge_auth(faults: Sequence[Fault], count: int) -> Finding:
    if not faults:
        return fine(
            f"{count} files of credentials are read" if count else "no credentials are kept"
        )
    path, why, command = faults[0]
    return limited(
        f'"{path}" cannot be read' if command else f'"{path}" is not valid',
        means="pulls fail, since the credentials may be in there",
        why=why,
        hint=f"run: {command}"
        if command
        else f"correct it, or move it away: mv {path} {path}.old; then rcrun login",
    )


def try_credential_helpers(here: Here) -> Finding:
    named: dict[str, str] = {}
    for path, document in auth_documents(here.environ)[0].items():
        helpers = document.get("credHelpers")
        names = [
            document.get("credsStore"),
            *(helpers.values() if isinstance(helpers, dict) else []),
        ]
        named.update({str(name): path for name in names if name})
    missing = {name: path for name, path in named.items() if not installed(name, here.environ)}
    return judge_credential_helpers(sorted(named), missing)


def installed(helper: str, environ: Mapping[str, str]) -> bool:
    from rcrun.engine.hostsetup import in_path

    return bool(in_path(f"docker-credential-{helper}", environ))


def judge_credential_helpers(named: Sequence[str], missing: Mapping[str, str]) -> Finding:
    if missing:
        name, path = next(iter(missing.items()))
        return limited(
            f'"docker-credential-{name}" is not in PATH',
            means="credentials that it keeps are not found: private images cannot be pulled",
            why=f'"{path}" names it',
            hint=f'install it, or take "credsStore" and "credHelpers" out of "{path}" and run: rcrun login',
        )
    return fine(f"{', '.join(named)}: installed" if named else "none is named")


def try_registries(here: Here) -> Finding:
    """As a pull would read them."""
    from rcrun.engine.trust import read_policy
    from rcrun.errors import InvalidInput
    from rcrun.registry.settings import registries

    environ = {"HOME": here.home, **here.environ}
    faults = []
    for read in (registries, read_policy):
        try:
            read(environ)
        except InvalidInput as error:
            faults.append(error.message)
    return judge_registries(faults)


def judge_registries(faults: Sequence[str]) -> Finding:
    if not faults:
        return fine(
            "registries.conf and policy.json can be used, where they are; neither is needed"
        )
    return limited(
        faults[0],
        means="pull, push and search stop at it, and so do podman, skopeo and buildah",
        hint="correct what is named there, or move the file away",
    )


def try_containers_conf(here: Here) -> Finding:
    """As a start would read it."""
    from rcrun.engine.containersconf import load
    from rcrun.errors import InvalidInput
    from rcrun.paths import containers_conf

    environ = {"HOME": here.home, **here.environ}
    if not containers_conf(environ):
        return fine("no file of it sets anything; none is needed")
    try:
        found = load(here.context.store.live_dir, environ)
    except InvalidInput as error:
        return judge_containers_conf(
            (), f"{error.message}; {error.hint}" if error.hint else error.message
        )
    return judge_containers_conf(found["files"], "")


def judge_containers_conf(files: Sequence[str], fault: str) -> Finding:
    if fault:
        return limited(
            fault,
            means="run, create, build and pods stop at it, and so do podman and buildah",
            hint="correct what is named there, or move the file away",
        )
    return fine(f"the defaults of options are in {', '.join(files)}")


VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINER_CONNECTION")


def try_other_engine(here: Here) -> Finding:
    named = {name: here.environ[name] for name in VARIABLES if here.environ.get(name)}
    if not named:
        from rcrun.engine.doctor.dockercontext import current_context, judge_context

        found = current_context(here.environ)
        is_dead = found is not None and is_dead_socket(found.host)
        return judge_context(found, "; nobody listens there" if is_dead else "")
    gone = [name for name, value in named.items() if is_dead_socket(value)]
    return judge_other_engine(named, gone)


def is_dead_socket(value: str) -> bool:
    """Whether it names a socket where nobody listens."""
    import _socket

    scheme, mark, path = value.partition("unix://")
    if not mark or scheme:
        return False
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        probe.settimeout(1)
        probe.connect(path)
    except OSError:
        return True
    finally:
        probe.close()
    return False


def judge_other_engine(named: Mapping[str, str], gone: Sequence[str]) -> Finding:
    name, value = next(iter(named.items()))
    dead = f"; nobody listens at {named[gone[0]]}" if gone else ""
    return limited(
        f"{name} is {value}",
        means=f"rcrun works on this host all the same; docker, compose and testcontainers go there{dead}",
        hint=f"if that is not meant, run: unset {' '.join(named)}",
    )


def try_clock(here: Here) -> Finding:
    import time

    from rcrun import version

    return judge_clock(time.time(), os.stat(version.__file__).st_mtime)


def judge_clock(now: float, installed_at: float) -> Finding:
    if now + 86400 < installed_at:
        return limited(
            "is before the day when rcrun was installed",
            means="registries' certificates are not valid yet: pulls fail",
            why=f"it is {_day(now)} here",
            hint="run: sudo timedatectl set-ntp true",
        )
    return fine(_day(now))


def _day(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
