"""A profile as a page that needs nothing else, and as a picture."""

from collections.abc import Iterator
from html import escape
from itertools import chain

from driver.profiling.gantt import gantt, stacked
from driver.profiling.node_profile import ImageProfile, NodeProfile
from driver.profiling.pull_spans import pull_trace
from driver.profiling.text import profile_lines
from driver.profiling.verdict import median_pull
from pullstudy.analysis.traces.span import Trace
from pullstudy.extras import require

_PNG_SCALE = 2.0
_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>pullstudy: profile of a pull</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1140px; padding: 0 1rem; color: #1f2328;
       background: #fff }
figure { margin: 1.5rem 0; overflow-x: auto } figcaption { font-weight: 600; margin-bottom: .5rem }
pre { overflow-x: auto; background: #f6f8fa; padding: 1rem; font-size: 12px }
</style>
<h1>Where the time of these pulls goes</h1>
"""


def profile_page(profile: NodeProfile) -> str:
    """HTML: of each image the sentence and the pull in the middle as a Gantt picture, and all tables."""
    parts = [_HEAD]
    parts += [f"<p>{escape(each.sentence)}</p>\n" for each in profile.differences]
    seconds = _longest_seconds(profile)
    for image in profile.images:
        parts.append(f"<h2>{escape(image.image)}</h2>\n")
        parts.append(f"<p>{escape(image.sentence or 'No spans came: only the whole pull is known.')}</p>\n")
        parts += [f"<figure>{picture}</figure>\n" for picture in _pictures_of(image, seconds)]
    tables = escape("\n".join(profile_lines(profile)))
    return "".join([*parts, f"<h2>All that was measured</h2>\n<pre>{tables}</pre>\n</html>\n"])


def profile_png(profile: NodeProfile) -> bytes | None:
    """The pictures, one below the other; None where no spans came. Raises MissingExtraError."""
    convert = require("vl_convert", "report")
    seconds = _longest_seconds(profile)
    pictures = list(chain.from_iterable(_pictures_of(image, seconds) for image in profile.images))
    if not pictures:
        return None
    image: bytes = convert.svg_to_png(stacked(pictures), scale=_PNG_SCALE)
    return image


def profile_traces(profile: NodeProfile) -> Iterator[Trace]:
    """Of every pull that spans told of."""
    for image in profile.images:
        for number, pull in enumerate(image.pulls, 1):
            if pull.stages is not None:
                yield pull_trace(pull.stages, pull.layers, number)


def _longest_seconds(profile: NodeProfile) -> float:
    """Of the pulls that are shown: one scale for all."""
    return max(median_pull(image.pulls).seconds for image in profile.images)


def _pictures_of(image: ImageProfile, seconds: float) -> Iterator[str]:
    """None where no spans came."""
    median = median_pull(image.pulls)
    if median.stages is not None:
        number = image.pulls.index(median) + 1
        title = f"{image.image}: pull {number} of {len(image.pulls)}, {median.seconds:.2f} s"
        yield gantt(pull_trace(median.stages, median.layers, number), title, seconds)
