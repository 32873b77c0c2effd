"""A stage as it is so far: configuration, layers, history, arguments; and what the instructions without files do to it. Pure."""

from __future__ import annotations

from rcrun.engine.build.graph import argument_pairs, expander
from rcrun.errors import InvalidInput
from rcrun.files import dump_json
from rcrun.formats import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rcrun.engine.build.cache import Result
    from rcrun.formats.containerfile.instructions import Instruction
    from rcrun.formats.containerfile.words import Expander
    from rcrun.formats.image import Descriptor, History, ImageConfig

DEFAULT_SHELL = ["/bin/sh", "-c"]
# Given to every RUN when they are given at all, never kept (BuildKit's predefined ARGs).
PROXIES = tuple(
    case
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for case in (name, name.lower())
)


class Layer:
    """`descriptor` of the plain tar: its digest is the diffID, unless it came with an image."""

    __slots__ = ("descriptor", "diff_id")

    def __init__(self, descriptor: Descriptor, diff_id: str) -> None:
        self.descriptor = descriptor
        self.diff_id = diff_id


class State:
    def __init__(self, document: ImageConfig) -> None:
        self.document: dict[str, Any] = {
            key: value
            for key, value in document.items()
            if key not in ("config", "rootfs", "history", "created")
        }
        self.config: dict[str, Any] = dict(document.get("config") or {})
        self.history: list[History] = list(document.get("history") or [])
        self.time = str(document.get("created") or "")  # of what was made last, be it long ago
        self.layers: list[Layer] = []
        self.arguments: dict[str, str] = {}
        self.is_docker = False
        self.has_own_command = False
        self.own_labels: set[str] = set()
        self.steps: dict[str, Result] = {}  # what its steps made, by their keys in the cache
        self.is_cached = True  # whether its steps may be taken from former builds
        self.base_layers = (
            0  # how many of the layers and of the history are those of the image that it began with
        )
        self.base_history = len(self.history)

    def copy(self) -> State:
        """For a stage that begins where another one ended: its arguments are not inherited."""
        made = State({})
        made.document = dict(self.document)
        made.config = dict(self.config)
        made.history = list(self.history)
        made.time = self.time
        made.layers = list(self.layers)
        made.is_docker = self.is_docker
        made.steps = dict(self.steps)
        made.base_layers, made.base_history = self.base_layers, self.base_history
        return made

    @property
    def chain(self) -> list[str]:
        from rcrun.formats.image import chain_ids

        return chain_ids([layer.diff_id for layer in self.layers])

    @property
    def shell(self) -> list[str]:
        return list(self.config.get("Shell") or DEFAULT_SHELL)

    @property
    def workdir(self) -> str:
        return str(self.config.get("WorkingDir") or "/")

    @property
    def environment(self) -> dict[str, str]:
        pairs = (word.partition("=") for word in self.config.get("Env") or [])
        return {name: value for name, _, value in pairs}

    def expander(self, instruction: Instruction) -> Expander:
        """ENV wins over ARG."""
        return expander(instruction, {**self.arguments, **self.environment})

    def absolute(self, path: str) -> str:
        """Beneath the working directory; a slash at the end stays."""
        from posixpath import normpath

        joined = path if path.startswith("/") else f"{self.workdir.rstrip('/')}/{path}"
        clean = normpath(joined).replace("//", "/")
        is_folder = path.endswith(("/", "/.")) or path in (".", "")
        return f"{clean.rstrip('/')}/" if is_folder else clean

    def note(self, text: str, created: str, *, empty: bool) -> None:
        entry: History = {"created": created, "created_by": text, "comment": "rcrun.build"}
        if empty:
            entry["empty_layer"] = True
        self.history.append(entry)


def key_of(kind: str, *parts: Any) -> str:
    """The name of a step's result in the cache: what it was made of."""
    return digests.of_bytes(dump_json([kind, *parts]).encode("utf-8", "surrogateescape"))[7:]


def apply(
    state: State, instruction: Instruction, globals_: Mapping[str, str], given: Mapping[str, str]
) -> str:
    """Change the state; the text for its history."""
    if instruction.name == "ARG":
        return _arg(state, instruction, globals_, given)
    return _APPLY[instruction.name](state, instruction)


