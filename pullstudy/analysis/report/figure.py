"""A figure: one chart definition that serves the page, light and dark, and the PNG file.

On the page a figure is as wide as its column and its title is HTML, which wraps; in the file both are fixed.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pullstudy.extras import require

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
        image: bytes = vl_convert.vegalite_to_png(self.for_file(provenance), scale=PNG_SCALE)
        return image


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


# From dark to light, so that sizes are in order for every eye, and none too near to white or to near black. Seven sizes
# are told apart without red or green too, as are the phases: tests/analysis/test_colours.py.
_RAMP = ("#8c07b2", "#a72197", "#bf3984", "#d35171", "#f3766c", "#ff8c50", "#fda218")

PHASE_COLOURS = {
    "job_created_to_pod_created": "#d0bc8f",
    "job_created_to_scheduled": "#d0bc8f",
    "pod_created_to_scheduled": "#bd96ff",
    "scheduled_to_pulling": "#be4989",
    "scheduled_to_pulled": "#106dc7",
    "pulling_to_pulled": "#106dc7",
    "pulled_to_created": "#209fb7",
    "created_to_started": "#468302",
    "started_to_finished": "#d99e0c",
    "started_to_job_completed": "#f48151",
    "finished_to_job_completed": "#f48151",
    "between_jobs": "#62534b",
    "job_completed_to_job_deleted": "#62534b",
    "job_deleted_to_next_job": "#b5a59c",
}
_OTHER_COLOUR = "#a9746e"


def size_colours(sizes: Sequence[object]) -> list[str]:
    """A colour a size, in the order of the sizes, spread over the ramp."""
    if len(sizes) == 1:
        return [_RAMP[0]]
    last = len(_RAMP) - 1
    return [_between(place * last / (len(sizes) - 1)) for place in range(len(sizes))]


def _between(place: float) -> str:
    low = min(int(place), len(_RAMP) - 2)
    left, right = (_RAMP[low], _RAMP[low + 1])
    part = place - low
    channels = (round(int(left[i : i + 2], 16) * (1 - part) + int(right[i : i + 2], 16) * part) for i in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def phase_colour(phase: str) -> str:
    return PHASE_COLOURS.get(phase, _OTHER_COLOUR)
