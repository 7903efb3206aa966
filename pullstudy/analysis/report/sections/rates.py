"""How fast pulls were: an image's bytes over its pulls' seconds."""

from dataclasses import dataclass
from typing import Any

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import colour_by_series, rounded
from pullstudy.analysis.report.sections.pull_samples import (
    SHOWN,
    SampledImage,
    SampleGroup,
    panel_names,
    sample_groups,
)
from pullstudy.analysis.report.series import Series
from pullstudy.analysis.statistics.quantiles import quantile

# Images of programs and data come compressed to a half or a third. What comes to less than a twentieth is made to.
_MOST_COMPRESSION = 20
_MORE_THAN_SENT = 1.2  # times a manifest's layers: beside these containerd counts configuration and manifest, some kB


@dataclass(frozen=True)
class _Counted:
    """What is counted as an image's bytes."""

    slug: str
    title: str
    said: str


_UNPACKED = _Counted(
    "unpacked",
    "Unpacked bytes a second",
    "The unpacked bytes that the image's tag states, over the pull's duration: what the node wrote, and not what came "
    "over the link.",
)
_COMPRESSED = _Counted(
    "image",
    "Compressed bytes a second",
    "The image's size as the kubelet reports it, over the pull's duration. With containerd that is its compressed "
    "layers, which the registry sends; layers that the node had already are counted too.",
)

_SENT = _Counted(
    "manifest",
    "Compressed bytes a second, by manifests",
    "The bytes of the layers that the image's manifest lists, which the registry sends, over the pull's duration; "
    "layers that the node had already are counted too.",
)


def build(facts: Facts) -> Section:
    blocks: list[Block] = []
    for group in sample_groups(facts):
        counted = [
            each for each in (_UNPACKED, _COMPRESSED, _SENT) if any(_bytes(image, each) for image in group.images)
        ]
        blocks += [figure for each in counted if (figure := _figure(group, each, facts.series))]
        blocks += _left_out(group)
    if not blocks:
        words = "Neither kubelets nor tags state the bytes of an image of this study, so that no rate is known."
        return Section("rates", "Pull rate", (paragraph(words),))
    head = paragraph(
        "A pull's duration is download and unpacking together, so that these are rates of both, and lower than that of "
        "the network. Points are medians of the downloads; lines reach from the 5th to the 95th percentile, of fewer "
        f"than 20 downloads nearly from the least to the greatest. At most {SHOWN} images of a kind are shown: those "
        "with the most pull time."
    )
    return Section("rates", "Pull rate", (head, *blocks))


def _bytes(image: SampledImage, counted: _Counted) -> int | None:
    """None where they are unknown, or, of compressed ones, say nothing of the work."""
    if counted is _UNPACKED:
        return image.key.unpacked_bytes
    unpacked = counts_unpacked(image.image_bytes, image.sent_bytes)
    if counted is _SENT:
        wanted = image.image_bytes is None or unpacked
        return image.sent_bytes if wanted and not hardly_sent(image.key.unpacked_bytes, image.sent_bytes) else None
    return None if _hardly_sent(image) or unpacked else image.image_bytes


def counts_unpacked(image_bytes: float | None, sent_bytes: int | None) -> bool:
    """Whether the kubelet's size of an image is more than the registry sends: CRI-O and Docker tell it unpacked."""
    return bool(image_bytes and sent_bytes and image_bytes > _MORE_THAN_SENT * sent_bytes)


def hardly_sent(unpacked: int | None, compressed: float | None) -> bool:
    """Whether the unpacked bytes are so many times the compressed ones that hardly any come from the registry."""
    return (unpacked or 0) > _MOST_COMPRESSION * (compressed or float("inf"))


def _hardly_sent(image: SampledImage) -> bool:
    return hardly_sent(image.key.unpacked_bytes, image.image_bytes)


def _left_out(group: SampleGroup) -> list[Markup]:
    return [*_unpacked_counted(group), *_hardly_counted(group)]


def _unpacked_counted(group: SampleGroup) -> list[Markup]:
    more = [image for image in group.images if counts_unpacked(image.image_bytes, image.sent_bytes)]
    if not more:
        return []
    ratios = sorted((image.image_bytes or 0) / (image.sent_bytes or 1) for image in more)
    return [
        paragraph(
            f"Of {wording.plural(len(more), 'image')} kubelets count {_times(ratios)} the bytes that the manifest "
            "lists: unpacked ones. A rate of those would not be that of the link: the one by manifests is shown."
        )
    ]


def _hardly_counted(group: SampleGroup) -> list[Markup]:
    hardly = [image for image in group.images if _hardly_sent(image)]
    if not hardly:
        return []
    ratios = sorted((image.key.unpacked_bytes or 0) / (image.image_bytes or 1) for image in hardly)
    return [
        paragraph(
            f"{wording.plural(len(hardly), 'image unpacks', 'images unpack')} to {_times(ratios)} the bytes "
            "that the kubelet reports: that compresses to almost nothing, so that hardly any bytes come from "
            "the registry. A rate of compressed bytes would say nothing of the network, and is left out."
        )
    ]


def _times(ratios: list[float]) -> str:
    """``930 to 1,000 times``, or one of them where they are as good as equal."""
    low, high = (f"{ratio:,.{1 if ratio < 10 else 0}f}" for ratio in (ratios[0], ratios[-1]))
    return f"{low} times" if low == high else f"{low} to {high} times"


def _figure(group: SampleGroup, counted: _Counted, series: Series) -> Figure | None:
    names = panel_names(group.shown)
    rows = [
        {"category": names[image.key], "series": label, **_rates(image.seconds(label), size)}
        for image in group.shown
        if (size := _bytes(image, counted))
        for label in image.units
        if any(value > 0 for value in image.seconds(label))
    ]
    if not rows:
        return None
    title = f"{counted.title}: {group.words}"
    return Figure(f"rate-{counted.slug}-{group.slug}", title, counted.said, _spec(rows, list(names.values()), series))


def _rates(seconds: list[float], size: int) -> dict[str, float]:
    """MB a second."""
    rates = sorted(size / value / 1e6 for value in seconds if value > 0)
    low, middle, high = (rounded(quantile(rates, probability)) for probability in (0.05, 0.5, 0.95))
    return {"low": low, "median": middle, "high": high, "count": len(rates)}


def _spec(rows: list[dict[str, Any]], names: list[str], series: Series) -> dict[str, Any]:
    """Names stand at the left, where they have room."""
    colours = series.colours(label for label in series.labels if any(row["series"] == label for row in rows))
    present = [name for name in names if any(row["category"] == name for row in rows)]
    x = {"type": "quantitative", "title": "MB a second", "scale": {"zero": True}, "axis": {"tickCount": 8}}
    tips = [{"field": name} for name in ("category", "series", "count", "median", "low", "high")]
    line = {"x": {**x, "field": "low"}, "x2": {"field": "high"}}
    return {
        "height": len(present) * max(22, 9 * len(colours)),
        "data": {"values": rows},
        "encoding": {
            "y": {"field": "category", "type": "ordinal", "sort": present, "title": None},
            "yOffset": {"field": "series", "type": "nominal", "sort": list(colours)},
            "color": colour_by_series(colours),
            "tooltip": tips,
        },
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": line},
            {"mark": {"type": "point", "filled": True, "size": 34}, "encoding": {"x": {**x, "field": "median"}}},
        ],
    }
