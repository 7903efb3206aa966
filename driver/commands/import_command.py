"""``pulldriver import``."""

import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driver.commands.options import Note, check_note
from driver.importing.said import Said, SaidCache, SaidPrice
from pullstudy.pulls.names import name_problem
from pullstudy.pulls.printable import printable
from pullstudy.pulls.sizes import MOST_NODES

if TYPE_CHECKING:
    from driver.importing.import_logs import FileTally

_SHOWN_REJECTS = 10  # of each file; all of them are in the rejects file
_SHOWN_REASONS = 5
_PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zip")


def import_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Event logs, lists of nodes or pods, image manifests, spans; plain, packed, or in tar and zip "
            "archives; - reads standard input.",
        ),
    ],
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            metavar="N",
            min=1,
            max=MOST_NODES,
            help="Nodes that the cluster of these files had. Without it a node list among them tells it, else the "
            "nodes on which their pods ran.",
        ),
    ] = None,
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Name of the run they belong to.")] = "imported",
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Name of the cluster.", show_default="RUN-SIZE")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory of the study; made if absent.")] = Path(
        "pulling-study"
    ),
    cache: Annotated[
        SaidCache | None,
        typer.Option(
            "--cache", help="What the nodes held before the jobs of these files, which no log says: of all their pulls."
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option("--price", metavar="AMOUNT[:CURRENCY]", help="What a node cost an hour: of the whole run."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            help="When the `kubectl describe pod` of these files was run, as 2024-08-23T02:24:11Z: its events have "
            "ages alone.",
        ),
    ] = None,
    note: Note = None,
    influx: Annotated[
        str | None,
        typer.Option("--influx", metavar="URL", help="Records go into this InfluxDB 2. Token: INFLUXDB_V2_..."),
    ] = None,
) -> None:
    """Read the event logs of an earlier run into a study.

    Takes exporter logs, events as JSON or YAML in any envelope, `kubectl get events -o wide`, `kubectl describe
    pod`, lists of nodes and pods, image manifests, spans (OTLP); also gzip, bzip2, xz, tar and zip archives (must-
    gather, support bundles). Importing a file again, in pieces or shuffled, changes nothing. What cannot be read is
    told at the end and kept in DIR/rejects.jsonl, the first 10,000 of a file; more are counted. Files may be of any
    size.
    Exit code 1: of one of the files nothing was understood, or it is cut off; what was read is stored.

    Examples:

      pulldriver import events-size-4.json nodes-4.json --run first --out study --cache cold --price 0.616

      kubectl get events -A -o json | pulldriver import - --size 8 --run first --out study

      pulldriver import must-gather.tar.gz --out study

      kubectl get pods -A -o json > pods.json; pulldriver import events.json pods.json --out study

      pulldriver import described.txt --as-of 2024-08-23T02:24:11Z --size 4 --out study

      pulldriver import manifests.json --out study
    """
    from driver.importing.import_logs import REJECTS_FILE, import_logs
    from driver.importing.import_stores import destination_of_import, import_store
    from driver.importing.log_file import check_readable
    from pullstudy.pulls.decode import Origin
    from pullstudy.store.embedded.store import upgrade_to_come

    for option, name in (("--run", run), ("--cluster", cluster or run)):
        if problem := name_problem(name):
            raise typer.BadParameter(problem, param_hint=f"'{option}'")
    check_note(note)
    said = Said(
        cache,
        _read_price(price) if price is not None else None,
        _read_as_of(as_of) if as_of is not None else None,
        note,
    )
    check_readable(files)
    size = _checked_size(files, size, said.as_of)
    origin = Origin(cluster=cluster or (run if size is None else f"{run}-{size}"), run=run, size=size)
    destination = destination_of_import(out, run, influx, os.environ)
    if line := upgrade_to_come(out):
        _warn(line)
    with import_store(destination, out, origin.cluster, os.environ, _warn) as store, _progress(files) as advance:
        tallies = import_logs(
            files,
            origin,
            out,
            store,
            destination=destination,
            said=said,
            now=lambda: datetime.now(UTC),
            advance=advance,
            note=_warn,
        )
    for tally in tallies:
        _print_tally(tally)
    _print_rejects(tallies, out / REJECTS_FILE)
    if not destination.shared:
        _warn_of_same_events(out, origin.cluster)
    barren = [tally for tally in tallies if _barren(tally)]
    for tally in barren:
        _warn(f"{tally.path}: nothing in it was understood; pulldriver import --help says what it takes")
    if len(barren) < len(tallies):
        print(f"next: pulldriver report --out {shlex.quote(str(out))}")
    if barren or any(tally.cut_off for tally in tallies):
        raise typer.Exit(1)


