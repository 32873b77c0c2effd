"""Every error that rcrun raises on purpose: a message for people, a hint that can be pasted, an exit status."""

from __future__ import annotations


class RcrunError(Exception):
    """The root of all errors; `status` is the exit status of a command that ends with it."""

    status = 125

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(RcrunError):
    """What was typed or written is wrong."""


class NoTerminal(InvalidInput):
    """A terminal is asked for where there is none; docker ends with 1."""

    status = 1


class NotFound(RcrunError):
    """The thing named does not exist."""


class AlreadyExists(RcrunError):
    """The name is taken."""


class InUse(RcrunError):
    """Something still needs the thing named."""


class WrongState(RcrunError):
    """Cannot do that to a container in this status."""


class HostLacks(RcrunError):
    """The host does not allow or have it; always has a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)


class StepFailed(RcrunError):
    """The shim's report, put into words by runtime/hints.py."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        step: str = "",
        call: str = "",
        errno: int = 0,
        path: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.step = step
        self.call = call
        self.errno = errno
        self.path = path


class HasEnded(StepFailed):
    """The container went away while something was to be started in it."""

    status = 1  # as of a container that was not running before


class CannotInvoke(StepFailed):
    """The command exists and cannot be executed."""

    status = 126


class CommandNotFound(StepFailed):
    """There is no such command in the container."""

    status = 127


class RegistryError(RcrunError):
    """What a registry answered."""

    def __init__(self, message: str, hint: str | None = None, *, http_status: int = 0) -> None:
        super().__init__(message, hint)
        self.http_status = http_status


def unreadable(path: str, error: OSError) -> InvalidInput:
    """Of a file that the user named, or that configures us."""
    return InvalidInput(f'cannot read "{path}": {(error.strerror or str(error)).lower()}')
