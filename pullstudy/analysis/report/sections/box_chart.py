"""Box plots from quartiles computed beforehand: a chart's data is a row a box, however many pulls there are."""

from collections.abc import Mapping, Sequence
from typing import Any

from pullstudy.analysis.statistics.quantiles import Box, box


def rounded(value: float) -> float:
    """Five significant digits: finer than a pixel."""
    return float(f"{value:.5g}")


def log_scale(values: Sequence[float]) -> dict[str, Any]:
    """A log scale a tenth wider than the values: rounding to whole decades would leave most of it empty."""
    return {"type": "log", "nice": False, "domain": [rounded(min(values) * 0.9), rounded(max(values) * 1.1)]}


Colours = Mapping[str, str]  # by series, in their order


def colour_by_series(colours: Colours) -> dict[str, Any]:
    """The colour channel of every chart whose colours are clusters."""
    return {
        "field": "series",
        "type": "nominal",
        "title": "nodes",
        "sort": list(colours),
        "scale": _scale(colours),
        # Nodes are short numbers: they stand in one line. Longer names are set as the page's width allows.
        "legend": {"columns": 8} if max(map(len, colours), default=0) < 5 else {},
    }


def box_spec(
    values: Mapping[tuple[str, str], Sequence[float]],
    categories: Sequence[str],
    colours: Colours,
    *,
    x_title: str | None,
    y_title: str,
    logarithmic: bool = False,
    zero: bool = True,
    height: int = 320,
) -> dict[str, Any]:
    """Boxes of values by category and series, side by side within a category."""
    boxes = {key: box(found) for key, found in values.items() if found}
    x: dict[str, Any] = {"field": "category", "type": "ordinal", "sort": list(categories), "title": x_title}
    x["axis"] = {"labelAngle": 0 if len(categories) <= 8 else -50, "labelOverlap": False}
    x["scale"] = {"paddingInner": 0.3, "paddingOuter": 0.2}
    scale = log_scale([v for found in values.values() for v in found]) if logarithmic else {"zero": zero, "nice": True}
    y = {"type": "quantitative", "scale": scale, "title": y_title}
    shared = {
        "x": x,
        "xOffset": {"field": "series", "type": "nominal", "sort": list(colours)},
        "color": colour_by_series(colours),
    }
    tips = [
        {"field": "category", "title": x_title or "cluster"},
        {"field": "series", "title": "nodes"},
        {"field": "count", "title": "pulls"},
        *({"field": name, "format": ".4~g"} for name in ("low", "q1", "median", "q3", "high")),
    ]
    return {
        "height": height,
        "data": {"values": [_row(key, found) for key, found in boxes.items()]},
        "encoding": shared,
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 1.2}, "encoding": _span(y, "low", "high", tips)},
            {
                "mark": {"type": "bar", "fillOpacity": 0.35, "strokeWidth": 1},
                "encoding": {**_span(y, "q1", "q3", tips), "stroke": {"field": "series", **_same_stroke(colours)}},
            },
            {
                "mark": {"type": "bar", "strokeWidth": 2.5},
                "encoding": {
                    **_span(y, "median", "median", tips),
                    "stroke": {"field": "series", **_same_stroke(colours)},
                },
            },
            {
                "data": {"values": _outliers(boxes)},
                "mark": {"type": "point", "size": 16, "filled": True, "opacity": 0.8},
                "encoding": {
                    "y": {**y, "field": "value"},
                    "tooltip": [*tips[:2], {"field": "value", "format": ".4~g"}],
                },
            },
        ],
    }


def box_panel(
    values: Mapping[str, Sequence[float]],
    colours: Colours,
    *,
    x_title: str | None,
    y_title: str,
    zero: bool = False,
    height: int = 130,
) -> dict[str, Any]:
    """A box a series, which stand under the boxes; without ``x_title`` only their colours tell them apart."""
    labels = [label for label in colours if label in values]
    of_labels = {(label, label): values[label] for label in labels}
    spec = box_spec(of_labels, labels, colours, x_title=x_title, y_title=y_title, zero=zero, height=height)
    del spec["encoding"]["xOffset"]
    spec["encoding"]["x"]["axis"] = {"labels": x_title is not None, "ticks": False, "labelAngle": 0}
    if x_title is not None:
        spec["encoding"]["color"]["legend"] = None
    return spec


def _span(y: Mapping[str, Any], low: str, high: str, tips: Sequence[Any]) -> dict[str, Any]:
    return {"y": {**y, "field": low}, "y2": {"field": high}, "tooltip": list(tips)}


def _same_stroke(colours: Colours) -> dict[str, Any]:
    return {"type": "nominal", "scale": _scale(colours), "legend": None}


def _scale(colours: Colours) -> dict[str, Any]:
    return {"domain": list(colours), "range": list(colours.values())}


def _row(key: tuple[str, str], found: Box) -> dict[str, Any]:
    edges = {name: rounded(getattr(found, name)) for name in ("low", "q1", "median", "q3", "high")}
    return {"category": key[0], "series": key[1], "count": found.count, **edges}


def _outliers(boxes: Mapping[tuple[str, str], Box]) -> list[dict[str, Any]]:
    return [
        {"category": key[0], "series": key[1], "value": rounded(value)}
        for key, found in boxes.items()
        for value in found.outliers
    ]
