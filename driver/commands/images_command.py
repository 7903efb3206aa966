"""``pulldriver images``: images to order, and the layers of others."""

import os
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import Json
from driver.errors import UsageError
from pullstudy.pulls.printable import printable

if TYPE_CHECKING:
    from driver.images.build import BuiltImage
    from driver.images.describe import DescribedImage, DescribedLayer
    from driver.images.layer_writer import Program

_OFF = 0.01  # packed bytes that miss what was asked for by more are told of

images_app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="""Images to order, the same bytes every time, built and pushed; and the layers of any image, described.

    Examples:

      pulldriver images build images --layers 9,125 --bytes 200MB,1GB --compression gzip:6,zstd:3

      pulldriver images push images registry.example/team/chonks

      pulldriver images describe registry.example/team/app:1.2
    """,
)


@images_app.command()
def build(
    layout: Annotated[
        Path, typer.Argument(metavar="LAYOUT", help="The OCI image layout: a directory, made or added to.")
    ],
    layers: Annotated[
        str | None, typer.Option("--layers", metavar="LIST", help="Layers of an image. [default: 9]")
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--bytes", metavar="LIST", help="Of an image, unpacked: 1176249324, 200MB or 1.5GiB. [default: 200MB]"
        ),
    ] = None,
    compression: Annotated[
        str | None,
        typer.Option("--compression", metavar="LIST", help="gzip:1 to :9, zstd:1 to :19, none. [default: gzip:6]"),
    ] = None,
    ratio: Annotated[
        str | None,
        typer.Option(
            "--ratio", metavar="LIST", help="What compression leaves, up to 1; 0: zeros alone. [default: 0.4]"
        ),
    ] = None,
    files: Annotated[
        str | None, typer.Option("--files", metavar="LIST", help="Files in a layer. [default: 16]")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="seed: layers and bytes of the 32 images of the first study, each layer a file of zeros unless told "
            "otherwise; quick: 6 of them; seed-38: all that it ran.",
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="IMAGE",
            help="As many layers, each of the same compressed bytes, as what describe takes has.",
        ),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option("--program", metavar="FILE", help="A static program: /bin/NAME in the image, and its command."),
    ] = None,
    seed: Annotated[str, typer.Option("--seed", metavar="TEXT", help="Of the files' bytes.")] = "0",
    architecture: Annotated[str, typer.Option("--arch", metavar="NAME", help="As Go calls it.")] = "amd64",
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", min=1, max=256, help="Layers built at once. [default: one a CPU]"),
    ] = None,
) -> None:
    """Build images into an OCI image layout: each number of layers with each size, compression, ratio, number of files.

    With the same versions of zlib and zstandard the bytes are the same every time. What is there is not built again.

    Examples:

      pulldriver images build images --layers 9,125 --bytes 200MB,1GB --compression gzip:6,zstd:3,none

      pulldriver images build seed --study seed

      pulldriver images build images --like registry.example/team/app:1.2 --compression zstd
    """
    from driver.images.asked import AskedImages
    from driver.images.build import build as build_images
    from driver.images.layout import Layout

    asked = AskedImages(
        layers=layers,
        sizes=sizes,
        compression=compression,
        ratio=ratio,
        files=files,
        study=study,
        like=like,
        seed=seed,
        architecture=architecture,
    )
    ran = _program(program)
    for image in build_images(Layout(layout), asked.orders(os.environ), threads or os.cpu_count() or 1, ran):
        print(_built_line(image))
        if abs(image.off) > _OFF:
            missed = f"{image.off:+.1%} of the compressed bytes asked for: its layers are too small for their files"
            print(f"pulldriver: {image.order.name}: {missed}", file=sys.stderr)


def _program(path: Path | None) -> "Program | None":
    from driver.images.layer_writer import Program

    if path is None:
        return None
    try:
        return Program(path.name, path.read_bytes())
    except OSError as error:
        raise UsageError(f"--program {path}: {error.strerror}") from error


