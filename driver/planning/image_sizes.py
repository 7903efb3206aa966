"""What a study knows of its images' sizes, and which of them are guessed."""

import msgspec

from driver.planning.study import Images, Study
from pullstudy.pulls.image import parse_image, study_shape
from pullstudy.pulls.image_size import ImageSize, SizeSource, guessed_size


def unpacked_bytes(images: Images, image: str) -> int | None:
    """As it is told of the image, or as its name says; None where nothing tells it."""
    if image in images.sizes:
        return images.sizes[image].unpacked
    shape = study_shape(parse_image(image).tag)
    return shape[1] if shape else None


def untold(images: Images) -> tuple[str, ...]:
    """The images whose size nothing tells."""
    return tuple(image for image in images.references if unpacked_bytes(images, image) is None)


def is_guess(images: Images, image: str) -> bool:
    """Whether what stands there of the image's size is a guess."""
    return image in images.sizes and images.sizes[image].source is SizeSource.GUESSED


def guessed(images: Images) -> tuple[str, ...]:
    """The images whose size nothing tells but a guess, or not even that."""
    unknown = untold(images)
    return tuple(image for image in images.references if image in unknown or is_guess(images, image))


def with_guesses(study: Study) -> Study:
    """As it is simulated: what nothing tells is guessed, and kept with the run."""
    guesses = {image: guessed_size(image) for image in untold(study.images)}
    return with_sizes(study, guesses) if guesses else study


def with_sizes(study: Study, sizes: dict[str, ImageSize]) -> Study:
    """With these, but where the study says another."""
    images = msgspec.structs.replace(study.images, sizes={**sizes, **study.images.sizes})
    return msgspec.structs.replace(study, images=images)
