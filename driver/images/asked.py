"""Which images a command asks for, in its own words: options as given, None where they are not."""

from collections.abc import Iterable, Mapping

import msgspec

from driver.errors import UsageError
from driver.images import order
from driver.images.describe import describe
from driver.images.likeness import orders_like
from driver.images.order import Algorithm, ImageOrder, Matrix, usual
from driver.planning.seed_images import TAGS

USUAL_LAYERS, USUAL_BYTES, USUAL_RATIO, USUAL_FILES = "9", "200MB", "0.4", "16"
_SEED_RATIO, _SEED_FILES = "0", "1"  # each of its layers is a file of zeros


class AskedImages(msgspec.Struct, frozen=True, kw_only=True):
    """Lists are as they stand on the command line."""

    layers: str | None = None
    sizes: str | None = None
    compression: str | None = None
    ratio: str | None = None
    files: str | None = None
    study: str | None = None
    like: str | None = None
    seed: str = "0"
    architecture: str = "amd64"

    def orders(self, environment: Mapping[str, str]) -> Iterable[ImageOrder]:
        """Raises UsageError; where an image is asked for like another, what describe() raises."""
        shaped = self.layers or self.sizes
        if sum(each is not None for each in (shaped, self.study, self.like)) > 1:
            raise UsageError("--layers with --bytes, --study and --like: give one of them")
        if self.like is not None:
            return self._like(self.like, environment)
        if self.study is not None:
            return self._matrix(self._seed_shapes(self.study), _SEED_RATIO, _SEED_FILES).orders()
        layers, sizes = order.layers_of(self.layers or USUAL_LAYERS), order.bytes_of(self.sizes or USUAL_BYTES)
        return self._matrix(order.shapes_of(layers, sizes), USUAL_RATIO, USUAL_FILES).orders()

    def _seed_shapes(self, study: str) -> tuple[tuple[int, int], ...]:
        if study not in TAGS:
            raise UsageError(f"--study {study}: give {', '.join(TAGS)}; or --layers and --bytes")
        return order.shapes_of_tags(TAGS[study])

    def _matrix(self, shapes: tuple[tuple[int, int], ...], ratio: str, files: str) -> Matrix:
        return Matrix(
            shapes=shapes,
            compressions=tuple(self._compressions or [usual(Algorithm.GZIP)]),
            ratios=tuple(order.ratios_of(self.ratio or ratio)),
            files=tuple(order.files_of(self.files or files)),
            seed=self.seed,
            architecture=self.architecture,
        )

    @property
    def _compressions(self) -> list[order.Compression]:
        return order.compressions_of(self.compression) if self.compression is not None else []

    def _like(self, source: str, environment: Mapping[str, str]) -> Iterable[ImageOrder]:
        ratios, files = order.ratios_of(self.ratio or USUAL_RATIO), order.files_of(self.files or USUAL_FILES)
        if max(len(ratios), len(files), len(self._compressions)) > 1:
            raise UsageError("--like: give one --ratio, one --files and one --compression at most")
        return orders_like(
            describe(source, environment),
            ratio=ratios[0],
            files=files[0],
            seed=self.seed,
            architecture=self.architecture,
            compression=next(iter(self._compressions), None),
        )
