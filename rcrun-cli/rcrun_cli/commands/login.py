"""`rcrun login` and `rcrun logout`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
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
@option("--compat-auth-file", metavar="FILE", help="As --authfile, a file of docker's kind")
@option("--cert-dir", metavar="DIR", help="Take certificates from here too")
@option("--secret", metavar="NAME", help="The password is in this secret of rcrun's")
@option("--get-login", is_flag=True, help="Print who is logged in, and do nothing")
@option("-v", "--verbose", is_flag=True, help="Tell which file has the credentials")
@argument("registry", required=False)
def login(
    registry: str | None,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    tls_verify: bool,
    authfile: str | None,
    compat_auth_file: str | None,
    cert_dir: str | None,
    secret: str | None,
    get_login: bool,
    verbose: bool,
) -> None:
    """Check credentials with a registry and keep them; Docker Hub if none is named."""
    from rcrun.registry import login as registries

    domain = registries.domain_of(registry or "")
    path = _auth_path(_one_file(authfile, compat_auth_file))
    variables = context.environ()
    if get_login:
        output.put(registries.who(domain, variables, authfile=path))
        return
    if secret:
        username = username or secret  # as podman
        password = _from_secret(secret, password, password_stdin)
    credentials = _asked(domain, username, password, password_stdin)
    registries.verify(domain, credentials, variables, tls=tls_verify, cert_dir=cert_dir or "")
    kept = registries.keep(path, domain, credentials, variables)
    if not kept and context.settings.personality != "podman":
        output.warn(
            f'the password is kept unencrypted in "{path}"',
            "a credential helper keeps it better: credsStore in that file",
        )
    if verbose:
        output.tell(f"Used: {path}")
    output.put("Login Succeeded" + ("!" if context.settings.personality == "podman" else ""))


def _one_file(authfile: str | None, compat: str | None) -> str | None:
    if authfile and compat:
        raise InvalidInput("--authfile and --compat-auth-file cannot be used together")
    return authfile or compat


def _from_secret(name: str, password: str | None, stdin: bool) -> str:
    from rcrun.storage import secrets

    if password is not None or stdin:
        raise InvalidInput("--secret excludes --password and --password-stdin")
    return secrets.content(secrets.load(context.store(), name)).decode().rstrip("\r\n")


def _asked(
    domain: str, username: str | None, password: str | None, password_stdin: bool
) -> Credentials:
    """From the options, standard input, or the person at the terminal."""
    import sys

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
@option("-a", "--all", "everything", is_flag=True, help="Forget the credentials for all registries")
@option("--authfile", metavar="FILE", help="Forget the credentials in this file")
@option("--compat-auth-file", metavar="FILE", help="As --authfile, a file of docker's kind")
@argument("registry", required=False)
def logout(
    registry: str | None, everything: bool, authfile: str | None, compat_auth_file: str | None
) -> None:
    """Forget the credentials for a registry; Docker Hub if none is named."""
    from rcrun.registry import login as registries

    path = _auth_path(_one_file(authfile, compat_auth_file))
    if everything:
        if registry:
            raise InvalidInput("--all and a registry cannot be used together")
        registries.forget_all(path, context.environ())
        output.put("Removed login credentials for all registries")
        return
    domain = registries.domain_of(registry or "")
    shown = registries.key_of(domain)
    if registries.forget(path, domain, context.environ()):
        verb = "Removed" if context.settings.personality == "podman" else "Removing"
        output.put(f"{verb} login credentials for {shown}")
    else:
        output.put(f"Not logged in to {shown}")
