"""`rcrun save`."""

from __future__ import annotations

from rcrun.errors import InvalidInput
from rcrun_cli import context
from rcrun_cli.commands.export import refuse_terminal
from rcrun_cli.declare import argument, command, option

FORMATS = ["docker-archive", "oci-archive", "oci-dir", "docker-dir"]


@command()
@option("-o", "--output", "path", metavar="FILE|DIR", help="Write there, not to standard output")
@option(
    "--format",
    "form",
    metavar="|".join(FORMATS),
    default="docker-archive",
    help="The first is read by OCI tools, too",
)
@option(
    "-m", "--multi-image-archive", is_flag=True, help="For scripts: several images are fine anyway"
)
@option(
    "--compress",
    is_flag=True,
    hidden=True,
    help="For scripts: layers are written as the store has them",
)
@option("--uncompressed", is_flag=True, hidden=True, help="For scripts: see --compress")
@option("-q", "--quiet", is_flag=True, help="For scripts: there is no progress to hide")
@option("--platform", metavar="OS/ARCH[/VARIANT]", help="Only images for this platform")
@argument("images", nargs=-1, required=True)
def save(
    images: tuple[str, ...],
    path: str | None,
    form: str,
    multi_image_archive: bool,
    compress: bool,
    uncompressed: bool,
    quiet: bool,
    platform: str | None,
) -> None:
    """Write images to an archive or a directory, which `load` reads."""
    from rcrun.engine.export import OutputFile
    from rcrun.engine.save import find_all, save_archive, save_directory

    if form not in FORMATS:
        raise InvalidInput(f'invalid format "{form}"', f"write one of {' '.join(FORMATS)}")
    to_stdout = path in (None, "-", "/dev/stdout")
    engine = context.engine()
    if to_stdout and form.endswith("-dir"):
        raise InvalidInput(f"{form} is a directory, not a stream", "name it: -o DIR")
    if to_stdout:
        refuse_terminal(f"rcrun save -o FILE {' '.join(images)}")
    saved = find_all(engine.store, images, platform or "")
    if form.endswith("-dir"):
        save_directory(engine, saved, form, str(path))
    elif to_stdout:
        save_archive(engine, saved, form, 1)
    else:
        with OutputFile(str(path)) as file:
            save_archive(engine, saved, form, file.fd)
