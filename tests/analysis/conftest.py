"""Studies that several tests read: the real logs, and a small sweep made by hand."""

from pathlib import Path

import pytest

from pullstudy.analysis.reading.manifests import import_manifests
from pullstudy.analysis.report.facts import Facts, gather_facts
from pullstudy.pulls.batch import Batch
from pullstudy.pulls.decode import Origin, decode_event
from pullstudy.pulls.eventlog import LoggedEvent, read_log
from pullstudy.pulls.spans.stage_records import records_of
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.hand_made import synthetic_sweep
from tests.pulls.spans.samples import ORIGIN, pull_spans


def import_events(path: Path, origin: Origin, directory: Path) -> None:
    with path.open("rb") as file:
        decoded = [decode_event(item.event, origin) for item in read_log(file) if isinstance(item, LoggedEvent)]
    store = EmbeddedStore(directory, create=True)
    pulls = tuple(record for found in decoded for record in found.pulls)
    store.write_now(Batch(pulls=pulls, milestones=tuple(m for found in decoded for m in found.milestones)))
    store.close_now()


@pytest.fixture(scope="session")
def aws_directory(study_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's own logs at 4, 8 and 16 nodes, and its manifests."""
    directory = tmp_path_factory.mktemp("pulling-aws")
    source = study_data / "pulling-aws"
    for size in (4, 8, 16):
        origin = Origin(cluster=f"aws-{size}", run="pulling-aws", size=size)
        import_events(source / f"events-size-{size}.json", origin, directory)
    import_manifests(source / "manifests-config-layers.json", directory)
    return directory


@pytest.fixture(scope="session")
def staged_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real pulls as their runtimes' spans tell them."""
    directory = tmp_path_factory.mktemp("staged")
    store = EmbeddedStore(directory, create=True)
    store.write_now(Batch(more=[*records_of(pull_spans("g9"), ORIGIN), *records_of(pull_spans("z9"), ORIGIN)]))
    store.close_now()
    return directory


@pytest.fixture(scope="session")
def aws(aws_directory: Path) -> Facts:
    return gather_facts(aws_directory)


@pytest.fixture(scope="session")
def lossy_directory(study_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test run on GKE at 4 and 8 nodes, of whose events many were lost at 8."""
    directory = tmp_path_factory.mktemp("pulling-test-run3")
    for size in (4, 8):
        origin = Origin(cluster=f"gke-{size}", run="run3", size=size)
        import_events(study_data / "pulling-test-run3" / f"events-size-{size}.json", origin, directory)
    return directory


@pytest.fixture(scope="session")
def lossy(lossy_directory: Path) -> Facts:
    return gather_facts(lossy_directory)


@pytest.fixture(scope="session")
def sweep_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 and 4 simulated nodes, three images; see synthetic_sweep for its times."""
    directory = tmp_path_factory.mktemp("sweep")
    synthetic_sweep(directory, image_bytes=(1_000_000_000, 2_000_000_000, 4_000_000_000))
    return directory


@pytest.fixture(scope="session")
def sweep(sweep_directory: Path) -> Facts:
    return gather_facts(sweep_directory)
