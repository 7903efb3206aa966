"""A study that gets more sizes and images after it was swept. Pure.

What was measured stays comparable with what is added: all else in the study has to be as it was.
"""

import msgspec

from driver.planning.resume import check_same_study
from driver.planning.study import Images, Study
from pullstudy.pulls.image_size import ImageSize


def extended(kept: Study, asked: Study) -> Study:
    """The kept study, and then the sizes and images of ``asked`` that it lacks. Raises UsageError for other changes."""
    alike = msgspec.structs.replace(
        asked,
        cluster=msgspec.structs.replace(asked.cluster, sizes=kept.sizes),
        images=msgspec.structs.replace(kept.images, sizes={**kept.images.sizes, **_sizes(asked, kept)}),
        collect=kept.collect,
    )
    check_same_study(alike, kept, "--extend", "only sizes and images can be added: leave it as it was,")
    return msgspec.structs.replace(
        kept,
        cluster=msgspec.structs.replace(kept.cluster, sizes=_joined(kept.sizes, asked.sizes)),
        images=_with_images(kept, asked),
    )


def _with_images(kept: Study, asked: Study) -> Images:
    there = kept.images.references
    new = tuple(image for image in asked.images.references if image not in there)
    sizes = {**_sizes(asked, asked), **kept.images.sizes}
    return msgspec.structs.replace(kept.images, more=(*kept.images.more, *new), sizes=sizes)


def _sizes(told: Study, study: Study) -> dict[str, ImageSize]:
    """What is told of the study's images."""
    there = study.images.references
    return {image: size for image, size in told.images.sizes.items() if image in there}


def _joined(kept: tuple[int, ...], asked: tuple[int, ...]) -> tuple[int, ...]:
    return (*kept, *(size for size in asked if size not in kept))
