"""How a registry is reached: what was typed about it, and what registries.conf says of its places and short names."""

from __future__ import annotations

from rcrun.errors import InvalidInput, NotFound, RcrunError, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from rcrun.engine.context import Context
    from rcrun.formats.policy import Policy
    from rcrun.formats.reference import Reference
    from rcrun.formats.registriesconf import Place, Registries
    from rcrun.registry.client import Client
    from rcrun.registry.credentials import Credentials, Lookup
    from rcrun.registry.session import Patience
    from rcrun.registry.transport import Transport

    Found = TypeVar("Found")
    Sleep = Callable[[float], object]


class Access:
    """Empty values mean what the environment says; `policy_file` stands in the place of policy.json."""

    __slots__ = (
        "_known", "_policies", "authfile", "cert_dir", "credentials", "delay", "headers", "policy_file", "retries",
        "verify",
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
        headers: Mapping[str, str] | None = None,
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
        self.headers = headers or {}  # go along to the registry that was typed
        self._known: Registries | None = None
        self._policies: list[Policy | None] = []

    def insecurely(self) -> Access:
        """The same for a registry whose certificate does not matter."""
        return Access(
            verify=False,
            credentials=self.credentials,
            authfile=self.authfile,
            cert_dir=self.cert_dir,
            policy_file=self.policy_file,
            retries=self.retries,
            delay=self.delay,
            headers=self.headers,
        )

    def policy(self, environ: Mapping[str, str]) -> Policy | None:
        """Read once; None when there is none: everything is accepted."""
        if not self._policies:
            from rcrun.engine.trust import read_policy

            self._policies.append(read_policy(environ, self.policy_file))
        return self._policies[0]

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

    def sources(self, context: Context, reference: Reference) -> Sources:
        """For what reads: the mirrors in order, then the registry itself."""
        places = self.registries(context.environ).pull_places(reference)
        return Sources(self, context, reference, places)

    def connect_to(
        self, context: Context, place: Place, typed: Reference, sleep: Sleep | None = None
    ) -> tuple[Client, Transport]:
        """To one of the places of what was typed: credentials that were typed too are for its own host."""
        from rcrun.registry.client import Client

        own = place.reference.domain == typed.domain
        lookup, transport = self.reach(context, place, own=own)
        patience = self.patience(sleep, context)
        return Client(transport, place.reference, lookup, patience=patience), transport

    def reach(
        self, context: Context, place: Place, *, own: bool = True
    ) -> tuple[Lookup, Transport]:
        from rcrun.registry.client import reach

        place.check()
        lookup, transport = reach(
            place.reference,
            context.environ,
            verify=self.verify and not place.insecure,
            credentials=self.credentials if own else None,
            authfile=self.authfile,
            cert_dir=self.cert_dir,
            helpers=self.registries(context.environ).helpers or (),
        )
        lookup.headers = self.headers if own else {}
        return lookup, transport

    def patience(self, sleep: Sleep | None = None, context: Context | None = None) -> Patience:
        """How often is tried: as was typed, else as containers.conf says."""
        import time

        from rcrun.registry.session import Patience

        retries, delay = self.retries, self.delay
        if context is not None and context.conf:
            from rcrun.engine.defaults import tries

            retries, delay = tries(context, retries, delay)
        return Patience(sleep or time.sleep, retries, delay)


class Sources:
    """The places of an image, connected to one after the other as they fail; a context manager that closes the connection.

    `stop` ends what is under way at the place that is asked.
    """

    __slots__ = (
        "_access", "_client", "_context", "_failures", "_lock", "_places", "_transport", "reference", "stop",
    )  # fmt: skip

    def __init__(
        self, access: Access, context: Context, reference: Reference, places: list[Place]
    ) -> None:
        import threading

        self.reference = reference
        self._access = access
        self._context = context
        self._places = places
        self._failures: list[str] = []
        self._client: Client | None = None
        self._transport: Transport | None = None
        self._lock = threading.Lock()
        self.stop: threading.Event

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *details: object) -> None:
        self._close()

    def first(self, ask: Callable[[Client], Found]) -> Found:
        """What the first place answers that can; whoever asks again begins there. Several threads may ask."""
        while True:
            client = self._connected()
            try:
                return ask(client)
            except (NotFound, RegistryError) as error:
                self._go_on(client, error)

    def _connected(self) -> Client:
        """To the first of the places that are left and that are not blocked."""
        with self._lock:
            while self._client is None:
                self._connect()
            return self._client

    def _connect(self) -> None:
        import threading

        from rcrun.engine.download import sleeper
        from rcrun.formats.registriesconf import Blocked

        self.stop = threading.Event()  # a new one: the failure of the place before has set its own
        try:
            self._client, self._transport = self._access.connect_to(
                self._context, self._places[0], self.reference, sleeper(self.stop)
            )
        except Blocked as error:
            self._drop(error)

    def _go_on(self, client: Client, error: RcrunError) -> None:
        """To the next place, unless another thread has done so; the error when there is none."""
        with self._lock:
            if client is self._client:
                self._drop(error)

    def _drop(self, error: RcrunError) -> None:
        if len(self._places) == 1:
            if self._failures:
                error.message += f"; its mirrors failed before: {'; '.join(self._failures)}"
                error.args = (error.message,)
                self._failures.clear()
            raise error
        self._failures.append(error.message)
        self._close()
        del self._places[0]

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._client = self._transport = None


def meanings(environ: Mapping[str, str], text: str) -> list[str]:
    """The references that a short name may stand for, by the configuration; the text itself if it is none."""
    from rcrun.formats.registriesconf import is_short, split_name

    if not is_short(split_name(text)[0]):
        return [text]
    from rcrun.registry.settings import registries

    return registries(environ).meanings(text)
