"""A figure: one chart definition that serves the page, light and dark, and the PNG file.

On the page a figure is as wide as its column and its title is HTML, which wraps; in the file both are fixed.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pullstudy.extras import require
from pullstudy.pulls.printable import printable

PNG_WIDTH = 760
PNG_SCALE = 2
_TITLE_CHARACTERS = 95


@dataclass(frozen=True)
class Figure:
    """A Vega-Lite chart as a dict, without width and title, with what stands around it."""

    name: str  # of its file and its element: lower case and hyphens
    title: str
    caption: str
    spec: Mapping[str, Any]

    def for_page(self) -> dict[str, Any]:
        return {**self.spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}

    def for_file(self, provenance: str) -> dict[str, Any]:
        title = {
            "text": textwrap.wrap(self.title, _TITLE_CHARACTERS - 20, break_on_hyphens=False),
            "subtitle": textwrap.wrap(provenance, _TITLE_CHARACTERS, break_on_hyphens=False),
            "anchor": "start",
        }
        return {**self.spec, "width": PNG_WIDTH, "title": title, "config": config(LIGHT)}

    def png(self, provenance: str) -> bytes:
        """The picture. Raises MissingExtraError."""
        vl_convert = require("vl_convert", "report")
        image: bytes = vl_convert.vegalite_to_png(_shown(self.for_file(provenance)), scale=PNG_SCALE)
        return image


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
DARK = Theme(background="#171b21", text="#dde2e8", faint="#3a424d")


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