def _arg(
    state: State, instruction: Instruction, globals_: Mapping[str, str], given: Mapping[str, str]
) -> str:
    """The value given, else the default, else the global one's."""
    for name, default in argument_pairs(instruction):
        if name in given:
            state.arguments[name] = given[name]
        elif default is not None:
            state.arguments[name] = state.expander(instruction).word(default)
        elif name in globals_:
            state.arguments[name] = globals_[name]
    return instruction.text


def _env(state: State, instruction: Instruction) -> str:
    """All values are expanded before any of them is set, as docker has it."""
    expand = state.expander(instruction)
    pairs = [(expand.word(key), expand.word(value)) for key, value in instruction.pairs()]
    environment = state.environment
    for key, value in pairs:
        environment[key] = value
    state.config["Env"] = [f"{key}={value}" for key, value in environment.items()]
    return "ENV " + " ".join(f"{key}={value}" for key, value in pairs)


def _label(state: State, instruction: Instruction) -> str:
    expand = state.expander(instruction)
    pairs = {expand.word(key): expand.word(value) for key, value in instruction.pairs()}
    state.config["Labels"] = {**(state.config.get("Labels") or {}), **pairs}
    state.own_labels.update(pairs)
    return "LABEL " + " ".join(f"{key}={value}" for key, value in pairs.items())


def _plain(state: State, instruction: Instruction) -> str:
    """Nothing is expanded, and what it means is what it means to `commit --change`."""
    from rcrun.formats import imagechange

    try:
        state.config = dict(imagechange.apply(state.config, instruction.text))  # type: ignore[arg-type]
    except InvalidInput as error:
        raise instruction.fault(error.message, error.hint) from error
    if instruction.name in ("CMD", "ENTRYPOINT"):
        listed = state.config[_MEMBERS[instruction.name]]
        return f"{instruction.name} {dump_json(listed)}"
    return instruction.text


_MEMBERS = {"CMD": "Cmd", "ENTRYPOINT": "Entrypoint"}


def _entrypoint(state: State, instruction: Instruction) -> str:
    """A new entrypoint makes the base's command meaningless, unless this stage gave one itself."""
    if not state.has_own_command:
        state.config.pop("Cmd", None)
    return _plain(state, instruction)


def _cmd(state: State, instruction: Instruction) -> str:
    state.has_own_command = True
    return _plain(state, instruction)


def _expose(state: State, instruction: Instruction) -> str:
    from rcrun.formats.port import parse_exposed

    words = state.expander(instruction).words(instruction.rest)
    try:
        ports = [f"{port}/{protocol}" for word in words for port, protocol in parse_exposed(word)]
    except InvalidInput as error:
        raise instruction.fault(error.message, error.hint) from error
    state.config["ExposedPorts"] = {
        **(state.config.get("ExposedPorts") or {}),
        **{port: {} for port in ports},
    }
    return f"EXPOSE {' '.join(words)}"


def _user(state: State, instruction: Instruction) -> str:
    state.config["User"] = state.expander(instruction).word(instruction.rest)
    return f"USER {state.config['User']}"


def _volume(state: State, instruction: Instruction) -> str:
    expand = state.expander(instruction)
    listed = instruction.json()
    paths = (
        [expand.word(word) for word in listed]
        if listed is not None
        else expand.words(instruction.rest)
    )
    if not all(paths):
        raise instruction.fault("VOLUME needs paths that are not empty")
    state.config["Volumes"] = {
        **(state.config.get("Volumes") or {}),
        **{path: {} for path in paths},
    }
    return f"VOLUME {dump_json(paths)}"


def _stopsignal(state: State, instruction: Instruction) -> str:
    from rcrun.formats import signals

    word = state.expander(instruction).word(instruction.rest)
    try:
        signals.parse(word)
    except InvalidInput as error:
        raise instruction.fault(error.message, error.hint) from error
    state.config["StopSignal"] = word
    return f"STOPSIGNAL {word}"


def _maintainer(state: State, instruction: Instruction) -> str:
    state.document["author"] = instruction.rest
    return instruction.text


_APPLY: dict[str, Callable[[State, Instruction], str]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _plain,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _plain,
    "SHELL": _plain,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
}
