"""``pulldriver export``: a study's pulls, phases, moments, runs, layers, similarities or stages as a table."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import msgspec

from pullstudy.analysis.errors import ChoiceError, NoLayersError, TerminalError
from pullstudy.analysis.findings.similarity import ImagePair, pairs
from pullstudy.analysis.output_file import output_file
from pullstudy.analysis.reading.image_sizes import sizes_of_run
from pullstudy.analysis.reading.joined_records import opened
from pullstudy.analysis.reading.joined_stages import JoinedStages, joined_stages
from pullstudy.analysis.reading.layers import Layer, choose_tags, read_layers, read_tags, shared_by_all, without
from pullstudy.analysis.reading.ledger import cache_before
from pullstudy.analysis.reading.source import StudySource, as_source, runs_of
from pullstudy.analysis.reading.study import opened_study
from pullstudy.analysis.tables import WRITERS, Table, TableColumn, columns_of
from pullstudy.analysis.timelines.assembly import timelines_of
from pullstudy.analysis.timelines.moments import MomentRow, moment_rows
from pullstudy.analysis.timelines.phases import PhaseRow, phase_rows
from pullstudy.pulls.image import study_shape
from pullstudy.pulls.image_size import ImageSize
from pullstudy.pulls.kinds import LAYER, PULL_STAGES
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PullRecord
from pullstudy.store.embedded.store import open_connection, store_errors
from pullstudy.store.protocol import StoredRun

# What pulls are compared by, and no record holds.
_PULL_MORE = (
    TableColumn("cache", str),
    TableColumn("layers", int),
    TableColumn("unpacked_bytes", int),
    TableColumn("compressed_bytes", int),
    TableColumn("size_source", str),
)
_BY_NAME = "name"  # as size_source: the tag says it


@dataclass(frozen=True)
class LayerChoice:
    """Which images' layers are meant: all that are known, or those with the tags that a CSV file names."""

    tags_of: Path | None = None
    without_shared: bool = False  # leave out the layers that all of the chosen images have

    def of(self, layers: list[Layer]) -> list[Layer]:
        chosen = choose_tags(layers, read_tags(self.tags_of)) if self.tags_of else layers
        return without(chosen, shared_by_all(chosen)) if self.without_shared else chosen


ALL_LAYERS = LayerChoice()


def export(where: Path | StudySource, what: str, format: str, to: Path | None, choice: LayerChoice = ALL_LAYERS) -> int:
    """Write the table of a directory or another source to the file, or to standard output; return how many rows it has.

    Raises ChoiceError, TagsError, NoLayersError, TerminalError, OutputError, NotAStudyError, StoreError.
    """
    if what not in TABLES:
        raise ChoiceError("table", what, (*TABLES, "trace"))
    if format not in WRITERS:
        raise ChoiceError("format", format, tuple(WRITERS))
    if to is None and format == "parquet" and sys.stdout.isatty():
        raise TerminalError(what)
    source = as_source(where)  # no study, no file
    with TABLES[what](source, choice) as table:
        if to is None:
            return WRITERS[format](table, sys.stdout.buffer)
        with output_file(to) as file:
            return WRITERS[format](table, file)


@contextmanager
def pulls_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """Every record, the study's own and those around it, in the columns of PullRecord and _PULL_MORE."""
    size_of = _sizes(source)
    with opened(source) as store, _caches(source) as cache_of:
        rows = ((*msgspec.structs.astuple(pull), cache_of(pull), *size_of(pull)) for pull in store.pulls())
        yield Table((*columns_of(PullRecord), *_PULL_MORE), rows)


@contextmanager
def _caches(source: StudySource) -> Iterator[Callable[[PullRecord], str | None]]:
    """What a pull's node held of the image before its job; known of the jobs of a sweep, whose ledger is at hand."""
    if source.directory is None:
        yield lambda pull: None
        return
    with closing(open_connection(source.directory, create=False)) as connection, store_errors(source.directory):
        yield lambda pull: cache_before(connection, pull)


_Size = tuple[int | None, int | None, int | None, str | None]


def _sizes(source: StudySource) -> Callable[[PullRecord], _Size]:
    """Layers, unpacked bytes and compressed ones of a pull's image, and who says them."""
    runs = runs_of(source.directory) if source.directory is not None else []
    known = {(run.run, image): _size(size) for run in runs for image, size in sizes_of_run(run).items()}
    return lambda pull: known.get((pull.run or "", pull.image or "")) or _shape(pull)


