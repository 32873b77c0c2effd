"""The commands of rcrun-oci; a row is ("MODULE" or "MODULE:ATTRIBUTE", one line of help)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Row = tuple[str, str]

SECTIONS: dict[str, dict[str, Row]] = {
    "Lifecycle": {
        "create": ("create", "Create a container from a bundle, without starting it"),
        "start": ("start", "Start a container that was created"),
        "run": ("create:run", "Create and start a container"),
        "exec": ("exec:exec_", "Run a process in a running container"),
        "pause": ("pause", "Stop the processes of a container where they are"),
        "resume": ("pause:resume", "Let a paused container go on"),
        "update": ("update", "Change the limits of a running container"),
        "kill": ("kill", "Send a signal to a container"),
        "delete": ("delete", "Remove a container that has stopped"),
    },
    "Information": {
        "state": ("state", "Print the state of a container"),
        "list": ("list:list_", "List the containers"),
        "events": ("events", "Print what a container uses, and its OOM events"),
        "ps": ("ps", "List the processes of a container"),
        "features": ("features", "Print what this runtime supports"),
    },
    "Bundles": {
        "spec": ("spec", "Write a config.json to begin with"),
        "validate": ("validate", "Check the config.json of a bundle"),
    },
}

HIDDEN: dict[str, Row] = {
    "checkpoint": ("checkpoint", "Not supported: rcrun-oci does not use CRIU"),
    "restore": ("checkpoint:restore", "Not supported: rcrun-oci does not use CRIU"),
    "__failed": ("failed", "Tell why a foreground launch failed (called by the shim)"),
    "__start-failed": ("failed:start_failed", "Tell why a start failed (called by the shim)"),
}
