"""Where the time inside of pulls goes: their stages, and the layers that hold them up."""

from collections.abc import Iterable, Sequence
from typing import Any

from pullstudy.analysis.findings.stage_seconds import STAGES, ImageStages, LayerTimes, StageSeconds
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.colours import STAGE_COLOURS
from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import Markup, paragraph, table
from pullstudy.analysis.report.section import Block, Section
from pullstudy.analysis.report.sections.box_chart import rounded
from pullstudy.pulls.stage import Stage

SHOWN = 20  # images at a size
_SHOWN_LAYERS = 15


def build(facts: Facts) -> Section:
    """Only where there are such records: sections_of() looks."""
    stages = facts.stages
    shown = shown_images(stages.images)
    blocks: list[Block] = [
        paragraph(
            "What held pulls up, by the node's runtime: at each moment one stage, so that a pull's stages add up to "
            "its time and their means to the mean. Layers that come while another is unpacked hold nothing up. A "
            "stage that the runtime does not tell from its neighbour is in that neighbour. pulldriver export stages "
            "has every pull."
        )
    ]
    if shown:
        names = _names(shown)
        blocks += [paragraph(answer(stages)), *_told(stages, facts.counts.pulled)]
        blocks += [_figure(shown, names), _stage_table(stages, shown, names)]
    blocks += _left_out(stages)
    layers = [layer for layer in stages.layers[:_SHOWN_LAYERS] if layer.held_seconds > 0]
    if layers:
        blocks.append(_layer_table(layers, len(stages.layers)))
    return Section("inside-pulls", "Inside the pulls", tuple(blocks))


def shown_images(images: Sequence[ImageStages]) -> list[ImageStages]:
    """The longest pulls first, each image's sizes in order; of too many the smallest and the largest of each image."""
    of_image: dict[str, list[ImageStages]] = {}
    for each in sorted(images, key=lambda each: each.size or 0):
        of_image.setdefault(each.image, []).append(each)
    longest = sorted(of_image.values(), key=lambda sizes: -max(each.median_seconds for each in sizes))
    if len(images) > SHOWN:
        longest = [sizes if len(sizes) < 2 else [sizes[0], sizes[-1]] for sizes in longest]
    return [each for sizes in longest for each in sizes][:SHOWN]


def _told(stages: StageSeconds, pulled: int) -> list[Markup]:
    """Where runtimes told of some pulls alone."""
    if stages.pulls >= pulled:
        return []
    return [paragraph(f"Of {wording.plural(pulled, 'pull')} the runtime told of {stages.pulls:,}.")]


def answer(stages: StageSeconds) -> str:
    """What held the pulls up most, all of them together."""
    images = stages.images
    whole = sum(sum(image.walls) for image in images)
    sums = {stage: sum(image.sums[stage] for image in images) for stage in STAGES}
    longest = sorted(STAGES, key=lambda stage: -sums[stage])[:3]
    parts = [f"{_name(stage)} ({wording.percent(sums[stage] / whole)})" for stage in longest if sums[stage] > 0]
    pulls = wording.plural(sum(image.pulls for image in images), "pull")
    return f"{pulls} took {wording.seconds(whole)} in all. What held them up most is {wording.listed(parts)}."


def _name(stage: Stage) -> str:
    return stage.replace("_", " ")


def _names(images: Sequence[ImageStages]) -> list[str]:
    """An image's name, and the cluster's nodes where several sizes pulled; no two alike."""
    sizes = {image.size for image in images}
    short = wording.workload_names(list(dict.fromkeys(image.image for image in images)))
    return [
        short[image.image]
        + (f", {wording.plural(image.size, 'node')}" if len(sizes) > 1 and image.size is not None else "")
        for image in images
    ]


def _figure(images: Sequence[ImageStages], names: Sequence[str]) -> Figure:
    present = [stage for stage in STAGES if any(image.sums[stage] > 0 for image in images)]
    rows = [
        {"category": name, "stage": _name(stage), "seconds": rounded(seconds), "order": STAGES.index(stage)}
        for image, name in zip(images, names, strict=True)
        for stage in present
        if (seconds := image.mean(stage))
    ]
    return Figure(
        "inside-pulls",
        "What holds pulls up, by image",
        "Means of the pulls of each: the stages add up to the mean pull.",
        _spec(rows, names, present),
    )


def _spec(rows: list[dict[str, Any]], names: Sequence[str], present: Iterable[Stage]) -> dict[str, Any]:
    colours = {_name(stage): STAGE_COLOURS[stage] for stage in present}
    return {
        "height": max(60, 24 * len(names)),
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "encoding": {
            "y": {
                "field": "category",
                "type": "ordinal",
                "sort": list(names),
                "title": None,
                "axis": {"labelLimit": 240},
            },
            "x": {"field": "seconds", "type": "quantitative", "title": "seconds", "stack": True},
            "color": {
                "field": "stage",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(colours), "range": list(colours.values())},
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [{"field": "category"}, {"field": "stage"}, {"field": "seconds", "format": ".4~g"}],
        },
    }


def _stage_table(stages: StageSeconds, shown: Sequence[ImageStages], names: Sequence[str]) -> Markup:
    present = [stage for stage in STAGES if any(stage in image.told for image in shown)]
    rows = [
        [
            name,
            str(image.pulls),
            wording.seconds(image.median_seconds),
            *(wording.seconds(image.mean(stage)) for stage in present),
        ]
        for image, name in zip(shown, names, strict=True)
    ]
    of_all = f": {len(shown)} of {len(stages.images)}" if len(shown) < len(stages.images) else ""
    caption = f"Seconds that each stage held a pull up, on average, beside the median pull{of_all}"
    # The whole word would push the last column out of the page.
    names_of_stages = ["else" if stage is Stage.UNATTRIBUTED else _name(stage) for stage in present]
    return table(["image", "pulls", "median", *names_of_stages], rows, caption=caption)


def _left_out(stages: StageSeconds) -> list[Markup]:
    parts = []
    if stages.failed:
        parts.append(f"{wording.plural(stages.failed, 'pull')} that failed")
    if stages.incomplete:
        parts.append(f"{wording.plural(stages.incomplete, 'pull')} of which records are missing")
    return [paragraph(f"Left out: {wording.listed(parts)}.")] if parts else []


def _layer_table(layers: Sequence[LayerTimes], count: int) -> Markup:
    rows = [
        [
            wording.image_name(layer.image),
            str(layer.position + 1) if layer.position is not None else wording.UNKNOWN,
            layer.digest[:19],
            wording.size_of(layer.layer_bytes),
            str(layer.pulls),
            wording.seconds(layer.held_seconds / layer.pulls),
            wording.seconds(layer.apply_seconds / layer.pulls),
            wording.rate(layer.transferred_bytes / layer.transfer_seconds if layer.transfer_seconds else None),
            str(layer.there),
        ]
        for layer in layers
    ]
    of_all = f"{len(layers)} of {count}; pulldriver export layer-stages has all" if len(layers) < count else "all"
    return table(
        ["image", "layer", "digest", "bytes", "pulls", "held up", "apply", "transfer", "there before"],
        rows,
        caption=f"Layers that held pulls up, the most first ({of_all}): seconds a pull, and the rate of its transfer",
        text_columns=1,
    )
