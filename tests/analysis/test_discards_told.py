"""What an exporter left out stands in the report of an imported log, beside the pulls that its jobs would make."""

from datetime import UTC, datetime
from pathlib import Path

from driver.importing.import_logs import import_logs
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.sections import loss_audit
from pullstudy.pulls.decode import Origin
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.page_reader import Reader


def told(log: Path, directory: Path, size: int) -> str:
    store = EmbeddedStore(directory, create=True)
    origin = Origin(cluster="c", run="r", size=size)
    for _ in range(2):  # the second time changes nothing
        import_logs([log], origin, directory, store, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    store.close_now()
    return Reader("".join(map(str, loss_audit.build(gather_facts(directory)).blocks))).words()


def test_a_real_log_says_how_many_events_its_exporter_discarded(study_data: Path, tmp_path: Path) -> None:
    words = told(study_data / "pulling-test-run3" / "events-size-8.json", tmp_path, 8)
    assert "discarded 247 events as too old" in words
    # 38 images in 38 jobs, of 8 pods each; the first jobs' events are those that were discarded.
    assert "8 38 304 273 247" in " ".join(words.split())


def test_a_log_whose_exporter_discarded_nothing_says_nothing_of_it(study_data: Path, tmp_path: Path) -> None:
    words = told(study_data / "eks-gp2-38-images" / "events-4.jsonl", tmp_path, 4)
    assert "as too old" not in words
    assert "4 38 152 152 0" in " ".join(words.split())
