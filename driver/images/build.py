"""Images built into a layout, layers side by side; what is there already, of the same order, is not built again."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from driver.errors import UsageError
from driver.images.layer_writer import Program, WrittenLayer, write_layer
from driver.images.layout import CONFIG_TYPE, Descriptor, Layout, manifest_document
from driver.images.order import ImageOrder
from driver.images.packing import library_version
from driver.registries.image_documents import MANIFEST_TYPE

ORDER = "io.pullstudy.order"  # the annotation with what the image was made from
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BuiltImage(msgspec.Struct, frozen=True):
    """One image of a layout."""

    order: ImageOrder
    digest: str
    layers: tuple[Descriptor, ...]
    new: bool  # else it was there

    @property
    def packed_bytes(self) -> int:
        return sum(layer.size for layer in self.layers)

    @property
    def unpacked_bytes(self) -> int:
        return sum(layer.unpacked_bytes for layer in self.order.layers)

    @property
    def off(self) -> float:
        """By what share the packed bytes miss what was asked for; 0 where nothing was."""
        pairs = zip(self.layers, self.order.layers, strict=True)
        steered = [(layer.size, order.packed_bytes) for layer, order in pairs if order.steered]
        wanted = sum(asked or 0 for _, asked in steered)
        return sum(size for size, _ in steered) / wanted - 1 if wanted else 0.0


def build(
    layout: Layout, orders: Iterable[ImageOrder], threads: int, program: Program | None = None
) -> Iterator[BuiltImage]:
    """One after the other, each with its layers side by side; each is in the index once it is given out.

    Raises OSError, UsageError, MissingExtraError.
    """
    layout.create()
    with ThreadPoolExecutor(threads) as pool:
        for order in orders:
            _check_room(order, program)
            made_from = _made_from(order, program)
            yield _found(layout, order, made_from) or _built(layout, order, made_from, program, pool)


def _check_room(order: ImageOrder, program: Program | None) -> None:
    first = order.layers[0]
    if program is not None and len(program.content) + first.files > first.unpacked_bytes:
        size = first.unpacked_bytes
        raise UsageError(f"--program {program.name}: the first layer of {order.name} has {size:,} bytes; give it more")


def _made_from(order: ImageOrder, program: Program | None) -> str:
    """All that the image's bytes follow from."""
    ran = {"name": program.name, "sha256": hashlib.sha256(program.content).hexdigest()} if program else None
    libraries = sorted({library_version(layer.compression) for layer in order.layers})
    return msgspec.json.encode([order, libraries, ran]).decode()


def _found(layout: Layout, order: ImageOrder, made_from: str) -> BuiltImage | None:
    entry = layout.images().get(order.name)
    if entry is None or not layout.holds(entry):
        return None
    manifest = layout.manifest(entry)
    whole = all(map(layout.holds, (manifest.config, *manifest.layers)))
    if not whole or manifest.annotations.get(ORDER) != made_from:
        return None
    return BuiltImage(order, entry.digest, manifest.layers, new=False)


def _built(
    layout: Layout, order: ImageOrder, made_from: str, program: Program | None, pool: ThreadPoolExecutor
) -> BuiltImage:
    written = list(pool.map(lambda place: _layer(layout, order, place, program), range(len(order.layers))))
    config = Descriptor(CONFIG_TYPE, *layout.put(_config(order, written, program)))
    layers = tuple(Descriptor(each.media_type, each.digest, each.size) for each in written)
    entry = Descriptor(MANIFEST_TYPE, *layout.put(manifest_document(config, layers, {ORDER: made_from})))
    layout.put_image(order.name, entry)
    return BuiltImage(order, entry.digest, layers, new=True)


def _layer(layout: Layout, order: ImageOrder, place: int, program: Program | None) -> WrittenLayer:
    """No two layers of a layout are alike, in whatever image: a cache would have the second one."""
    path = f"data/{order.tag}/{place}"
    with layout.draft() as file:
        written = write_layer(
            file,
            order.layers[place],
            path,
            key=f"{order.seed}/{path}",
            program=program if place == 0 else None,
        )
        layout.keep(file, written.digest)
    return written


def _config(order: ImageOrder, layers: list[WrittenLayer], program: Program | None) -> bytes:
    """Without a time of its making, which would be another one each time."""
    command = {"Cmd": [f"/bin/{program.name}"]} if program else {}
    body = {
        "architecture": order.architecture,
        "os": "linux",
        "config": {"Env": [_PATH], **command},
        "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
    }
    return msgspec.json.encode(body, order="sorted")
