"""How long pulls took: a panel an image, and all images of a layer count over their bytes."""

from collections.abc import Mapping, Sequence

from pullstudy.analysis.report import wording
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure, Panel, Panels
from pullstudy.analysis.report.html import Markup, element, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import box_panel, box_spec
from pullstudy.analysis.report.sections.pull_samples import (
    SampledImage,
    SampleGroup,
    gigabytes,
    not_shown,
    panel_names,
    sample_groups,
)
from pullstudy.analysis.statistics.quantile_intervals import QuantileEstimate

_QUANTILES = (0.5, 0.95, 0.99)
_ROWS = 120  # of a table
_PANEL_LABEL = 4  # characters that the boxes of a panel have room for
_DEFINITION = (
    "The duration that the kubelet reports of a pull, without its waiting in the kubelet's queue: download and "
    "unpacking. Pulls that failed and images found present have none. Pulls of different cache states are never in "
    "one distribution. Boxes are quartiles, whiskers reach the last value within 1.5 interquartile ranges; at most "
    "twelve of the values beyond are drawn."
)


def build(facts: Facts) -> Section:
    groups = sample_groups(facts)
    if not groups:
        words = "No pull with a duration is in this study."
        return Section("durations", "Pull durations", (paragraph(words),))
    blocks: list[Block] = [paragraph(_DEFINITION), *_undivided(facts), *_riders(facts)]
    for group in groups:
        blocks.extend(_group_blocks(group, facts))
    blocks.append(paragraph(_intervals(facts)))
    return Section("durations", "Pull durations", tuple(blocks))


def _intervals(facts: Facts) -> str:
    units = (
        "The 95% intervals count jobs, not pulls, since the pulls of a job share a registry and a moment. Where "
        "there is one job alone, its pulls are taken as independent, and jobs to differ by 5%."
        if facts.jobs
        else "The 95% intervals take pulls as independent, and one time's pulls to differ from another's by 5%."
    )
    return (
        f"{units} p95 is given of 20 pulls or more, p99 of 100: of fewer they would be the slowest pull under another "
        "name. An interval without an end says that so few pulls do not bound that side."
    )


def _undivided(facts: Facts) -> list[Markup]:
    """How many of the durations are not what the definition says."""
    counts = facts.counts
    if not counts.undivided:
        return []
    told = f"{counts.undivided:,} of {wording.plural(counts.timed, 'pull')}"
    return [paragraph(f"{told} tell one duration alone, as kubelets before 1.26 do: it includes waiting in the queue.")]


def _riders(facts: Facts) -> list[Markup]:
    """How many of the pulls shared the download of another."""
    riders = sum(len(pulls.riders) for job in facts.jobs for pulls in job.pulls)
    if not riders:
        return []
    words = (
        f"{wording.plural(riders, 'pull')} began while another pod's pull of the same image was under way on the same "
        "node, and ended with it: they downloaded nothing themselves, and are left out here."
    )
    return [paragraph(words)]


def _group_blocks(group: SampleGroup, facts: Facts) -> list[Block]:
    colours = facts.series.colours(group.labels(facts.series.labels))
    words = group.words
    blocks: list[Block] = [element("h3", words[0].upper() + words[1:])]
    if group.streamed:
        blocks.append(
            paragraph("Streamed images are mounted before their bytes have come: these may be no whole pulls.")
        )
    blocks += [_panels(group, colours), *not_shown(group)]
    if group.layers and len(group.images) > 1:
        blocks += _over_bytes(group, colours)
    return [*blocks, *_quantile_table(group, facts.series.labels, bool(facts.jobs))]


def _panels(group: SampleGroup, colours: Mapping[str, str]) -> Panels:
    names = panel_names(group.shown)
    wide = len(colours) > 1 and any(len(label) > _PANEL_LABEL for label in colours)
    title = f"Pull duration by cluster: {group.words}"
    return Panels(
        f"durations-{group.slug}",
        title,
        "A panel an image, smaller images first; each has a scale of its own, which does not begin at 0.",
        [
            Panel(
                names[image.key],
                image.key.image,
                box_panel(
                    {label: image.seconds(label) for label in colours if label in image.units},
                    colours,
                    x_title=None if wide else _under_boxes(colours),
                    y_title="seconds",
                ),
            )
            for image in group.shown
        ],
        colours if wide else {},
    )


def _under_boxes(colours: Mapping[str, str]) -> str:
    return "nodes" if all(len(label) <= _PANEL_LABEL for label in colours) else "cluster"


def _over_bytes(group: SampleGroup, colours: Mapping[str, str]) -> list[Figure]:
    """As the study's authors draw them; on a log scale too, which has no place for 0 or an odd negative duration."""
    names = gigabytes(group.shown)
    values = {
        (names[image.key], label): image.seconds(label)
        for image in group.shown
        for label in colours
        if label in image.units
    }
    scales = [False, True] if all(value > 0 for found in values.values() for value in found) else [False]
    return [
        Figure(
            f"durations-by-bytes-{group.slug}{'-log' if logarithmic else ''}",
            f"Pull duration by image size: {group.words}",
            "Log scale." if logarithmic else "Linear scale.",
            box_spec(
                values,
                list(names.values()),
                colours,
                x_title="total image size, unpacked, GB",
                y_title=f"pull duration, seconds{' (log)' if logarithmic else ''}",
                logarithmic=logarithmic,
            ),
        )
        for logarithmic in scales
    ]


def _quantile_table(group: SampleGroup, labels: Sequence[str], of_jobs: bool) -> list[Markup]:
    most = sorted(group.images, key=lambda image: -image.total_seconds)
    listed, count = set(), 0
    for image in most:
        count += len(image.units)
        if count <= _ROWS:
            listed.add(image.key)
    names = panel_names(group.images)
    rows = [
        [names[image.key], *_quantile_row(image, label, of_jobs)]
        for image in group.images
        if image.key in listed
        for label in labels
        if label in image.units
    ]
    header = ["image", "nodes", "jobs", "pulls", "p50", "95% interval", "p95", "95% interval", "p99", "slowest"]
    left = len(group.images) - len(listed)
    caption = f"Pull durations: {group.words}{f'; without {left} images of less pull time' if left else ''}"
    told = [place for place in range(len(header)) if any(row[place] != wording.UNKNOWN for row in rows)]
    return [table([header[place] for place in told], [[row[place] for place in told] for row in rows], caption=caption)]


def _quantile_row(image: SampledImage, label: str, of_jobs: bool) -> list[object]:
    sample = image.sample(label)
    middle, high, highest = (sample.quantile(probability) for probability in _QUANTILES)
    marks = [_value(middle), interval_words(middle), _value(high), interval_words(high), _value(highest)]
    slowest = wording.seconds(sample.ordered[-1])
    units = sample.units if of_jobs else wording.UNKNOWN
    return [label, units, len(sample.ordered), *marks, slowest]


def _value(estimate: QuantileEstimate | None) -> str:
    return wording.seconds(estimate.value if estimate else None)


def interval_words(estimate: QuantileEstimate | None) -> str:
    """``9.6 to 10.2 s``."""
    return wording.seconds_interval(estimate.low, estimate.high) if estimate else wording.UNKNOWN
