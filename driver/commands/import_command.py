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

from driver.importing.said import Said, SaidCache, SaidPrice
from pullstudy.pulls.names import name_problem
from pullstudy.pulls.printable import printable
from pullstudy.pulls.sizes import MOST_NODES

if TYPE_CHECKING:
    from driver.importing.import_logs import FileTally

_SHOWN_REJECTS = 10  # of each file; all of them are in the rejects file


def import_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Event logs, node lists or image manifests, plain or gzip; - reads standard input."
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
    influx: Annotated[
        str | None,
        typer.Option("--influx", metavar="URL", help="Records go into this InfluxDB 2. Token: INFLUXDB_V2_..."),
    ] = None,
) -> None:
    """Read the event logs of an earlier run into a study.

    Takes exporter logs, `kubectl get events -o json`, watch lines, `kubectl get nodes -o json` and image manifests.
    Importing a file again, in pieces or shuffled, changes nothing. Lines that cannot be read are listed at the
    end and kept in DIR/rejects.jsonl, the first 10,000 of a file; more are counted. Files may be of any size.

    Examples:

      pulldriver import events-size-4.json nodes-4.json --run first --out study --cache cold --price 0.616

      kubectl get events -A -o json | pulldriver import - --size 8 --run first --out study

      pulldriver import manifests.json --out study
    """
    from driver.importing.import_logs import import_logs
    from driver.importing.import_stores import destination_of_import, import_store
    from driver.importing.log_file import check_readable
    from pullstudy.pulls.decode import Origin
    from pullstudy.store.embedded.store import upgrade_to_come

    for option, name in (("--run", run), ("--cluster", cluster or run)):
        if problem := name_problem(name):
            raise typer.BadParameter(problem, param_hint=f"'{option}'")
    said = Said(cache, _read_price(price) if price is not None else None)
    check_readable(files)
    size = _checked_size(files, size)
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
    if any(tally.rejected for tally in tallies) and not any(_understood(tally) for tally in tallies):
        _warn("pulldriver: nothing in these files was understood; pulldriver import --help says what it takes")
        raise typer.Exit(1)
    print(f"next: pulldriver report --out {shlex.quote(str(out))}")
    if any(tally.cut_off for tally in tallies):
        raise typer.Exit(1)


_PRICE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?::([A-Z]{3}))?")


def _read_price(text: str) -> SaidPrice:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no price: give it as 0.616 or 0.616:EUR", param_hint="'--price'")
    return SaidPrice(float(match[1]), match[2] or "USD")


def _checked_size(files: list[Path], size: int | None) -> int | None:
    """As given, where the files agree; else as they tell it. Raises UsageError."""
    from driver.importing.cluster_size import count_nodes

    with _progress(files) as advance:
        count = count_nodes(files, advance, _warn)
    if size is not None:
        count.check(size)
        return size
    counted = count.counted()
    if counted is None:
        return None
    print(f"size: {counted.nodes}, {counted.source}; --size says otherwise")
    return counted.nodes


def _understood(tally: "FileTally") -> bool:
    return bool(tally.events or tally.nodes or tally.layers)


def _print_tally(tally: "FileTally") -> None:
    found = [f"{tally.events} events"] if tally.events or not (tally.nodes or tally.layers) else []
    found += [f"{count} {kind}" for kind, count in sorted(tally.kinds.items())]
    found += [f"{tally.new} new records"] if tally.events and tally.new is not None else []
    found += [f"{tally.nodes} nodes"] if tally.nodes else []
    found += [f"{tally.layers} layers"] if tally.layers else []
    print(printable(f"{tally.path}: {', '.join(found)}"))
    for text, count in Counter(tally.exporter_lines).most_common():
        print(printable(f"{tally.path}: the exporter says {count} times: {text}"))
    for reject in tally.rejects[:_SHOWN_REJECTS]:
        _warn(f"{tally.path}:{reject.position}: {reject.problem}")
    if tally.rejected > _SHOWN_REJECTS:
        uncounted = f", of which {tally.unkept} are only counted" if tally.unkept else ""
        _warn(f"{tally.path}: {tally.rejected - _SHOWN_REJECTS} more in rejects.jsonl{uncounted}")
    if tally.cut_off:
        _warn(
            f"{tally.path}: cut off or damaged ({tally.cut_off}); what came before is kept; import the whole file again"
        )


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
    return path.stat().st_size if path.is_file() and path.suffix != ".gz" else None
