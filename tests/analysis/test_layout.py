"""The report as a browser lays it out: nothing is cut on a screen, and no chart lies over another on paper."""

import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.page import page
from pullstudy.analysis.report.report import provenance, sections_of
from tests.analysis.chromium import Browser, browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH lays the report out")
STYLES = (files("pullstudy.analysis.report") / "page.css").read_text()
PRINT = STYLES[STYLES.index("@media print") :]
SCREENS = {"a desktop": 1280, "a telephone": 400}
MARGIN = float(re.findall(r"@page \{ margin: (\d+)mm", STYLES)[0])
PAPERS = {"A4": (210 - 2 * MARGIN, 297 - 2 * MARGIN), "Letter": (215.9 - 2 * MARGIN, 279.4 - 2 * MARGIN)}  # millimetres
PIXELS = 96 / 25.4  # of CSS, a millimetre

# Boxes of what a reader sees; what a table has beyond its width scrolls on a screen.
LAID_OUT = """(() => {
  const box = (element) => { const {left, right, top, bottom} = element.getBoundingClientRect();
    return {left, right, top, bottom, name: element.id || element.dataset.spec || element.textContent.slice(0, 40)}; };
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  return {
    width: document.documentElement.scrollWidth,
    page: box(document.body),
    figures: all("figure").map(box),
    tables: all("table").map(box),
    charts: all(".chart").map((chart) => ({...box(chart), figure: box(chart.closest("figure")),
      drawn: chart.querySelector("svg") ? box(chart.querySelector("svg")) : null,
      texts: Array.from(chart.querySelectorAll("svg text")).filter((text) => text.textContent).map(box)})),
    words: all("h1, h2, h3, p, li, caption, figcaption, .tiles div, .panel b").map(box),
  };
})()"""


@pytest.fixture(scope="module")
def report(aws: Facts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("laid-out") / "report.html"
    file.write_text(page("Image pulls", provenance(aws), False, sections_of(aws)))
    return file


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as found:
        yield found


def inside(inner: Any, outer: Any, slack: float = 1.5) -> bool:
    return bool(inner["left"] >= outer["left"] - slack and inner["right"] <= outer["right"] + slack)


def overlap(one: Any, other: Any, slack: float = 1.0) -> bool:
    return bool(
        min(one["right"], other["right"]) - max(one["left"], other["left"]) > slack
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > slack
    )


def check_charts(laid_out: Any) -> None:
    charts = laid_out["charts"]
    assert len(charts) > 10
    drawn = [chart["drawn"] for chart in charts]
    assert None not in drawn
    for chart in charts:
        assert inside(chart["drawn"], chart["figure"]), chart["name"]
        cut = [text["name"] for text in chart["texts"] if not inside(text, chart["drawn"])]
        assert not cut, (chart["name"], cut)
    over = [(a["name"], b["name"]) for i, a in enumerate(charts) for b in charts[:i] if overlap(a["drawn"], b["drawn"])]
    assert not over
    figures = laid_out["figures"]
    assert not [(a["name"], b["name"]) for i, a in enumerate(figures) for b in figures[:i] if overlap(a, b)]


@needs_chromium
@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_cut_on(screen: str, report: Path, reader: Browser) -> None:
    reader.open(report, SCREENS[screen])
    laid_out = reader.value(LAID_OUT)
    assert laid_out["width"] <= SCREENS[screen]
    assert not [words["name"] for words in laid_out["words"] if not inside(words, laid_out["page"])]
    if screen == "a desktop":  # on a telephone wide tables scroll
        assert not [table["name"] for table in laid_out["tables"] if not inside(table, laid_out["page"])]
    check_charts(laid_out)


@needs_chromium
@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("screen", SCREENS)
def test_charts_do_not_overlap_and_nothing_is_cut_on_paper(
    paper: str, screen: str, report: Path, reader: Browser
) -> None:
    """Whatever the screen was on which they were drawn."""
    width, height = PAPERS[paper]
    reader.open(report, SCREENS[screen])
    reader.print_on(width)
    laid_out = reader.value(LAID_OUT)
    check_charts(laid_out)
    assert not [table["name"] for table in laid_out["tables"] if not inside(table, laid_out["page"])]
    assert not [c["name"] for c in laid_out["charts"] if c["bottom"] - c["top"] > height * PIXELS]


def test_printed_charts_are_as_wide_as_their_columns_and_stay_on_one_page() -> None:
    """What holds it on paper, where no browser is there to look."""
    rules = dict(re.findall(r"^  ([^{@}]+?) \{ (.*) \}$", PRINT, re.MULTILINE))
    assert "width: 100% !important; height: auto !important" in rules[".chart svg"]
    assert rules[".figures"] == "display: block;"
    assert rules[".chart"] == "min-height: 0;"
    assert rules["figure, figcaption, .panel, .tiles div, .warning, tr"] == "break-inside: avoid;"
    assert rules[".table"] == "max-height: none; overflow: visible;"
