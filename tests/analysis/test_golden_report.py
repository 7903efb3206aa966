"""The words and figures of a small sweep's report, as they were last looked at.

UPDATE_GOLDEN=1 writes them anew; look at the difference before it is committed.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from pullstudy.analysis.report.facts import Facts
from pullstudy.analysis.report.figure import Drawing
from pullstudy.analysis.report.html import Markup
from pullstudy.analysis.report.report import sections_of
from tests.analysis.page_reader import Reader

GOLDEN = Path(__file__).with_name("golden_report.json")


def shape(spec: Any) -> Any:
    """A chart without its data, of which only the number of rows and their sums remain."""
    if isinstance(spec, list):
        return [shape(item) for item in spec]
    if not isinstance(spec, dict):
        return spec
    return {
        key: sums(value) if key == "values" and all(isinstance(row, dict) for row in value) else shape(value)
        for key, value in spec.items()
    }


def sums(rows: list[dict[str, Any]]) -> dict[str, float]:
    totals: Counter[str] = Counter({"rows": len(rows)})
    for row in rows:
        totals.update({key: value for key, value in row.items() if isinstance(value, int | float)})
    return {key: float(f"{value:.6g}") for key, value in totals.items()}


def drawn(drawing: Drawing) -> Any:
    """Of panels the titles, and the last one, which is like the others."""
    *_, last = charts = drawing.charts()
    return {"panels": [chart.title for chart in charts], "last": shape(last.spec)}


def test_the_report_of_a_small_sweep_is_as_it_was_last_looked_at(sweep: Facts) -> None:
    found = {
        section.title: [
            Reader(block).lines() if isinstance(block, Markup) else {block.name: drawn(block)}
            for block in section.blocks
        ]
        for section in sections_of(sweep)
    }
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(GOLDEN.read_text())
