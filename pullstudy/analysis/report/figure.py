"""Figures: chart definitions that serve both the page and the PNG file.

On the page a chart is as wide as its column, its title is HTML, which wraps, and its colours are the page's; in the
file all of these are fixed.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pullstudy.extras import require
from pullstudy.pulls.printable import printable

PNG_WIDTH = 760
PNG_SCALE = 2
_TITLE_CHARACTERS = 95
_PANEL_COLUMNS = 4  # at most, of a file
_PANEL_AXIS = 50  # beside each


@dataclass(frozen=True)
class Chart:
    """A chart on the page: the identity of its data, what it is called, and its definition."""

    identity: str
    title: str
    whole_title: str  # with nothing left out
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A Vega-Lite chart as a dict, without width and title, with what stands around it."""

    name: str  # of its file and its element: lower case and hyphens
    title: str
    caption: str
    spec: Mapping[str, Any]

    def charts(self) -> list[Chart]:
        return [Chart(f"spec-{self.name}", self.title, self.title, _for_page(self.spec))]

    def for_file(self, provenance: str) -> dict[str, Any]:
        return {
            **self.spec,
            "width": PNG_WIDTH,
            "title": _file_title(self.title, provenance),
            "config": config(LIGHT),
        }


@dataclass(frozen=True)
class Panel:
    """One chart of several. Its title is short; the whole one is shown where there is room."""

    title: str
    whole_title: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Panels:
    """Small charts side by side, each with scales of its own, under one title and one legend."""

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    legend: Mapping[str, str] = field(default_factory=dict)  # colours by what they stand for

    def charts(self) -> list[Chart]:
        return [
            Chart(f"spec-{self.name}-{number}", panel.title, panel.whole_title, _for_panel(panel.spec))
            for number, panel in enumerate(self.panels, 1)
        ]

    def for_file(self, provenance: str) -> dict[str, Any]:
        columns = min(_PANEL_COLUMNS, len(self.panels))
        width = PNG_WIDTH // columns - _PANEL_AXIS
        return {
            "concat": [{**panel.spec, "width": width, "title": _panel_title(panel, width)} for panel in self.panels],
            "columns": columns,
            "title": _file_title(self.title, provenance),
            "config": config(LIGHT),
        }


Drawing = Figure | Panels


def png(drawing: Drawing, provenance: str) -> bytes:
    """The picture. Raises MissingExtraError."""
    vl_convert = require("vl_convert", "report")
    image: bytes = vl_convert.vegalite_to_png(_shown(drawing.for_file(provenance)), scale=PNG_SCALE)
    return image


def _for_page(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def _for_panel(spec: Mapping[str, Any]) -> dict[str, Any]:
    """On the page all panels have one legend, which is HTML."""
    encoding = spec["encoding"]
    return _for_page({**spec, "encoding": {**encoding, "color": {**encoding["color"], "legend": None}}})


def _file_title(title: str, provenance: str) -> dict[str, Any]:
    return {
        "text": textwrap.wrap(title, _TITLE_CHARACTERS - 20, break_on_hyphens=False),
        "subtitle": textwrap.wrap(provenance, _TITLE_CHARACTERS, break_on_hyphens=False),
        "anchor": "start",
    }


def _panel_title(panel: Panel, width: int) -> dict[str, Any]:
    return {"text": panel.title, "fontSize": 10, "anchor": "start", "limit": width + _PANEL_AXIS}


def _shown(value: Any) -> Any:
    """The same with texts that can be drawn: the picture is made by way of XML, which has no place for controls."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {key: _shown(each) for key, each in value.items()}
        case list() | tuple():
            return [_shown(each) for each in value]
    return value


@dataclass(frozen=True)
class Theme:
    """The colours around the data."""

    background: str
    text: str
    faint: str


LIGHT = Theme(background="#ffffff", text="#1c2128", faint="#d4d8de")
# Custom properties of page.css, which has the colours of both: what is drawn follows the reader's scheme, and on paper
# is light.
PAGE = Theme(background="transparent", text="var(--text)", faint="var(--line)")


def config(theme: Theme) -> dict[str, Any]:
    """Vega-Lite's config for a theme."""
    axis = {
        "labelColor": theme.text,
        "titleColor": theme.text,
        "domainColor": theme.faint,
        "tickColor": theme.faint,
        "gridColor": theme.faint,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 170,
        "labelOverlap": True,
    }
    legend = {
        "labelColor": theme.text,
        "titleColor": theme.text,
        "orient": "bottom",
        "direction": "horizontal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 200,
        "columns": 2,
    }
    title = {"color": theme.text, "subtitleColor": theme.text, "fontSize": 14, "subtitleFontSize": 11}
    return {
        "background": theme.background,
        "view": {"stroke": theme.faint},
        "axis": axis,
        "legend": legend,
        "title": title,
        "text": {"color": theme.text},
        "rule": {"color": theme.text},
        "font": "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif",
    }
