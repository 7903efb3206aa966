"""How similar the images are, by their layers."""

from typing import Any

from pullstudy.analysis.findings.similarity import ImagePair, mean_and_deviation, pairs
from pullstudy.analysis.reading.layers import Layer, shared_by_all
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, image_key
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import paragraph, table
from pullstudy.analysis.report.section import Block, Section

_KINDS = (
    ("digest_similarity", "by layer digests, without the layers that all share"),
    ("content_similarity", "by layer digests, with the layers that all share"),
    ("bytes_similarity", "by compressed bytes of the layers, with those that all share"),
)
_MOST_IMAGES = 60  # beyond it a cell is under six pixels wide, and the page grows with the square


def build(facts: Facts) -> Section:
    layers = list(facts.study.layers)
    if not layers:
        words = "No layers are known: import the images' manifests with pulldriver import to compare them."
        return Section("similarity", "Similarity of the images", (paragraph(words),))
    found = pairs(layers)
    blocks: list[Block] = [
        paragraph(
            "Each is the Jaccard index of two images' layers: what both have over what either has. "
            "Means and standard deviations (of the population) are over the whole matrix, each image with itself among "
            "it. docs/similarity.md says how the three differ."
        ),
        _table(layers, found),
    ]
    if len({pair.image for pair in found}) <= _MOST_IMAGES:
        blocks += [_figure(found, field, words) for field, words in _KINDS]
    return Section("similarity", "Similarity of the images", tuple(blocks))


def _table(layers: list[Layer], found: list[ImagePair]) -> Any:
    rows: list[list[object]] = []
    for field, words in _KINDS:
        measured = mean_and_deviation(getattr(pair, field) for pair in found)
        rows.append([words, f"{measured.mean:.5f}", f"{measured.std:.5f}"])
    shared = len(shared_by_all(layers))
    images = len({layer.image for layer in layers})
    caption = (
        f"{len(layers):,} layers of {images} images, {len({layer.digest for layer in layers}):,} digests, "
        f"{wording.plural(shared, 'layer')} shared by all"
    )
    return table(["similarity", "mean", "standard deviation"], rows, caption=caption)


def _label(image: str) -> str:
    key = image_key(image)
    return f"{key.layers} × {wording.size_of(key.unpacked_bytes)}" if key.layers else wording.image_name(image)


def _figure(found: list[ImagePair], field: str, words: str) -> Figure:
    images = sorted({pair.image for pair in found}, key=lambda image: image_key(image).order)
    labels = list(map(_label, images))
    rows = [
        {"image": _label(pair.image), "other": _label(pair.other_image), "value": round(getattr(pair, field), 4)}
        for pair in found
    ]
    axis = {"type": "ordinal", "sort": labels, "title": None}
    spec = {
        "height": max(160, min(560, 15 * len(labels))),
        "data": {"values": rows},
        "mark": "rect",
        "encoding": {
            "x": {"field": "other", **axis, "axis": {"labelAngle": -60, "labelOverlap": True, "labelFontSize": 9}},
            "y": {"field": "image", **axis, "axis": {"labelOverlap": True, "labelFontSize": 9}},
            "color": {
                "field": "value",
                "type": "quantitative",
                "title": "similarity",
                "scale": {"domain": [0, 1], "scheme": "viridis"},
                "legend": {"gradientLength": 180},
            },
            "tooltip": [{"field": "image"}, {"field": "other"}, {"field": "value"}],
        },
    }
    slug = field.replace("_", "-")
    return Figure(slug, f"Similarity of the images {words}", "Layers × unpacked bytes.", spec)
