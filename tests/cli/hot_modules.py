"""What the hot commands may import: a budget of names, since times differ from machine to machine.

Each of these costs next to nothing (STYLE: what imports cost). To add one, measure it first.
"""

from __future__ import annotations

STANDARD = frozenset(
    (
        "__future__", "_collections_abc", "_json", "_locale", "_sha2", "_sha256", "_signal", "_socket", "_stat",
        "_struct", "errno", "fcntl", "gc", "genericpath", "grp", "os", "posix",
        "posixpath", "pwd", "resource", "select", "stat", "struct", "termios", "time", "zlib",
    )
)  # fmt: skip

# How many modules of rcrun and rcrun_cli, packages included.
OWN = {
    "create": 55,
    "run": 67,
    "start": 44,
    "exec": 34,
    "attach": 24,
    "ps": 19,
    "logs": 20,
    "stop": 23,
    "kill": 23,
    "wait": 18,
    "rm": 35,
}
