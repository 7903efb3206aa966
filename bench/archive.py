"""An archive of many made pulls: how fast it is written, how large it is, and what the questions to it cost.

    python -m bench.archive [--pulls 1000000] [--clusters 10] [--days 365] [--to DIR] [--ask "report"] [--delivered N]

Makes the pulls of a fleet's year with DuckDB, and writes them with the archive's own writer, a partition for each
day and cluster: 500 nodes and 200 repositories a cluster, uids at random, three in a hundred fail. With --delivered so
many records go the long way before: as one that archives a topic delivers them, 50,000 at a time, and then compaction.

Each question is a process: seconds of CPU and of the wall, and the peak of its memory. An archive that is there already
(--to) is asked, and not made.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from pullstudy.pulls.batch import Batch
from pullstudy.pulls.kinds import PULL
from pullstudy.store.archive.compaction import compact
from pullstudy.store.archive.directory_objects import DirectoryObjects
from pullstudy.store.archive.incoming import keep
from pullstudy.store.archive.merge import engine, order_sql, write_rows
from pullstudy.store.archive.objects import Objects
from pullstudy.store.archive.partition import Partition
from pullstudy.store.archive.read import ArchiveReader
from pullstudy.store.archive.settings import ArchiveSettings
from pullstudy.store.archive.tables import schema_of

BEGAN = date(2026, 1, 1)
MEMORY_BYTES = 512 << 20
AT_ONCE = 50_000
ROWS = """
SELECT '{cluster}' AS cluster, NULL AS run, NULL AS size, 'ip-10-0-' || (node // 250) || '-' || (node % 250) AS node,
  'team-' || (repository % 40) AS namespace, NULL AS job, name || '-' || substr(md5(n::VARCHAR), 1, 5) AS pod,
  uuid()::VARCHAR AS pod_uid, 'main' AS container, path || ':' || tag AS image, path AS repository, tag, NULL AS digest,
  outcome, CASE outcome WHEN 'pulled' THEN finished_at - to_microseconds((seconds * 1e6)::BIGINT) END AS started_at,
  finished_at, CASE outcome WHEN 'pulled' THEN seconds END AS pull_seconds,
  CASE outcome WHEN 'pulled' THEN 0.0 END AS waiting_seconds,
  CASE outcome WHEN 'pulled' THEN 30000000 + repository * 4000000 END AS image_bytes,
  CASE outcome WHEN 'failed' THEN 'rpc error: code = NotFound desc = failed to pull "' || path || '"' END AS error,
  1 AS count, uuid()::VARCHAR AS event_uid
FROM (SELECT n, node, repository, '1.' || (repository % 9) || '.' || {number} AS tag,
    'registry-' || (repository % 4) || '.example.com/team-' || (repository % 40) || '/service-' || repository AS path,
    'service-' || repository || '-' || substr(md5(repository::VARCHAR || '{day}'), 1, 10) AS name,
    TIMESTAMPTZ '{day} 00:00:00+00' + to_microseconds(micros) AS finished_at,
    CASE WHEN chance < 0.6 THEN 'pulled' WHEN chance < 0.97 THEN 'cached' ELSE 'failed' END AS outcome,
    round((1 + repository / 20) * exp(0.6 * sqrt(-2 * ln(one + 1e-9)) * cos(6.28318 * other)), 6) AS seconds
  FROM (SELECT range AS n, (random() * 499)::INT AS node, (random() * random() * 199)::INT AS repository,
    (random() * 86399999999)::BIGINT AS micros, random() AS chance, random() * 0.999 AS one, random() AS other
    FROM range({rows})))
"""
# A process begins with the peak of the one that it was forked from: a small one stands between.
MEASURE = """
import os, sys, time
began = time.monotonic()
process = os.fork()
if process == 0:
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(process, 0)
wall = time.monotonic() - began
print(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""
QUESTIONS = {
    "runs": "pulldriver export runs --archive {place}",
    "quantiles by image, DuckDB": "SELECT image, count(*), quantile_cont(pull_seconds, [0.5, 0.95, 0.99]) FROM {rows}"
    " WHERE outcome = 'pulled' GROUP BY image",
    "the same, approximate": "SELECT image, count(*), approx_quantile(pull_seconds, [0.5, 0.95, 0.99]) FROM {rows}"
    " WHERE outcome = 'pulled' GROUP BY image",
    "by hour, DuckDB": "SELECT date_trunc('hour', finished_at), count(*), median(pull_seconds) FROM {rows} GROUP BY 1",
    "a month of a cluster by image, DuckDB": "SELECT image, count(*), quantile_cont(pull_seconds, 0.95) FROM {rows}"
    " WHERE cluster = 'prod-00' AND day BETWEEN '2026-03-01' AND '2026-03-31' GROUP BY image",
    "export of a cluster, Parquet": "pulldriver export pulls --archive {place} --cluster prod-00 --format parquet"
    " --to {out}/pulls.parquet",
    "export of a cluster, CSV": "pulldriver export pulls --archive {place} --cluster prod-00 --to {out}/pulls.csv",
    "report of a cluster": "pulldriver report --archive {place} --cluster prod-00 --out {out} --json",
    "report": "pulldriver report --archive {place} --out {out} --json",
}


def make(objects: Objects, pulls: int, clusters: int, days: int) -> None:
    """A partition for each day and cluster, all of one size."""
    rows = max(1, pulls // (clusters * days))
    with tempfile.TemporaryDirectory() as directory, engine(MEMORY_BYTES, Path(directory)) as connection:
        connection.execute("SELECT setseed(0.5)").fetchall()
        draft = Path(directory, "draft.parquet")
        for cluster in (f"prod-{number:02}" for number in range(clusters)):
            for number in range(days):
                day = str(BEGAN + timedelta(days=number))
                made = ROWS.format(cluster=cluster, day=day, number=number // 14, rows=rows)
                write_rows(connection, f"{made} ORDER BY {order_sql(PULL)}", schema_of(PULL), draft)
                objects.replace(Partition("pulls", day, cluster).key, draft, None)


def deliver(settings: ArchiveSettings, pulls: int) -> None:
    """Made pulls as records of a batch, then merged."""
    with tempfile.TemporaryDirectory() as directory:
        made = ArchiveSettings(f"{directory}/made")
        make(DirectoryObjects(Path(made.url)), pulls, 2, 5)
        records = list(ArchiveReader(made).pulls())
    objects = DirectoryObjects(Path(settings.url))
    print(told("deliver", len(records), *timed(lambda: _keep_all(objects, records))))
    print(told("compaction", len(records), *timed(lambda: compact(objects, settings))))


def _keep_all(objects: Objects, records: list) -> None:  # type: ignore[type-arg]
    for first in range(0, len(records), AT_ONCE):
        keep(objects, Batch(pulls=records[first : first + AT_ONCE]))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU and of the wall, in this process."""
    cpu, began = time.process_time(), time.monotonic()
    work()
    return time.process_time() - cpu, time.monotonic() - began


def told(what: str, rows: int, cpu: float, wall: float) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"| {what} | {rows:,} | {cpu:.1f} | {wall:.1f} | {rows / wall:,.0f}/s | {peak:.0f} MiB |"


def size_of(directory: Path) -> tuple[int, int]:
    """Files and bytes."""
    sizes = [path.stat().st_size for path in directory.rglob("*.parquet")]
    return len(sizes), sum(sizes)


def asked(question: str, place: str, out: Path) -> tuple[float, float, float, int]:
    """Seconds of CPU and of the wall, the peak in MiB, the exit code, of a process."""
    command = [sys.executable, "-c", MEASURE, str(out / "out.txt"), *_program(question, place, out)]
    cpu, wall, peak, code = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(cpu), float(wall), float(peak), int(code)


def _program(question: str, place: str, out: Path) -> list[str]:
    if question.startswith("pulldriver"):
        program = str(Path(sys.executable).with_name("pulldriver"))
        return [program, *question.format(place=place, out=out).split()[1:]]
    rows = f"read_parquet('{place}/pulls/*/*/*.parquet', hive_partitioning = true)"
    limits = f"SET memory_limit = '1GiB'; SET temp_directory = '{out}'; SET threads = 2"
    code = f"import duckdb; duckdb.execute({limits!r}); print(duckdb.sql({question.format(rows=rows)!r}).fetchall())"
    return [sys.executable, "-c", code]


def loads() -> Iterator[str]:
    yield f"{datetime.now():%H:%M}, load average {', '.join(f'{each:.1f}' for each in os.getloadavg())}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pulls", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--delivered", type=int, default=0)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--ask", action="append", help="only questions that begin so")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-archive-") as temporary:
        settings = ArchiveSettings(str(options.to or Path(temporary, "archive")))
        print(*loads(), flush=True)
        print("| what | pulls | CPU s | wall s | rate | peak |\n|---|--:|--:|--:|--:|--:|", flush=True)
        if options.delivered:
            deliver(ArchiveSettings(f"{temporary}/delivered"), options.delivered)
        if not Path(settings.url).exists():
            objects = DirectoryObjects(Path(settings.url))
            spent = timed(lambda: make(objects, options.pulls, options.clusters, options.days))
            print(told("write", options.pulls, *spent), flush=True)
        files, size = size_of(Path(settings.url))
        print(f"\n{files:,} files, {size:,} bytes, {size / options.pulls:.1f} a pull\n")
        print("| question | CPU s | wall s | peak |\n|---|--:|--:|--:|", flush=True)
        for name, question in QUESTIONS.items():
            if not options.ask or name.startswith(tuple(options.ask)):
                cpu, wall, peak, code = asked(question, settings.url, Path(temporary))
                failed = f" (exit code {code})" if code else ""
                print(f"| {name}{failed} | {cpu:.1f} | {wall:.1f} | {peak:.0f} MiB |", flush=True)
        print(*loads())


if __name__ == "__main__":
    main()
