"""The environment of a container that begins elsewhere than in the image, or takes more than the image's. Pure."""

from __future__ import annotations

from rcrun.engine.config_process import CONTAINER_WORD, environment_changes, image_environment
from rcrun.errors import InvalidInput
from rcrun.formats import envfile, spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rcrun.engine.facts import Facts
    from rcrun.engine.options import Options
    from rcrun.formats.image import ContainerConfig
    from rcrun.formats.passwd import User

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


def environment(
    options: Options, image: ContainerConfig, facts: Facts, user: User, hostname: str
) -> list[str]:
    """The caller's, then ours, proxies, those of containers.conf, the image, --env-merge, --env-file, -e."""
    changes = environment_changes(options, facts)
    if options.get("unsetenv_all"):
        return envfile.merge([], changes)
    merged = (
        [f"{key}={value}" for key, value in facts.environ.items()]
        if options.get("env_host")
        else []
    )
    words = [spec.DEFAULT_PATH, f"container={CONTAINER_WORD}", f"HOSTNAME={hostname}"]
    words += ["TERM=xterm"] if options.get("tty") else []
    words += _proxies(facts.environ) if options.get("http_proxy") else []
    merged = envfile.merge(merged, envfile.resolve(words, {}))
    merged = envfile.merge(merged, envfile.resolve(options.get("env_default") or (), facts.environ))
    merged = envfile.merge(merged, envfile.resolve(image_environment(image), {}))
    if options.get("env_merge"):
        merged = envfile.merge(merged, _expanded(options["env_merge"], merged))
    merged = envfile.merge(merged, changes)
    before = (*image_environment(image), *(options.get("env_default") or ()))
    own_home = any(word.startswith("HOME=") for word in before)
    if "HOME" not in changes and not own_home:
        merged = envfile.merge(merged, {"HOME": user.home})
    return merged


def _proxies(environ: Mapping[str, str]) -> list[str]:
    names = [name for each in _PROXIES for name in (each, each.upper())]
    return [f"{name}={environ[name]}" for name in names if environ.get(name)]


def _expanded(words: Sequence[str], before: Sequence[str]) -> dict[str, str | None]:
    """`$NAME` and `${NAME}` become what the image has; nothing where it has none."""
    import re

    known = {key: value for key, _, value in (word.partition("=") for word in before)}
    found: dict[str, str | None] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise InvalidInput(
                f'invalid --env-merge "{word}"', "write NAME=VALUE, with ${NAME} in it"
            )
        found[name] = re.sub(
            r"\$(?:\{(\w+)\}|(\w+))", lambda match: known.get(match[1] or match[2], ""), text
        )
    return found
