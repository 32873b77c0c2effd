"""`rcrun kube play`, `kube down` and `kube apply`."""

from __future__ import annotations

import sys

from rcrun.errors import InvalidInput
from rcrun_cli import context, output
from rcrun_cli.declare import argument, command, option
from rcrun_cli.main import INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rcrun.engine.kube.request import Report, Request
    from rcrun_cli.declare import Handler

_OPTIONS = (
    option("--annotation", "annotations", multiple=True, metavar="KEY=VALUE", help="Add an annotation to the pods and volumes"),
    option("--authfile", metavar="FILE", help="Look for credentials in this file only"),
    option("--build", is_flag=True, default=None, help="Build the images whose folders are here, whether they are in the store or not; false: never"),
    option("--cert-dir", metavar="DIR", help="Take certificates from here too"),
    option("--configmap", "config_maps", multiple=True, metavar="FILE", help="Read ConfigMaps from this file too"),
    option("--context-dir", metavar="DIR", help="With --build: where the folders of images are; the current directory if nothing is said"),
    option("--creds", metavar="USER[:PASSWORD]", help="Log in as this user to fetch images"),
    option("--down", is_flag=True, hidden=True, help="Take down what is in the documents: see kube down"),
    option("--force", is_flag=True, help="With --down: remove the volumes, too"),
    option("--ip", "ips", multiple=True, metavar="ADDRESS", help="The IPv4 address of a pod, in the order of the documents"),
    option("--log-driver", metavar="DRIVER", help="The log driver of all containers"),
    option("--log-opt", "log_opts", multiple=True, metavar="KEY=VALUE", help="An option of it"),
    option("--mac-address", "macs", multiple=True, metavar="MAC", help="The hardware address of a pod, in the order of the documents"),
    option("--network", "--net", "networks", multiple=True, metavar="NETWORK[:KEY=VALUE,…]", help="The network of the pods; one of their own if nothing is said"),
    option("--no-hostname", is_flag=True, help="Leave /etc/hostname as the image has it"),
    option("--no-hosts", is_flag=True, help="Leave /etc/hosts as the image has it"),
    option("--no-pod-prefix", is_flag=True, help="Call containers by their own names, without the pod's before"),
    option("--no-trunc", is_flag=True, hidden=True, help="For scripts: annotations are never cut"),
    option("--publish", "-p", "publish", multiple=True, metavar="[[IP:]HOST:]PORT[/udp]", help="Publish a port, in the place of what the documents say of it"),
    option("--publish-all", is_flag=True, help="Publish the ports without a hostPort, too"),
    option("-q", "--quiet", is_flag=True, help="Print no progress of pulls and builds"),
    option("--replace", is_flag=True, help="Take down what is in the documents first"),
    option("--seccomp-profile-root", "seccomp_root", default="/var/lib/kubelet/seccomp", metavar="DIR", help="Where profiles of seccomp are"),
    option("--service-container", "service", is_flag=True, hidden=True, help="Stay until the pods have ended: for units of systemd"),
    option("--service-exit-code-propagation", "propagation", type=["all", "any", "none"], default="none", hidden=True, help="When the service has failed"),
    option("--signature-policy", metavar="FILE", hidden=True, help="Take this file in the place of policy.json"),
    option("--start", is_flag=True, default=True, help="Start the pods"),
    option("--tls-verify", is_flag=True, default=True, help="Insist on a valid certificate"),
    option("--userns", metavar="MODE", help="The user namespace of the pods"),
    option("-w", "--wait", is_flag=True, help="Stay until the pods have ended, and then take all down, with the volumes"),
)  # fmt: skip
_FILES = argument("files", nargs=-1, required=True, metavar="FILE|URL|-")


def _play_options(handler: Handler) -> Handler:
    for declare in reversed(_OPTIONS):
        handler = declare(handler)
    return handler


@command("play", failure_status=125)
@_play_options
@_FILES
def play_kube(files: tuple[str, ...], **options: Any) -> int:
    """Make pods, volumes and secrets as documents of Kubernetes say."""
    from rcrun.engine.kube import service
    from rcrun.engine.kube.sources import read_documents

    _check(options)
    if options["down"]:
        return _take_down(files, options["force"])
    documents, name = read_documents(files, context.environ())
    try:
        return _play(documents, name, options)
    except service.Interrupted:
        return INTERRUPTED