def _size(size: ImageSize) -> _Size:
    return len(size.layer_bytes), size.unpacked_bytes, size.compressed, size.source.value


def _shape(pull: PullRecord) -> _Size:
    shape = study_shape(pull.tag)
    return (*shape, None, _BY_NAME) if shape else (None, None, None, None)


@contextmanager
def runs_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a run and cluster, with the number of its pulls."""
    with opened(source) as store:
        yield Table(columns_of(StoredRun), map(msgspec.structs.astuple, store.runs()))


@contextmanager
def phases_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a job, followed by one a container of it; by cluster and the job's name."""
    with opened_study(source) as records:
        jobs = (job for group in records.jobs() for job in timelines_of(group))
        yield Table(columns_of(PhaseRow), map(msgspec.structs.astuple, phase_rows(jobs)))


@contextmanager
def moments_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a moment of a job, a pod or a container; by cluster and the job's name."""
    with opened_study(source) as records:
        jobs = (job for group in records.jobs() for job in timelines_of(group))
        yield Table(columns_of(MomentRow), map(msgspec.structs.astuple, moment_rows(jobs)))


LAYER_COLUMNS: dict[str, tuple[type, Callable[[Layer], Any]]] = {
    "uri": (str, lambda layer: layer.repository),
    "full_uri": (str, lambda layer: layer.image),
    "layer_size": (int, lambda layer: layer.layer_bytes),
    "platform": (str, lambda layer: layer.platform),
    "arch": (str, lambda layer: layer.arch),
    "digest": (str, lambda layer: layer.digest),
    "os": (str, lambda layer: layer.os),
    "schema_version": (int, lambda layer: layer.schema_version),
}


@contextmanager
def layers_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a layer of an image, in the columns of the study's own container-layers.csv."""
    columns = tuple(TableColumn(name, kind) for name, (kind, _) in LAYER_COLUMNS.items())
    yield Table(columns, _layer_rows(choice.of(_layers(source))))


def _layers(source: StudySource) -> list[Layer]:
    if source.directory is None:
        raise NoLayersError(source.name)
    return read_layers(source.directory)


def _layer_rows(layers: Iterable[Layer]) -> Iterator[tuple[Any, ...]]:
    for layer in layers:
        yield tuple(read(layer) for _, read in LAYER_COLUMNS.values())


# What the kubelet's event tells of a pull whose inside its runtime told.
_STAGES_MORE = (
    TableColumn("job", str),
    TableColumn("container", str),
    TableColumn("event_uid", str),
    TableColumn("count", int),
    TableColumn("pull_seconds", float),
    TableColumn("joined_by", str),
)


@contextmanager
def stages_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a pull whose inside a runtime told, by the time of its end, with what the kubelet's event tells of it."""
    with opened(source) as store:
        joined = joined_stages(store.records(PULL_STAGES), store.pulls())
        yield Table((*columns_of(PullStages), *_STAGES_MORE), map(_stages_row, joined))


def _stages_row(joined: JoinedStages) -> tuple[Any, ...]:
    stages, pull = joined.stages, joined.pull
    if pull is None:
        return (*msgspec.structs.astuple(stages), *(None for _ in _STAGES_MORE))
    known = msgspec.structs.replace(
        stages,
        namespace=stages.namespace or pull.namespace,
        pod=stages.pod or pull.pod,
        pod_uid=stages.pod_uid or pull.pod_uid,
    )
    told = (pull.job, pull.container, pull.event_uid, pull.count, pull.pull_seconds, joined.by)
    return (*msgspec.structs.astuple(known), *told)


@contextmanager
def layer_stages_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a layer of such a pull, by the time of its end."""
    with opened(source) as store:
        yield Table(columns_of(PulledLayer), map(msgspec.structs.astuple, store.records(LAYER)))


@contextmanager
def similarity_table(source: StudySource, choice: LayerChoice) -> Iterator[Table]:
    """A row a pair of images, each with itself too."""
    yield Table(columns_of(ImagePair), map(astuple, pairs(choice.of(_layers(source)))))


TABLES: dict[str, Callable[[StudySource, LayerChoice], Any]] = {
    "pulls": pulls_table,
    "phases": phases_table,
    "moments": moments_table,
    "runs": runs_table,
    "layers": layers_table,
    "similarity": similarity_table,
    "stages": stages_table,
    "layer-stages": layer_stages_table,
}
LAYER_TABLES = ("layers", "similarity")  # of the directory, whatever records there are
