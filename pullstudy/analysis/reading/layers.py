"""The layers of images, as their manifests list them, and the table of the store that keeps them."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from pullstudy.analysis.errors import TagsError
from pullstudy.pulls.image import parse_image
from pullstudy.store.embedded.schema import FILE_NAME
from pullstudy.store.embedded.store import open_connection, store_errors


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of one image: a row of the table ``layers``, whose columns these are."""

    repository: str
    tag: str
    position: int  # in the manifest, from 0: the base comes first
    digest: str
    layer_bytes: int  # compressed, as the registry sends it
    media_type: str | None = None
    platform: str | None = None
    os: str | None = None
    arch: str | None = None
    schema_version: int | None = None

    @property
    def image(self) -> str:
        return f"{self.repository}:{self.tag}"


def write_layers(directory: Path, layers: Iterable[Layer]) -> int:
    """Store the layers; return how many there are.

    An image's rows are replaced as a whole, since a tag can be moved. Raises StoreError.
    """
    rows = [msgspec.structs.astuple(layer) for layer in layers]
    images = {(row[0], row[1]) for row in rows}
    marks = ", ".join("?" * len(Layer.__struct_fields__))
    connection = open_connection(directory, create=True)
    try:
        with store_errors(directory / FILE_NAME), connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM layers WHERE repository = ? AND tag = ?", sorted(images))
            connection.executemany(f"INSERT INTO layers VALUES ({marks})", rows)
    finally:
        connection.close()
    return len(rows)


def shared_by_all(layers: Iterable[Layer]) -> frozenset[str]:
    """Digests that every image holds: a common base. Empty for fewer than two images."""
    pairs = {(layer.image, layer.digest) for layer in layers}
    images = {image for image, _ in pairs}
    holders = Counter(digest for _, digest in pairs)
    if len(images) < 2:
        return frozenset()
    return frozenset(digest for digest, count in holders.items() if count == len(images))


def without(layers: Iterable[Layer], digests: frozenset[str]) -> list[Layer]:
    return [layer for layer in layers if layer.digest not in digests]


def choose_tags(layers: Iterable[Layer], tags: Sequence[str]) -> list[Layer]:
    """The layers of the images with these tags, in the order of the tags."""
    rank = {tag: place for place, tag in enumerate(tags)}
    return sorted((layer for layer in layers if layer.tag in rank), key=lambda layer: rank[layer.tag])


def read_layers(directory: Path) -> list[Layer]:
    """What the study knows of its images' layers, in the order in which they were imported. Raises StoreError."""
    connection = open_connection(directory, create=False)
    try:
        with store_errors(directory / FILE_NAME):
            rows = connection.execute("SELECT * FROM layers ORDER BY rowid").fetchall()
    finally:
        connection.close()
    return [Layer(**dict(zip(Layer.__struct_fields__, row, strict=True))) for row in rows]


def read_tags(path: Path) -> list[str]:
    """Tags that a file names, in order. A text is an image if it has a tag; ``a/b:c`` counts for ``c``.

    A list of one a line; a CSV file, of whose header's cells if those are several images, or else of whose first column
    that is; or JSON: an array of them, or an object whose keys they are. Raises AnalysisError.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        groups = _json_names(text) if text.lstrip()[:1] in ("[", "{") else _csv_names(text)
    except OSError as error:
        raise TagsError(path, error.strerror or str(error)) from error
    except (ValueError, csv.Error) as error:
        raise TagsError(path, str(error)) from error
    for names in groups:
        tags = [tag for tag in map(_tag, names) if tag]
        if tags:
            return list(dict.fromkeys(tags))
    raise TagsError(path, "nothing in it names an image with a tag")


def _json_names(text: str) -> list[Iterable[str]]:
    value = json.loads(text)
    return [[name for name in value if isinstance(name, str)]]


def _csv_names(text: str) -> list[Iterable[str]]:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    columns = list(zip(*rows, strict=False))
    return [rows[0], *columns] if rows and len(rows[0]) > 1 else [*columns]


def _tag(cell: str) -> str | None:
    return parse_image(cell.strip(' "')).tag
