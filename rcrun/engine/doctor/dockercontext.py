"""The context that docker's config.json names: where docker, compose and testcontainers go when no variable says it."""

from __future__ import annotations

from rcrun.engine.doctor.finding import fine, limited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rcrun.engine.doctor.finding import Finding


class Named:
    """A context by its name in the file; `host` is empty where nothing is known of it."""

    __slots__ = ("host", "name", "path")

    def __init__(self, path: str, name: str, host: str) -> None:
        self.path = path
        self.name = name
        self.host = host


def current_context(environ: Mapping[str, str]) -> Named | None:
    """None where it is docker's own. A file that cannot be read is told of by the probe of credentials."""
    from rcrun.files import read_json
    from rcrun.formats.digest import of_bytes
    from rcrun.formats.dockerconfig import members

    folder = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME', '')}/.docker"
    path = f"{folder}/config.json"
    try:
        name = members(read_json(path))[0].get("currentContext", "default")
    except (OSError, ValueError):
        return None
    if name == "default":
        return None
    try:
        digits = of_bytes(name.encode()).removeprefix("sha256:")
        about = read_json(f"{folder}/contexts/meta/{digits}/meta.json")
        host = str(about["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        host = ""
    return Named(path, name, host)


def judge_context(found: Named | None, dead: str) -> Finding:
    """`dead`: what else there is to say of a socket where nobody listens."""
    if found is None:
        return fine("neither a variable nor docker's config.json names another engine")
    where = f", {found.host}" if found.host else ", of which nothing is known"
    return limited(
        f'"{found.path}" names the context "{found.name}"{where}',
        means=f"rcrun works on this host all the same; docker, compose and testcontainers go there{dead}",
        hint=f'if that is not meant, take "currentContext" out of "{found.path}"',
    )
