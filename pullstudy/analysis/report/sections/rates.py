"""How fast pulls were: bytes a second, unpacked and as the kubelet counts an image."""

from collections.abc import Callable
from typing import Any

from pullstudy.analysis.report.facts import Facts, ImageKey, PullGroup
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import paragraph
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import colour_by_series, rounded
from pullstudy.analysis.report.sections.durations import axis_labels, group_slug, group_words, x_title
from pullstudy.analysis.report.series import Series
from pullstudy.analysis.statistics.quantiles import quantile

Bytes = Callable[[ImageKey, int], int | None]  # of an image and of the kubelet's word for its size, 0 where unknown


def build(facts: Facts) -> Section:
    blocks: list[Block] = [
        paragraph(
            "An image's unpacked bytes, as its tag states them, over the pull's duration: what the node wrote. "
            "The kubelet's own image size over the same duration is what the registry sent, where the runtime counts "
            "compressed bytes as containerd does. Both take the time for unpacking with it. Points are medians, bars "
            "reach from p5 to p95, of fewer than 20 pulls nearly from the least to the greatest."
        )
    ]
    for group in facts.groups:
        for slug, title, count in (
            ("unpacked", "Unpacked bytes a second", _unpacked),
            ("image", "Bytes a second by the kubelet's image size", _image_bytes),
        ):
            rows = _rows(group, count)
            if rows:
                figure = Figure(
                    f"rate-{slug}-{group_slug(group)}",
                    f"{title}: {group_words(group)}",
                    "Median of all pulls of an image at a cluster size.",
                    _spec(group, rows, facts.series),
                )
                blocks.append(figure)
    if len(blocks) == 1:
        blocks.append(paragraph("No image of this study states its bytes, so that no rate is known."))
    return Section("rates", "Pull rate", tuple(blocks))


def _unpacked(key: ImageKey, image_bytes: int) -> int | None:
    return key.unpacked_bytes


def _image_bytes(key: ImageKey, image_bytes: int) -> int | None:
    return image_bytes or None


def _rows(group: PullGroup, count: Bytes) -> list[dict[str, Any]]:
    rows, places = [], axis_labels(group)
    for (key, series), values in group.pulls.items():
        rates = sorted(
            size / seconds / 1e6
            for seconds, image_bytes in zip(values.seconds, values.image_bytes, strict=True)
            if (size := count(key, image_bytes)) is not None and seconds > 0
        )
        if rates:
            low, middle, high = (rounded(quantile(rates, p)) for p in (0.05, 0.5, 0.95))
            row = {"category": places[key], "series": series}
            rows.append({**row, "low": low, "median": middle, "high": high, "count": len(rates)})
    return rows


def _spec(group: PullGroup, rows: list[dict[str, Any]], series: Series) -> dict[str, Any]:
    categories = list(axis_labels(group).values())
    colours = series.colours(label for label in series.labels if any(row["series"] == label for row in rows))
    y = {"type": "quantitative", "title": "MB a second", "scale": {"zero": True}}
    tips = [{"field": name} for name in ("category", "series", "count", "median", "low", "high")]
    angle = 0 if len(categories) <= 8 else -50
    return {
        "height": 260,
        "data": {"values": rows},
        "encoding": {
            "x": {
                "field": "category",
                "type": "ordinal",
                "sort": categories,
                "title": x_title(group),
                "axis": {"labelAngle": angle, "labelOverlap": False},
            },
            "xOffset": {"field": "series", "type": "nominal", "sort": list(colours)},
            "color": colour_by_series(colours),
            "tooltip": tips,
        },
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "point", "filled": True, "size": 30}, "encoding": {"y": {**y, "field": "median"}}},
        ],
    }