def _play(documents: Sequence[Any], name: str, options: dict[str, Any]) -> int:
    from rcrun.engine.kube import play, service

    request = _request(options)
    engine = context.engine()
    with service.Staying(engine) as staying:
        report = play.play(engine, documents, name, request)
        _print(report)
        if not (options["wait"] or options["service"]):
            return 0
        sys.stdout.flush()
        code = staying.wait(report.pods, options["propagation"])
        if options["wait"]:
            output.tell("Cleaning up containers, pods, and volumes...")
            _take_down_documents(documents, name, with_volumes=True)
    return code


def _check(options: dict[str, Any]) -> None:
    if options["force"] and not options["down"]:
        raise InvalidInput("--force goes with --down")
    if options["context_dir"] and not options["build"]:
        raise InvalidInput("--context-dir needs --build")
    if (options["service"] or options["wait"]) and not options["start"]:
        raise InvalidInput("conflicting options: --start=false and --wait or --service-container")


def _request(options: dict[str, Any]) -> Request:
    from rcrun.engine.kube.request import Request
    from rcrun.engine.options import pairs
    from rcrun_cli.progress import pull_progress
    from rcrun_cli.registryoptions import access_from

    request = Request()
    for key in ("config_maps", "log_opts", "macs", "networks", "no_hostname", "no_hosts", "publish", "publish_all",
                "replace", "seccomp_root", "start"):  # fmt: skip
        setattr(request, key, options[key])
    request.ips = [word for text in options["ips"] for word in text.split(",")]
    request.annotations = pairs(options["annotations"], "--annotation", bare=False)
    request.build = lambda image, file: _build(image, file, options["quiet"])
    request.builds = options["build"]
    if options["service"] and context.environ().get("INVOCATION_ID"):
        request.cgroups = "split"
    request.context_dir = options["context_dir"] or ""
    request.log_driver = options["log_driver"] or ""
    request.pod_prefix = not options["no_pod_prefix"]
    request.progress = pull_progress(quiet=options["quiet"])
    request.userns = options["userns"] or ""
    ways = ("tls_verify", "creds", "authfile", "cert_dir", "signature_policy")
    request.access = access_from(**{key: options[key] for key in ways})
    return request


def _build(image: str, file: str, quiet: bool) -> None:
    """As `build` does it, which knows of nothing else."""
    from rcrun.errors import RcrunError
    from rcrun_cli.commands.build import build

    folder = file.rpartition("/")[0]
    words = ["--tag", image, "--file", file, *(["--progress=quiet"] if quiet else []), folder]
    values = build.parse(words)
    if values is None or build(**values):
        raise RcrunError(f'the image "{image}" cannot be built of "{file}"')


def _print(report: Report) -> None:
    """As podman prints it."""
    for title, names in (("Volumes:", report.volumes), ("Secrets:", report.secrets)):
        if names:
            output.put(title)
        for name in names:
            output.put(name)
    for played in report.pods:
        output.put("Pod:")
        output.put(played.pod.id)
        if played.containers:
            output.put("Container:" if len(played.containers) == 1 else "Containers:")
        for container_id in played.containers:
            output.put(container_id)
        output.put("")


@command("down", failure_status=125)
@option("--force", is_flag=True, help="Remove the volumes, too")
@_FILES
def down_kube(files: tuple[str, ...], force: bool) -> int:
    """Take down what kube play has made of the same documents."""
    return _take_down(files, force)


def _take_down(files: Sequence[str], force: bool) -> int:
    from rcrun.engine.kube.sources import read_documents

    documents, name = read_documents(files, context.environ())
    return _take_down_documents(documents, name, with_volumes=force)


def _take_down_documents(documents: Sequence[Any], name: str, *, with_volumes: bool) -> int:
    from rcrun.engine.kube.down import take_down
    from rcrun.engine.kube.objects import sort_out

    taken = take_down(context.engine(), sort_out(documents, name), with_volumes=with_volumes)
    for title, names in (
        ("Pods stopped:", taken.pods),
        ("Pods removed:", taken.pods),
        ("Secrets removed:", taken.secrets),
        ("Volumes removed:", taken.volumes),
    ):
        output.put(title)
        for each in names:
            output.put(each)
    for error in taken.errors:
        output.complain(error.message, error.hint)
    return 125 if taken.errors else 0