def _built_line(image: "BuiltImage") -> str:
    sizes = f"{image.unpacked_bytes / 1e6:,.1f} MB unpacked, {image.packed_bytes / 1e6:,.1f} MB compressed"
    there = "" if image.new else ", there already"
    return f"{image.order.name}: {len(image.layers)} layers, {sizes}, {image.digest}{there}"


@images_app.command()
def push(
    layout: Annotated[Path, typer.Argument(metavar="LAYOUT", help="The OCI image layout.")],
    target: Annotated[str, typer.Argument(metavar="HOST/REPOSITORY", help="Where the images go, each by its name.")],
    image: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="GLOB", help="Only images whose name, or its end, fits; may be repeated."),
    ] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Without TLS, which is else for a registry on this machine alone.")
    ] = False,
) -> None:
    """Push images of a layout to a registry. What is there is not sent again: after an interrupt the same goes on.

    Logins are Docker's. A blob whose connection was cut goes on from where it was, if the registry knows where.

    Examples:

      pulldriver images push images registry.example/team/chonks

      pulldriver images push images 10.0.0.5:5000/chonks --plain-http --image 'zstd-3:*'
    """
    import asyncio

    from driver.commands.push_display import shown_progress
    from driver.images.layout import Layout
    from driver.images.push import Waiting, bytes_of, push, references
    from pullstudy.pulls.image import image_fits

    found = Layout(layout)
    wanted = {
        name: reference
        for name, reference in references(found, target).items()
        if not image or any(image_fits(name, pattern) for pattern in image)
    }
    if not wanted:
        raise UsageError(f"{layout} has no image{' that fits' if image else ''}; pulldriver images build makes some")

    async def push_all() -> None:
        waiting = Waiting(asyncio.sleep, Random())
        with shown_progress(bytes_of(found, list(wanted)), sys.stderr) as progress:
            async for pushed in push(found, wanted, os.environ, waiting, progress, plain_http=plain_http):
                sizes = f"{pushed.sent_bytes:,} bytes sent, {pushed.there_bytes:,} there already"
                progress.line(f"{pushed.reference}: {pushed.layers} layers, {sizes}, {pushed.digest}")

    asyncio.run(push_all())


@images_app.command()
def describe(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="An image at its registry, an OCI layout (LAYOUT, or LAYOUT:NAME for one of its images), or a file of "
            "manifests.",
        ),
    ],
    json: Json = False,
) -> None:
    """Show an image's layers: media type, compressed bytes, and of a layout the files and what they unpack to.

    Logins are Docker's. Of several platforms it is linux/amd64.

    Examples:

      pulldriver images describe registry.example/team/app:1.2

      pulldriver images describe images:9-layers-size-200000000-bytes --json
    """
    import msgspec

    from driver.images.describe import describe as describe_image

    found = describe_image(source, os.environ)
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    for image in found:
        print("\n".join(_description(image)))


def _description(image: "DescribedImage") -> list[str]:
    known = [layer.unpacked_bytes for layer in image.layers if layer.unpacked_bytes is not None]
    unpacked = f", {sum(known):,} bytes unpacked" if known else ""
    total = sum(layer.bytes for layer in image.layers)
    name = printable(image.name or "image")
    head = f"{name}: {len(image.layers)} layers, {total:,} bytes compressed{unpacked}"
    columns = f"{'layer':>5} {'bytes':>15} {'unpacked':>15} {'files':>9}  {'digest':19}  media type"
    return [head, columns, *(_layer_line(place, layer) for place, layer in enumerate(image.layers, 1))]


def _layer_line(place: int, layer: "DescribedLayer") -> str:
    unpacked, files = (f"{each:,}" if each is not None else "-" for each in (layer.unpacked_bytes, layer.files))
    digest, media_type = printable(layer.digest[:19]), printable(layer.media_type or "-")
    return f"{place:>5} {layer.bytes:>15,} {unpacked:>15} {files:>9}  {digest:19}  {media_type}"
