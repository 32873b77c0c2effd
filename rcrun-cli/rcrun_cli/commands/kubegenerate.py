"""`rcrun kube generate`, which podman also calls `generate kube`."""

from __future__ import annotations

import os

from rcrun.errors import AlreadyExists, InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option

_HEADER = """# Save the output of this file and use kubectl create -f to import
# it into Kubernetes.
#
# Created with rcrun-{version}
"""


@command("generate", failure_status=125)
@option("-f", "--filename", metavar="FILE", help="Write it to this file, which must not exist")
@option("--no-trunc", is_flag=True, hidden=True, help="For scripts: annotations are never cut")
@option(
    "--podman-only", is_flag=True, help="With podman's own annotations, which Kubernetes refuses"
)
@option(
    "-r", "--replicas", type=int, default=1, metavar="COUNT", help="How many pods a deployment has"
)
@option("-s", "--service", is_flag=True, help="Print a Service for the ports, too")
@option(
    "-t", "--type", "kind", default="pod", metavar="KIND", help="pod, deployment, daemonset or job"
)
@argument("names", nargs=-1, required=True, metavar="CONTAINER|POD|VOLUME")
def generate_kube(
    names: tuple[str, ...],
    filename: str | None,
    no_trunc: bool,
    podman_only: bool,
    replicas: int,
    service: bool,
    kind: str,
) -> None:
    """Print documents of Kubernetes for containers, pods and volumes that are here."""
    from rcrun.engine.kube.generate import KINDS, Wanted, generate
    from rcrun.formats.kube.documents import text_of
    from rcrun.version import VERSION

    if kind not in KINDS:
        raise InvalidInput(f'invalid --type "{kind}"', f"it is one of {', '.join(KINDS)}")
    if replicas < 1 or (replicas > 1 and kind != "deployment"):
        raise InvalidInput(
            f"invalid --replicas {replicas}", "more than one goes with --type deployment"
        )
    if filename and os.path.lexists(filename):
        raise AlreadyExists(f'cannot write "{filename}": it exists')
    wanted = Wanted()
    wanted.kind, wanted.replicas, wanted.service, wanted.podman_only = (
        kind,
        replicas,
        service,
        podman_only,
    )
    generated = generate(context.engine(), names, wanted)
    for note in generated.notes:
        output.warn(note)
    text = _HEADER.format(version=VERSION) + "".join(
        f"---\n{each}" for each in text_of(generated.documents)
    )
    if filename:
        from rcrun_cli.textfile import write_text

        write_text(filename, text)
    else:
        output.put(text.removesuffix("\n"))