def _warn_of_same_events(out: Path, cluster: str) -> None:
    from driver.importing.same_events import same_events

    for found in same_events(out, cluster):
        _warn(
            f"{found.same} of {found.looked_at} pulls of cluster {cluster} that were looked at are of the same events"
            f" as pulls of cluster {found.other}: they count twice; give one log one --cluster, in another --out"
        )


_PRICE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?::([A-Z]{3}))?")


def _read_price(text: str) -> SaidPrice:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no price: give it as 0.616 or 0.616:EUR", param_hint="'--price'")
    return SaidPrice(float(match[1]), match[2] or "USD")


def _checked_size(files: list[Path], size: int | None, as_of: datetime | None) -> int | None:
    """As given, where the files agree; else as they tell it. Raises UsageError."""
    from driver.importing.cluster_size import count_nodes

    with _progress(files) as advance:
        count = count_nodes(files, advance, _warn, as_of)
    if size is not None:
        count.check(size)
        return size
    counted = count.counted()
    if counted is None:
        return None
    print(f"size: {counted.nodes}, {counted.source}; --size says otherwise")
    return counted.nodes


def _read_as_of(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is no time: give it as 2024-08-23T02:24:11Z", param_hint="'--as-of'")


def _barren(tally: "FileTally") -> bool:
    """Whether nothing in the file was understood, though there is something in it."""
    return bool(tally.rejected or tally.passed_over) and not tally.understood


def _print_tally(tally: "FileTally") -> None:
    found = [f"{tally.events} events"] if tally.events or not tally.understood else []
    found += [f"{count} {kind}" for kind, count in sorted(tally.kinds.items())]
    found += [f"{tally.new} new records"] if tally.events and tally.new is not None else []
    found += [f"{tally.nodes} nodes"] if tally.nodes else []
    found += [f"{tally.pods} pods"] if tally.pods else []
    found += [f"{tally.layers} layers"] if tally.layers else []
    found += [f"{tally.spans} spans of pulls"] if tally.spans else []
    print(printable(f"{tally.path}: {', '.join(found)}"))
    for text, count in Counter(tally.exporter_lines).most_common():
        print(printable(f"{tally.path}: the exporter says {count} times: {text}"))
    if tally.members or tally.passed_over:
        print(printable(f"{tally.path}: an archive of which {tally.members} members were read"))
    for why, count in tally.passed_over.most_common(_SHOWN_REASONS):
        print(printable(f"{tally.path}: {count} of them hold no events, nodes, pods or manifests: {why}"))
    for reject in tally.rejects[:_SHOWN_REJECTS]:
        _warn(f"{tally.path.parent / reject.source}:{reject.position}: {reject.problem}")
    if tally.rejected > _SHOWN_REJECTS:
        uncounted = f", of which {tally.unkept} are only counted" if tally.unkept else ""
        _warn(f"{tally.path}: {tally.rejected - _SHOWN_REJECTS} more in rejects.jsonl{uncounted}")
    if tally.cut_off:
        _warn(
            f"{tally.path}: cut off or damaged ({tally.cut_off}); what came before is kept; import the whole file again"
        )


def _print_rejects(tallies: "list[FileTally]", file: Path) -> None:
    """How many and why, in one line, whatever was shown of them."""
    reasons = Counter[str]()
    for tally in tallies:
        reasons.update(tally.reasons)
    if reasons:
        told = [f"{count} x {reason}" for reason, count in reasons.most_common(_SHOWN_REASONS)]
        if others := reasons.total() - sum(count for _, count in reasons.most_common(_SHOWN_REASONS)):
            told.append(f"{others} x other reasons")
        _warn(f"rejected: {reasons.total()} ({'; '.join(told)}), kept in {file}")


def _warn(line: str) -> None:
    print(printable(line), file=sys.stderr)


@contextmanager
def _progress(files: list[Path]) -> Iterator[Callable[[Path, int], None]]:
    """A bar of the bytes read, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda path, size: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks = {path: progress.add_task(escape(printable(path.name)), total=_bytes(path)) for path in files}
        yield lambda path, size: progress.advance(tasks[path], size)


def _bytes(path: Path) -> int | None:
    # A packed file's bytes are not the lines' bytes, a pipe has none: the bar then only moves.
    return path.stat().st_size if path.is_file() and path.suffix not in _PACKED else None
