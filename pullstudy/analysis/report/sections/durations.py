"""How long pulls took: distributions by total image size, one hue a cluster, one figure a layer count."""

from collections.abc import Mapping, Sequence
from typing import Any

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts, ImageKey, PullGroup
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, element, paragraph, table
from pullstudy.analysis.report.section import Block, Section, cache_words
from pullstudy.analysis.report.sections.box_chart import Colours, box_spec, colour_by_series, log_scale, rounded
from pullstudy.analysis.report.series import Series
from pullstudy.analysis.statistics.quantiles import ecdf, upper_quantile

_QUANTILES = (0.5, 0.95, 0.99)
_DIGITS = (3, 4, 5, 6)


def build(facts: Facts) -> Section:
    blocks: list[Block] = [
        paragraph(
            "The first duration of the kubelet's message, one value a pull. Pulls of different cache states are never "
            "in one distribution. Boxes are quartiles, whiskers reach the last value within 1.5 interquartile ranges; "
            "at most twelve of the values beyond are drawn. p95 is given for 20 pulls or more, p99 for 100: of fewer "
            "they would equal the slowest pull. Pulls that failed, and images found present, have no duration and are "
            "left out."
        ),
        *_shared_pulls(facts),
    ]
    for group in facts.groups:
        blocks.extend(_group_blocks(group, facts.series))
    if not facts.groups:
        blocks.append(paragraph("No pull with a duration is in this study."))
    return Section("durations", "Pull durations", tuple(blocks))


def _shared_pulls(facts: Facts) -> list[Markup]:
    """How many of the pulls shared the download of another."""
    joined = sum(job.riders for job in facts.jobs)
    if not joined:
        return []
    words = (
        f"{wording.plural(joined, 'pull')} began while another pod's pull of the same image was under way on the same "
        "node, and ended with it: they downloaded nothing themselves, but count as pulls here."
    )
    return [paragraph(words)]


def group_words(group: PullGroup) -> str:
    layers = wording.plural(group.layers, "layer") if group.layers else "images of any layer count"
    return f"{layers}, {cache_words(group.cache)}"


def group_slug(group: PullGroup) -> str:
    return f"{group.cache}-{group.layers or 'other'}-layers"


def axis_labels(group: PullGroup) -> dict[ImageKey, str]:
    """Gigabytes where the images state theirs, else names; no two alike, since each is a place on the axis."""
    keys = group.images
    for digits in _DIGITS if group.layers else ():
        labels = [f"{(key.unpacked_bytes or 0) / 1e9:.{digits}g}" for key in keys]
        if len(set(labels)) == len(labels):
            return dict(zip(keys, labels, strict=True))
    names = [wording.image_name(key.image) for key in keys]
    if len(set(names)) < len(names):
        names = [key.image for key in keys]
    return dict(zip(keys, names, strict=True))


def x_title(group: PullGroup) -> str:
    return "total image size, unpacked, GB" if group.layers else "image"


def _group_blocks(group: PullGroup, series: Series) -> list[Block]:
    words, slug = group_words(group), group_slug(group)
    places = axis_labels(group)
    values = {(places[key], label): found.seconds for (key, label), found in group.pulls.items()}
    categories = list(places.values())
    colours = series.colours(label for label in series.labels if any(key[1] == label for key in values))

    def boxes(logarithmic: bool) -> dict[str, Any]:
        return box_spec(
            values, categories, colours, x_title=x_title(group), y_title=_title(logarithmic), logarithmic=logarithmic
        )

    # A log scale has no place for 0 or an odd negative duration; those stay on the linear one.
    logarithms = []
    if _positive(values):
        title = f"Pull duration by image size, log: {words}"
        logarithms = [Figure(f"durations-{slug}-log", title, "Log scale.", boxes(True))]
    return [
        element("h3", words[0].upper() + words[1:]),
        Figure(f"durations-{slug}", f"Pull duration by image size: {words}", "Linear scale.", boxes(False)),
        *logarithms,
        Figure(
            f"ecdf-{slug}",
            f"Share of pulls done by a time: {words}",
            "Empirical distribution; every bundle of lines is one image, the smaller to the left.",
            _ecdf_spec(values, colours),
        ),
        _quantile_table(group, series.labels),
    ]


def _title(logarithmic: bool) -> str:
    return "pull duration, seconds" + (" (log)" if logarithmic else "")


def _positive(values: Mapping[tuple[str, str], Sequence[float]]) -> bool:
    return all(value > 0 for found in values.values() for value in found)


def _ecdf_spec(values: Mapping[tuple[str, str], Sequence[float]], colours: Colours) -> dict[str, Any]:
    rows = [
        {"category": category, "series": series, "value": rounded(value), "share": rounded(share)}
        for (category, series), found in values.items()
        for value, share in [(min(found), 0.0), *ecdf(found)]
    ]
    everything = [value for found in values.values() for value in found]
    scale = log_scale(everything) if _positive(values) else {"zero": False}
    return {
        "height": 280,
        "data": {"values": rows},
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.4, "clip": True},
        "encoding": {
            "x": {"field": "value", "type": "quantitative", "scale": scale, "title": _title(_positive(values))},
            "y": {"field": "share", "type": "quantitative", "title": "share of pulls", "axis": {"format": "%"}},
            "color": colour_by_series(colours),
            "detail": {"field": "category"},
            "tooltip": [{"field": "category", "title": "image"}, {"field": "series", "title": "nodes"}],
        },
    }


def _quantile_table(group: PullGroup, labels: list[str]) -> Markup:
    rows = []
    for key in group.images:
        for label in labels:
            found = group.pulls.get((key, label))
            if found:
                ordered = sorted(found.seconds)
                marks = [wording.seconds(upper_quantile(ordered, probability)) for probability in _QUANTILES]
                rows.append([wording.image_name(key.image), label, len(ordered), *marks, wording.seconds(ordered[-1])])
    header = ["image", "nodes", "pulls", *(f"p{100 * probability:.0f}" for probability in _QUANTILES), "slowest"]
    return table(header, rows, caption=f"Pull durations: {group_words(group)}")
