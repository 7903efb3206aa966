"""A pull as a picture: a row a layer, a bar a stage, by the clock. SVG, in which an HTML page needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape

from driver.profiling.verdict import stage_word
from pullstudy.analysis.report.colours import STAGE_COLOURS
from pullstudy.analysis.traces.inside_spans import LAYER
from pullstudy.analysis.traces.span import Span, Trace
from pullstudy.pulls.stage import Stage

_WIDTH, _LEFT, _RIGHT = 1100, 190, 20  # pixels
_TOP, _BOTTOM = 64, 24
_ROW, _BAR = 16, 12
_FONT = 'font-family="system-ui, sans-serif" font-size="11"'
_STEPS = (1, 2, 5)
_MOST_TICKS = 12


def gantt(trace: Trace, title: str, seconds: float) -> str:
    """Of one pull, as an SVG element. ``seconds`` is how long the axis is: of pictures that are compared the same."""
    whole = trace.spans[0]
    rows = _rows(trace.spans)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    scale = (_WIDTH - _LEFT - _RIGHT) / (seconds * 1e9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}" {_FONT} fill="#1f2328">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" font-size="13" font-weight="600">{escape(title)}</text>',
        *_legend(),
        *_axis(seconds, scale, height),
    ]
    for place, (name, spans) in enumerate(rows):
        parts += _row(name, spans, _TOP + _ROW * place, whole, scale)
    return "\n".join([*parts, "</svg>"])


def _rows(spans: Sequence[Span]) -> list[tuple[str, list[Span]]]:
    """The whole pull's own stages, then those of each layer."""
    own = [span for span in spans[1:] if span.parent_id == spans[0].span_id and span.name != LAYER]
    layers = [span for span in spans if span.name == LAYER]
    return [("image", own), *((_layer_name(layer), _below(spans, layer)) for layer in layers)]


def _below(spans: Sequence[Span], layer: Span) -> list[Span]:
    return [span for span in spans if span.parent_id == layer.span_id]


def _layer_name(layer: Span) -> str:
    place, size = layer.attributes.get("pullstudy.layer.position"), layer.attributes.get("pullstudy.layer.bytes")
    megabytes = f"{size / 1e6:,.1f} MB" if isinstance(size, int) else ""
    digest = str(layer.attributes.get("pullstudy.layer.digest", "")).partition(":")[2][:8]
    return f"{place if isinstance(place, int) else '-'}  {digest}  {megabytes}"


def _row(name: str, spans: Sequence[Span], y: int, whole: Span, scale: float) -> Iterator[str]:
    yield f'<text x="8" y="{y + _BAR - 1}">{escape(name)}</text>'
    for span in spans:
        stage = Stage(span.name.split(" ", 1)[1].replace(" ", "_"))
        x = _LEFT + (span.start_ns - whole.start_ns) * scale
        width = max((span.end_ns - span.start_ns) * scale, 0.3)
        seconds = (span.end_ns - span.start_ns) / 1e9
        yield (
            f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_BAR}" fill="{STAGE_COLOURS[stage]}">'
            f"<title>{escape(stage_word(stage))}: {seconds:.3f} s</title></rect>"
        )


def _legend() -> Iterator[str]:
    x = 8
    for stage in Stage:
        if stage is not Stage.UNATTRIBUTED:
            yield f'<rect x="{x}" y="28" width="11" height="11" fill="{STAGE_COLOURS[stage]}"/>'
            yield f'<text x="{x + 15}" y="38">{stage_word(stage)}</text>'
            x += 32 + 7 * len(stage)


def _axis(seconds: float, scale: float, height: int) -> Iterator[str]:
    step = _step(seconds)
    for number in range(int(seconds / step) + 1):
        x = _LEFT + number * step * 1e9 * scale
        yield f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - _BOTTOM}" stroke="#d0d7de"/>'
        yield f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{number * step:g} s</text>'


def _step(seconds: float) -> float:
    """Between two marks: 1, 2 or 5 times a power of ten, so that there are no more than fit."""
    power = 1e-6
    while True:
        for step in _STEPS:
            if seconds / (step * power) <= _MOST_TICKS:
                return step * power
        power *= 10


def stacked(pictures: Sequence[str]) -> str:
    """Several, one below the other, as one picture."""
    heights = [int(picture.partition('height="')[2].partition('"')[0]) for picture in pictures]
    parts = []
    y = 0
    for picture, height in zip(pictures, heights, strict=True):
        parts.append(picture.replace("<svg ", f'<svg y="{y}" ', 1))
        y += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}">'
    return "\n".join([head, *parts, "</svg>"])
