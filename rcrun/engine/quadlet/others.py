"""Files of volumes, networks, images, artifacts and builds: units that make sure that these are there. Pure."""

from __future__ import annotations

from rcrun.engine.quadlet import names
from rcrun.errors import InvalidInput
from rcrun.formats import unitfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rcrun.engine.quadlet.service import Service


def complete_volume(service: Service) -> None:
    words = ["volume", "create", "--ignore", *service.options(), *_volume_options(service)]
    service.add_command(
        "ExecStart", [*words, *service.extra_arguments(), names.made_name(service.unit)]
    )
    service.as_one_shot()


def _volume_options(service: Service) -> list[str]:
    _refuse_image_driver(service)
    words = [] if service.unit.truth("Volume", "Copy", True) else ["--opt", "nocopy"]
    device, kind = service.value("Device"), service.value("Type")
    if kind and not device:
        raise InvalidInput("Type= needs Device=")
    if device:
        words += ["--opt", f"device={device}"]
    if kind:
        words += ["--opt", f"type={kind}"]
    if kind == "bind":
        service.add("Unit", "RequiresMountsFor", unitfile.quoted(device))
    options = [
        *_owner(service),
        *(service.value("Options").split(",") if service.value("Options") else ()),
    ]
    if kind == "bind" and "bind" not in options and "rbind" not in options:
        options.insert(0, "bind")
    return [*words, *(["--opt", f"o={','.join(options)}"] if options else ())]


def _refuse_image_driver(service: Service) -> None:
    if service.value("Driver") == "image":
        raise InvalidInput(
            "Driver=image is not supported: containers mount an image with Mount=type=image,source=IMAGE,…"
        )
    if service.value("Image"):
        raise InvalidInput("Image= in [Volume] goes with Driver=image, which is not supported")


def _owner(service: Service) -> list[str]:
    """Root's they are in any case, until a container brings other files."""
    owners = [(key, service.value(word)) for key, word in (("uid", "User"), ("gid", "Group"))]
    for key, value in owners:
        if value and value != "root" and not value.isdigit():
            raise InvalidInput(f'the {key} "{value}" in [Volume] is no number')
    numbers = [(key, "0" if value == "root" else value) for key, value in owners if value]
    if all(number == "0" for _, number in numbers):
        return []
    return [f"{key}={number}" for key, number in numbers]


def complete_network(service: Service) -> None:
    name = names.made_name(service.unit)
    if service.unit.truth("Network", "NetworkDeleteOnStop"):
        service.add_command("ExecStopPost", ["network", "rm", name])
    words = ["network", "create", "--ignore", *service.options(), *_subnets(service)]
    service.add_command("ExecStart", [*words, *service.extra_arguments(), name])
    service.as_one_shot()


def _subnets(service: Service) -> list[str]:
    subnets, gateways, ranges = (
        service.unit.every("Network", key) for key in ("Subnet", "Gateway", "IPRange")
    )
    if len(gateways) > len(subnets) or len(ranges) > len(subnets):
        raise InvalidInput("each Gateway= and each IPRange= needs a Subnet=")
    words = []
    for number, subnet in enumerate(subnets):
        words += ["--subnet", subnet]
        words += ["--gateway", gateways[number]] if number < len(gateways) else []
        words += ["--ip-range", ranges[number]] if number < len(ranges) else []
    return words


def complete_image(service: Service) -> None:
    if not service.value("Image"):
        raise InvalidInput("Image= is not given")
    words = ["image", "pull", *service.options(), *service.extra_arguments()]
    service.add_command("ExecStart", [*words, service.value("Image")])
    service.as_one_shot()


def complete_artifact(service: Service) -> None:
    if not service.value("Artifact"):
        raise InvalidInput("Artifact= is not given")
    words = ["artifact", "pull", *service.options(), *service.extra_arguments()]
    service.add_command("ExecStart", [*words, service.value("Artifact")])
    service.as_one_shot()


def complete_build(service: Service) -> None:
    if not service.unit.every("Build", "ImageTag"):
        raise InvalidInput("ImageTag= is not given")
    words = ["build", *service.options(), *service.add_networks(), *service.add_volumes()]
    context, file = _context(service), service.value("File")
    folder = service.last("Service", "WorkingDirectory") or ""
    if not (context or file or folder):
        raise InvalidInput("neither File= nor SetWorkingDirectory= is given")
    if file:
        words += ["--file", file]
    words += service.extra_arguments()
    if context:
        words.append(context)
    elif not file or not (file.startswith(("/", "%")) or _is_url(file)):
        if not folder:
            raise InvalidInput(f'File="{file}" is no whole path, which needs SetWorkingDirectory=')
        words.append(folder)
    service.add_command("ExecStart", words)
    service.as_one_shot(remains=False)


def _context(service: Service) -> str:
    """Of the build, where SetWorkingDirectory= names it; the unit's directory is set for relative paths."""
    asked = service.value("SetWorkingDirectory")
    if not asked:
        return ""
    word, context, beside = asked.lower(), "", ""
    if word == "file":
        beside = service.value("File")
        if not beside:
            raise InvalidInput("SetWorkingDirectory=file needs File=")
    elif word == "unit":
        beside = "unit"
    else:
        context = asked
        beside = "" if asked.startswith("/") or _is_url(asked) else "unit"
    if not beside:
        return context
    if service.last("Service", "WorkingDirectory"):
        return ""
    service.add("Service", "WorkingDirectory", service.absolute(beside).rpartition("/")[0] or "/")
    return context


def _is_url(text: str) -> bool:
    return "://" in text or text.startswith("github.com/")
