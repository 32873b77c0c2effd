"""`rcrun image trust`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

COLUMNS = {"Transport": "TRANSPORT", "Name": "NAME", "Type": "TYPE", "Id": "ID", "Store": "STORE"}


@command("trust")
@option("-t", "--type", "kind", metavar="TYPE", help="accept, reject, signedBy or sigstoreSigned")
@option(
    "-f", "--pubkeysfile", multiple=True, metavar="FILE", help="A public key; all must have signed"
)
@option("-j", "--json", "as_json", is_flag=True, help="Print JSON")
@option("--raw", is_flag=True, help="Print the file as it is")
@option("--policypath", metavar="FILE", help="Read or write this file", hidden=True)
@argument("action", metavar="show|set")
@argument("registry", required=False)
def trust_images(
    action: str,
    registry: str | None,
    kind: str | None,
    pubkeysfile: tuple[str, ...],
    as_json: bool,
    raw: bool,
    policypath: str | None,
) -> None:
    """Print (show) what policy.json asks of images, or set it for REGISTRY[/REPOSITORY] or for `default`."""
    if action == "show":
        _show(registry or "", policypath or "", as_json=as_json, raw=raw)
    elif action == "set" and registry:
        from rcrun.engine.trustchange import set_rule

        kind = kind or "signedBy"
        set_rule(context.environ(), registry, kind, pubkeysfile, policypath or "")
    else:
        raise InvalidInput(
            f'cannot "{action}" trust' if registry or action != "set" else "set trust of what?",
            "rcrun image trust show, or: rcrun image trust set --type reject default",
        )


def _show(name: str, path: str, *, as_json: bool, raw: bool) -> None:
    from rcrun.engine.trust import policy_path
    from rcrun.engine.trustchange import rules

    if raw:
        file = policy_path(context.environ(), path)
        try:
            with open(file, encoding="utf-8") as text:
                output.put(text.read().rstrip("\n"))
        except OSError as error:
            raise InvalidInput(f'cannot read "{file}": {(error.strerror or "").lower()}') from error
        return
    rows = [
        {
            "Transport": rule.transport,
            "Name": rule.name,
            "Type": rule.kind,
            "Id": rule.keys,
            "Store": rule.store,
        }
        for rule in rules(context.environ(), path)
        if name in ("", rule.name)
    ]
    output.Listing(COLUMNS, tuple(COLUMNS)).print(rows, "json" if as_json else None)
