"""Every column, flag and choice stands in the docs."""

from pathlib import Path

import pytest

from pullstudy.analysis.export import LAYER_COLUMNS, TABLES
from pullstudy.analysis.findings.similarity import PAIR_COLUMNS
from pullstudy.analysis.tables import WRITERS
from pullstudy.analysis.timelines.moments import MOMENT_COLUMNS
from pullstudy.analysis.timelines.phases import PHASE_COLUMNS
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PULL_COLUMNS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FLAGS = ("missing:", "unresolved:", "negative:", "shares-node", "shared-pull", "image-inferred", "no-pod-seen")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("exports.md", (*PULL_COLUMNS, *TABLES, *WRITERS)),
        ("stages.md", (*PullStages.__struct_fields__, *PulledLayer.__struct_fields__)),
        ("phases.md", (*PHASE_COLUMNS, *MOMENT_COLUMNS, *FLAGS)),
        ("similarity.md", (*LAYER_COLUMNS, *(name for name in PAIR_COLUMNS if "image" not in name))),
    ],
)
def test_every_word_of_the_exports_is_explained(page: str, words: tuple[str, ...]) -> None:
    text = (DOCS / page).read_text()
    assert [word for word in words if word not in text] == []
