"""Colours that stand for something are told apart by every eye, on a light page and a dark one."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from pullstudy.analysis.report.colours import PHASE_COLOURS, STAGE_COLOURS, size_colours
from pullstudy.analysis.report.figure import LIGHT

Numbers = NDArray[np.float64]

# What an eye without one kind of cone sees, in linear RGB. Source: Machado, Oliveira and Fernandes 2009, severity 1.
EYES = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
# Linear sRGB to XYZ of a D65 white (IEC 61966-2-1).
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = XYZ @ np.ones(3)
DIFFERENT = 15.0  # CIE 1976 colour difference; 2.3 is just noticed side by side


def linear(colour: str) -> Numbers:
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(colour: str, eye: str = "all cones") -> Numbers:
    """CIE 1976 L*a*b*."""
    ratios = XYZ @ np.clip(np.array(EYES[eye]) @ linear(colour), 0, 1) / WHITE
    roots = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * roots[1] - 16, 500 * (roots[0] - roots[1]), 200 * (roots[1] - roots[2])])


def contrast(colour: str, background: str) -> float:
    """By WCAG 2: 1 to 21."""
    light, dark = sorted((float(XYZ[1] @ linear(each)) for each in (colour, background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


SIZES = size_colours(["4", "8", "16", "32", "64", "128", "256"])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(
    "colours",
    [SIZES, sorted(set(PHASE_COLOURS.values())), sorted(STAGE_COLOURS.values())],
    ids=["sizes", "phases", "stages"],
)
def test_colours_are_told_apart_by_eyes_without_red_or_green(colours: list[str], eye: str) -> None:
    nearest = min((float(np.linalg.norm(lab(a, eye) - lab(b, eye))), a, b) for a, b in combinations(colours, 2))
    assert nearest[0] >= DIFFERENT, nearest


def test_larger_clusters_are_lighter() -> None:
    lightness = [float(lab(colour)[0]) for colour in SIZES]
    assert lightness == sorted(lightness)


PAGE_COLOURS = re.findall(r"--background: (#\w+);", (files("pullstudy.analysis.report") / "page.css").read_text())


@pytest.mark.parametrize("background", PAGE_COLOURS, ids=["light", "dark"])
def test_every_colour_stands_out_from_the_page(background: str) -> None:
    for colour in (*SIZES, *PHASE_COLOURS.values(), *STAGE_COLOURS.values()):
        assert contrast(colour, background) >= 1.8, colour


def test_pictures_have_the_colours_of_the_light_page() -> None:
    assert LIGHT.background == PAGE_COLOURS[0]
