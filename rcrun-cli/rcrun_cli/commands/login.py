"""`rcrun login` and `rcrun logout`."""

from __future__ import annotations

from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.registry.credentials import Credentials


@command()
@option("-u", "--username", metavar="NAME", help="Who logs in")
@option(
    "-p",
    "--password",
    metavar="TEXT",
    help="The password, where everybody who lists processes sees it",
)
@option("--password-stdin", is_flag=True, help="Read the password from standard input")
@option("--tls-verify", is_flag=True, default=True, help="Insist on a valid certificate")
@option("--authfile", metavar="FILE", help="Keep the credentials in this file")
@argument("registry", required=False)
def login(
    registry: str | None,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    tls_verify: bool,
    authfile: str | None,
) -> None:
    """Check credentials with a registry and keep them; Docker Hub if none is named."""
    from rcrun.registry import login as registries

    domain = registries.domain_of(registry or "")
    credentials = _asked(domain, username, password, password_stdin)
    variables = context.environ()
    registries.verify(domain, credentials, variables, tls=tls_verify)
    path = _auth_path(authfile)
    if not registries.keep(path, domain, credentials, variables):
        output.warn(
            f'the password is kept unencrypted in "{path}"',
            "a credential helper keeps it better: credsStore in that file",
        )
    output.put("Login Succeeded" + ("!" if context.settings.personality == "podman" else ""))


def _asked(
    domain: str, username: str | None, password: str | None, password_stdin: bool
) -> Credentials:
    """From the options, standard input, or the person at the terminal."""
    import sys

    from rcrun.errors import InvalidInput
    from rcrun.registry.credentials import Credentials

    if password_stdin:
        if password is not None or not username:
            raise InvalidInput("--password-stdin needs --username, and excludes --password")
        password = sys.stdin.read().rstrip("\r\n")
    if (username is None or password is None) and not output.is_terminal(0):
        raise InvalidInput(
            "cannot ask for a user name and a password without a terminal",
            "rcrun login -u NAME --password-stdin " + domain,
        )
    if username is None:
        output.tell(f"User name for {domain}:")
        username = sys.stdin.readline().strip()
    if password is None:
        from getpass import getpass

        password = getpass("Password: ")
    if not username or not password or ":" in username:
        raise InvalidInput("a user name without a colon and a password are needed")
    return Credentials(username, password, "the command line")


def _auth_path(authfile: str | None) -> str:
    from rcrun.registry.login import auth_path

    config = context.settings.config_dir
    if config and not authfile:
        authfile = f"{config}/config.json"
    podman = context.settings.personality == "podman"
    return auth_path(context.environ(), authfile=authfile or "", for_podman=podman)


@command()
@option("--authfile", metavar="FILE", help="Forget the credentials in this file")
@argument("registry", required=False)
def logout(registry: str | None, authfile: str | None) -> None:
    """Forget the credentials for a registry; Docker Hub if none is named."""
    from rcrun.registry import login as registries

    domain = registries.domain_of(registry or "")
    shown = registries.key_of(domain)
    if registries.forget(_auth_path(authfile), domain, context.environ()):
        output.put(f"Removing login credentials for {shown}")
    else:
        output.put(f"Not logged in to {shown}")
