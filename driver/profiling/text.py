"""A profile as text, for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from driver.profiling.difference import Difference
from driver.profiling.node_profile import ImageProfile, NodeProfile
from driver.profiling.profile import ProfiledPull
from driver.profiling.usage import Usage
from driver.profiling.verdict import layers_there, mean_stages, median_pull, stage_word
from pullstudy.pulls.printable import printable
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.stage import LAYER_STAGES

_MOST_LAYERS = 20  # of a table; of more those that held the pull up most
_UNKNOWN = "-"


def profile_lines(profile: NodeProfile) -> Iterator[str]:
    """All of it."""
    yield f"{printable(profile.runtime)} on {printable(profile.node)} ({profile.socket})"
    for image in profile.images:
        yield ""
        yield from _image(image)
    for difference in profile.differences:
        yield ""
        yield printable(difference.sentence)
        if difference.stages:
            yield from _indented(_stages_of_difference(difference))
    if profile.no_spans:
        yield ""
        yield from profile.no_spans


def _image(image: ImageProfile) -> Iterator[str]:
    median = median_pull(image.pulls)
    size = sum(layer.layer_bytes or 0 for layer in median.layers)
    told = f": {len(median.layers)} layers, {size / 1e6:,.1f} MB compressed" if median.layers else ""
    yield f"{printable(image.image)}{told}"
    yield from _indented(_pulls(image.pulls))
    if median.stages is not None:
        yield from _indented(_stages(image.pulls))
        yield from _indented(_layers(median.layers, image.pulls.index(median) + 1))
    if there := layers_there(median):
        yield f"  {len(there)} of the layers were on the node before, since other images have them: they were not cold"
    if median.stages is not None and not median.stages.complete:
        yield "  Some spans are missing: what they would tell is in the neighbouring stage, or unattributed"
    if median.stages is not None and median.stages.first_byte_seconds is None:
        yield "  containerd's log is not at level debug: first byte is in transfer, prepare and commit are in apply"
    if image.sentence:
        yield f"  {image.sentence}"


def _indented(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table: the first column to the left, the others to the right."""
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for first, *others in table:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield f"  {'  '.join(cells)}".rstrip()
    yield ""


def _pulls(pulls: Sequence[ProfiledPull]) -> Iterator[list[str]]:
    yield ["pull", "s", "CPU s", "decompressors' CPU s", "MB read", "MB written", "MB received"]
    for number, pull in enumerate(pulls, 1):
        yield [str(number), f"{pull.seconds:.3f}", *_used(pull.used)]


def _used(used: Usage | None) -> list[str]:
    if used is None:
        return [_UNKNOWN] * 5
    disk = (used.disk_read_bytes, used.disk_written_bytes, used.network_bytes)
    seconds = [f"{used.cpu_seconds:.2f}", f"{used.child_cpu_seconds:.2f}"]
    return [*seconds, *(_UNKNOWN if each is None else f"{each / 1e6:,.1f}" for each in disk)]


def _stages(pulls: Sequence[ProfiledPull]) -> Iterator[list[str]]:
    told = [pull.stages for pull in pulls if pull.stages is not None]
    means = mean_stages(pulls)
    whole = sum(means.values())
    yield ["stage", "mean s", "least", "most", "share"]
    for stage, mean in means.items():
        seconds = [getattr(stages, f"{stage}_seconds") for stages in told]
        share = f"{mean / whole:.1%}" if whole else _UNKNOWN
        yield [stage_word(stage), f"{mean:.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}", share]


def _stages_of_difference(difference: Difference) -> Iterator[list[str]]:
    yield ["stage", "less by s", "95% from", "to"]
    for stage, saving in difference.stages.items():
        seconds = (saving.seconds, saving.least, saving.most)
        yield [stage_word(stage), *(f"{each:+.3f}" for each in seconds)]


def _layers(layers: Sequence[PulledLayer], number: int) -> Iterator[list[str]]:
    shown = sorted(layers, key=lambda layer: -(layer.held_seconds or 0.0))[:_MOST_LAYERS]
    left_out = f" ({len(shown)} that held it up most)" if len(shown) < len(layers) else ""
    yield [f"layer of pull {number}{left_out}", "MB", *map(stage_word, LAYER_STAGES), "held s"]
    for layer in sorted(shown, key=lambda layer: (layer.position or 0, layer.repeat)):
        place = _UNKNOWN if layer.position is None else str(layer.position)
        name = f"{place:>3} {layer.layer_digest.partition(':')[2][:12]}"
        size = _UNKNOWN if layer.layer_bytes is None else f"{layer.layer_bytes / 1e6:,.1f}"
        stages = [_seconds(getattr(layer, f"{stage}_seconds")) for stage in LAYER_STAGES]
        yield [name, size, *stages, _seconds(layer.held_seconds)]


def _seconds(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds:.3f}"
