"""How a registry is reached: what was typed about it, and what registries.conf says of its places and short names."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rcrun.engine.context import Context
    from rcrun.formats.reference import Reference
    from rcrun.formats.registriesconf import Place, Registries
    from rcrun.registry.client import Client
    from rcrun.registry.credentials import Credentials, Lookup
    from rcrun.registry.session import Patience
    from rcrun.registry.transport import Transport

    Sleep = Callable[[float], object]


class Access:
    """Empty values mean what the environment says; `policy_file` stands in the place of policy.json."""

    __slots__ = (
        "_known", "authfile", "cert_dir", "credentials", "delay", "policy_file", "retries", "verify",
    )  # fmt: skip

    def __init__(
        self,
        *,
        verify: bool = True,
        credentials: Credentials | None = None,
        authfile: str = "",
        cert_dir: str = "",
        policy_file: str = "",
        retries: int | None = None,
        delay: float | None = None,
    ) -> None:
        if retries is not None and retries < 0:
            raise InvalidInput(f"cannot try again {retries} times", "--retry 0 tries once")
        self.verify = verify
        self.credentials = credentials
        self.authfile = authfile
        self.cert_dir = cert_dir
        self.policy_file = policy_file
        self.retries = retries
        self.delay = delay
        self._known: Registries | None = None

    def registries(self, environ: Mapping[str, str]) -> Registries:
        """Read once."""
        if self._known is None:
            from rcrun.registry.settings import registries

            self._known = registries(environ)
        return self._known

    def connect(
        self, context: Context, reference: Reference, sleep: Sleep | None = None
    ) -> tuple[Client, Transport]:
        """To the registry itself; the caller closes the transport. `sleep` makes the pauses between tries."""
        place = self.registries(context.environ).itself(reference)
        return self.connect_to(context, place, reference, sleep)

    def connect_to(
        self, context: Context, place: Place, typed: Reference, sleep: Sleep | None = None
    ) -> tuple[Client, Transport]:
        """To one of the places of what was typed: credentials that were typed too are for its own host."""
        from rcrun.registry.client import Client

        own = place.reference.domain == typed.domain
        lookup, transport = self.reach(context, place, own=own)
        return Client(transport, place.reference, lookup, patience=self.patience(sleep)), transport

    def reach(
        self, context: Context, place: Place, *, own: bool = True
    ) -> tuple[Lookup, Transport]:
        from rcrun.registry.client import reach

        place.check()
        return reach(
            place.reference,
            context.environ,
            verify=self.verify and not place.insecure,
            credentials=self.credentials if own else None,
            authfile=self.authfile,
            cert_dir=self.cert_dir,
            helpers=self.registries(context.environ).helpers or (),
        )

    def patience(self, sleep: Sleep | None = None) -> Patience:
        import time

        from rcrun.registry.session import Patience

        return Patience(sleep or time.sleep, self.retries, self.delay)


def meanings(environ: Mapping[str, str], text: str) -> list[str]:
    """The references that a short name may stand for, by the configuration; the text itself if it is none."""
    from rcrun.formats.registriesconf import is_short, split_name

    if not is_short(split_name(text)[0]):
        return [text]
    from rcrun.registry.settings import registries

    return registries(environ).meanings(text)
