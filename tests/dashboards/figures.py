"""What each Flux panel has to show, computed by analysis/ from the same records: rows in any order."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import floor, log10
from statistics import fmean
from typing import Any

import msgspec

from dashboards.study import BANDS
from pullstudy.analysis.findings.stage_seconds import stage_seconds
from pullstudy.analysis.findings.stragglers import Stragglers
from pullstudy.analysis.report.facts import image_key
from pullstudy.analysis.statistics.quantiles import median, quantile
from pullstudy.analysis.timelines.critical_path import critical_path
from pullstudy.analysis.timelines.timeline import JOB_MOMENTS, MOMENTS, JobTimeline
from pullstudy.pulls.milestone import Milestone, Moment
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.record import WITNESS_PREFIX, Outcome, PullRecord
from pullstudy.pulls.stage import Stage
from pullstudy.store.influx.point_layout import nanoseconds
from tests.dashboards.whole_study import WholeStudy

Row = dict[str, Any]
WINDOW_SECONDS = 10


class Figures:
    """One study's figures, by dashboard and panel, of one state of the nodes' caches."""

    def __init__(self, study: WholeStudy, cache: str, abandoned: Sequence[Milestone] = ()) -> None:
        self.abandoned = abandoned
        self.study = study
        caches = {(row.cluster, row.job, row.node): str(row.cache) for row in study.node_caches}
        self.reported = [record for record in study.pulls if not record.event_uid.startswith(WITNESS_PREFIX)]
        self.pulled = [
            each
            for each in self.reported
            if each.outcome is Outcome.PULLED
            and each.pull_seconds is not None
            and caches.get((each.cluster, each.job or "", each.node or ""), "unknown") == cache
        ]
        self.wrong = [each for each in self.reported if each.outcome in (Outcome.FAILED, Outcome.BACKOFF)]
        self.jobs = study.timelines()
        self.slow = Stragglers()
        self.ended = [job for job in self.jobs if job.cache == cache and Moment.JOB_COMPLETED in job.times]
        for job in self.ended:
            self.slow.add(job)

    def of(self, uid: str, title: str) -> list[Row]:
        found: Callable[[], Iterable[Row]] = PANELS[uid, title].__get__(self)
        return list(found())

    # -- inside the pulls --------------------------------------------------------------------------------------------

    def held_by_image(self) -> list[Row]:
        by_image: dict[str, list[PullStages]] = defaultdict(list)
        for each in self.study.stages:
            by_image[each.image or ""].append(each)
        return [{"image": image, **means} for image, found in by_image.items() if (means := stage_means(found))]

    def held_by_node(self) -> list[Row]:
        by_node: dict[tuple[str, str | None], list[PullStages]] = defaultdict(list)
        for each in self.study.stages:
            by_node[each.cluster, each.node].append(each)
        rows = []
        for (cluster, node), found in by_node.items():
            if means := stage_means(found):
                walls = [each.wall_seconds for each in found if is_whole(each)]
                rows.append({"cluster": cluster, "node": node, "pulls": len(walls), "seconds": fmean(walls), **means})
        return rows

    def held_by_layer(self) -> list[Row]:
        return [
            {
                "image": each.image,
                "layer_digest": each.digest,
                "pulls": each.pulls,
                "total": each.held_seconds,
                "held": each.held_seconds / each.pulls,
                "apply": each.apply_seconds / each.pulls,
                "transfer": each.transferred_bytes / each.transfer_seconds if each.transfer_seconds else 0.0,
            }
            for each in stage_seconds((), self.study.layers).layers
        ]

    # -- study -------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> list[float]:
        return sorted(each.pull_seconds or 0.0 for each in self.pulled)

    def pulls(self) -> list[Row]:
        return [{"pull_seconds": len(self.pulled)}]

    def middle(self) -> list[Row]:
        return [{"pull_seconds": median(self.seconds)}]

    def p95(self) -> list[Row]:
        return [{"pull_seconds": quantile(self.seconds, 0.95)}]

    def slowest(self) -> list[Row]:
        return [{"pull_seconds": self.seconds[-1]}]

    def images(self) -> list[Row]:
        return [{"_value": len({each.image for each in self.pulled})}]

    def nodes(self) -> list[Row]:
        return [{"_value": len({each.node for each in self.pulled})}]

    def bands(self) -> list[Row]:
        return [{"gb": gb, **marks(found)} for gb, found in self.by(gigabytes).items()]

    def spread(self, row: Callable[[PullRecord], Any], column: Callable[[PullRecord], str], name: str) -> list[Row]:
        rows: dict[Any, Row] = defaultdict(dict)
        for (key, label), found in self.by(lambda each: (row(each), column(each))).items():
            rows[key] |= {name: key, label: median(found)}
        return list(rows.values())

    def medians(self) -> list[Row]:
        return self.spread(gigabytes, lambda each: f"{each.size} nodes", "gb")

    def by_layers(self) -> list[Row]:
        words = lambda each: f"{round(gigabytes(each), 2):g} GB"  # noqa: E731
        return self.spread(words, lambda each: f"{image_key(each.image or '').layers} layers", "label")

    def by_nodes(self) -> list[Row]:
        return self.spread(lambda each: each.size, lambda each: each.tag or "", "nodes")

    def histogram(self) -> list[Row]:
        return [{"series": f"{each.size} nodes", "pull_seconds": each.pull_seconds} for each in self.pulled]

    def log_histogram(self) -> list[Row]:
        counts = Counter((floor(log10(each.pull_seconds or 1) * 10), each.size) for each in self.pulled)
        rows: dict[int, Row] = defaultdict(dict)
        for (bucket, size), count in counts.items():
            rows[bucket] |= {"from": f"{round(10 ** (bucket / 10), 2):g} s", f"{size} nodes": count}
        return list(rows.values())

    def heat_map(self) -> list[Row]:
        return [{"pull_seconds": each.pull_seconds} for each in self.pulled]

    def table(self) -> list[Row]:
        groups = self.by(lambda each: (each.image, each.size))
        return [
            {"image": image, "nodes": size, "pulls": len(found), **marks(found)}
            for (image, size), found in groups.items()
        ]

    def by(self, key: Callable[[PullRecord], Any]) -> dict[Any, list[float]]:
        groups: dict[Any, list[float]] = defaultdict(list)
        for each in self.pulled:
            groups[key(each)].append(each.pull_seconds or 0.0)
        return groups

    # -- phases ------------------------------------------------------------------------------------------------------

    def critical(self) -> list[Row]:
        parts: dict[tuple[int, str], list[float]] = defaultdict(list)
        for job in self.ended:
            for segment in critical_path(job):
                parts[job.size or 0, until(segment.end)].append(segment.seconds)
        return by_size(parts, fmean)

    def makespans(self) -> list[Row]:
        spans: dict[int, list[float]] = defaultdict(list)
        for job in self.ended:
            spans[job.size or 0].append(job.makespan_seconds or 0.0)
        return [
            {"nodes": size, "shortest": min(found), "mean": fmean(found), "longest": max(found)}
            for size, found in spans.items()
        ]

    def pods(self) -> list[Row]:
        parts: dict[tuple[int, str], list[float]] = defaultdict(list)
        for job in self.ended:
            for container in job.containers:
                known = [(m, container.times[m]) for m in MOMENTS if m in container.times and m not in JOB_MOMENTS]
                for (_, earlier), (moment, later) in pairwise(known):
                    parts[job.size or 0, until(moment)].append(later.seconds_since(earlier))
        return by_size(parts, median)

    def queue(self) -> list[Row]:
        waits: dict[int, list[float]] = defaultdict(list)
        for each in self.pulled:
            if each.waiting_seconds is not None:
                waits[each.size or 0].append(each.waiting_seconds)
        return [
            {
                "cluster_size": f"{size} nodes",
                "median": median(found),
                "p95": quantile(sorted(found), 0.95),
            }
            for size, found in waits.items()
        ]

    def stragglers(self) -> list[Row]:
        rows = [
            {
                "cluster": each.cluster,
                "nodes": each.size,
                "job": each.job,
                "pod": each.pod,
                "node": each.node,
                "started_seconds": each.started_seconds,
                "median_seconds": each.median_seconds,
                "excess_seconds": each.excess_seconds,
            }
            for spread in self.slow.spreads
            for each in spread.stragglers
        ]
        return sorted(rows, key=lambda row: -row["excess_seconds"])[:200]

    def slow_nodes(self) -> list[Row]:
        return [
            {
                "cluster": each.cluster,
                "node": each.node,
                "pods": each.pods,
                "straggled": each.straggled,
                "median_excess": each.median_excess_seconds,
                "worst_excess": each.worst_excess_seconds,
            }
            for each in self.slow.slowest_nodes()[:100]
        ]

    def slow_images(self) -> list[Row]:
        return [
            {
                "image": image,
                "pulls": len(found),
                "median": median(found),
                "slowest": max(found),
                "spread": max(found) / median(found) - 1,
            }
            for image, found in self.by(lambda each: each.image).items()
        ]

    # -- failures ----------------------------------------------------------------------------------------------------

    def counted(self, outcome: Outcome) -> list[Row]:
        found = [each for each in self.reported if each.outcome is outcome]
        return [{"event_uid": len(found)}] if found else []

    def failures_over_time(self) -> list[Row]:
        return windows(self.wrong)

    def wrong_by(self, column: str) -> list[Row]:
        rows: dict[str, Row] = defaultdict(dict)
        for (value, outcome), count in Counter((getattr(each, column), each.outcome) for each in self.wrong).items():
            rows[value] |= {column: value, str(outcome): count}
        return list(rows.values())

    def messages(self) -> list[Row]:
        columns = ("cluster", "node", "pod", "image", "outcome", "count", "error")
        return [{name: getattr(each, name) for name in columns} for each in self.wrong]

    def pod_status_alone(self) -> list[Row]:
        alone = [each for each in self.study.pulls if each.event_uid.startswith(WITNESS_PREFIX)]
        columns = ("cluster", "node", "pod", "container", "image")
        return [{**{name: getattr(each, name) for name in columns}, "by_status": 1} for each in alone]

    def rejects(self) -> list[Row]:
        columns = ("cluster", "source", "position", "problem", "raw")
        return [{name: getattr(each, name) for name in columns} for each in self.study.rejects]

    def gaps(self) -> list[Row]:
        columns = ("cluster", "from_version", "to_version", "why")
        return [{name: getattr(each, name) for name in columns} for each in self.study.gaps]

    # -- live --------------------------------------------------------------------------------------------------------

    def pulling_now(self) -> list[Row]:
        over = {Moment.PULLED, Moment.STARTED, Moment.FINISHED}
        pods = [
            container.times
            for job in self.jobs
            for container in job.containers
            if Moment.PULLING in container.times and not over & set(container.times)
        ]
        return [{"_value": len(pods)}]

    def completed(self) -> list[Row]:
        return [{"_value": sum(Moment.JOB_COMPLETED in job.times for job in self.jobs)}]

    def latest_median(self) -> list[Row]:
        # By the point's time, whose order within a second is not that of the record.
        latest = sorted(self.pulled, key=point_time, reverse=True)[:50]
        return [{"pull_seconds": median([each.pull_seconds or 0.0 for each in latest])}]

    def outcomes(self) -> list[Row]:
        return windows(self.reported)

    def durations(self) -> list[Row]:
        rows = []
        groups: dict[datetime, list[float]] = defaultdict(list)
        for each in self.pulled:
            groups[window(each)].append(each.pull_seconds or 0.0)
        for at, found in groups.items():
            rows += [{"_time": at, "mark": "median", "pull_seconds": median(found)}]
            rows += [{"_time": at, "mark": "p95", "pull_seconds": quantile(sorted(found), 0.95)}]
        return rows

    def job_rows(self) -> list[Row]:
        last: dict[tuple[str, str | None], int] = defaultdict(int)
        for each in self.study.milestones:
            if each.moment not in (Moment.POD_CREATED, Moment.CREATED):
                last[each.cluster, each.job] = max(last[each.cluster, each.job], point_time(each))
        latest = sorted(self.jobs, key=lambda job: -last[job.cluster, job.job])[:50]
        return [self._job_row(job) for job in latest]

    def _job_row(self, job: JobTimeline) -> Row:
        counted = (Moment.SCHEDULED, Moment.PULLING, Moment.PULLED, Moment.STARTED, Moment.FINISHED)
        return {
            "cluster": job.cluster,
            "job": job.job,
            "nodes": job.size,
            **{str(moment): sum(moment in each.times for each in job.containers) for moment in counted},
            "completed": int(Moment.JOB_COMPLETED in job.times),
        }

    def moments(self) -> list[Row]:
        counts = Counter((ceiling(each.at), str(each.moment)) for each in (*self.study.milestones, *self.abandoned))
        return [{"_time": at, "moment": moment, "_value": count} for (at, moment), count in counts.items()]

    def latest(self) -> list[Row]:
        columns = ("cluster", "node", "image", "outcome", "pull_seconds", "waiting_seconds")
        latest = sorted(self.reported, key=point_time, reverse=True)[:50]
        return [{name: getattr(each, name) for name in columns} for each in latest]


def marks(found: list[float]) -> Row:
    return {name: quantile(sorted(found), probability) for name, probability in BANDS.items()}


def is_whole(pull: PullStages) -> bool:
    return pull.complete and pull.outcome is not Outcome.FAILED


def stage_means(pulls: Sequence[PullStages]) -> Row:
    """As the report has them, 0 where nobody told; none where no pull is whole."""
    one = [msgspec.structs.replace(each, image="any", size=None) for each in pulls]
    images = stage_seconds(one, ()).images
    return {stage.replace("_", " "): images[0].mean(stage) or 0.0 for stage in Stage} if images else {}


def gigabytes(record: PullRecord) -> float:
    return (image_key(record.image or "").unpacked_bytes or 0) / 1e9


def until(moment: Moment) -> str:
    return f"until {moment.replace('_', ' ')}"


def by_size(parts: dict[tuple[int, str], list[float]], figure: Callable[[list[float]], float]) -> list[Row]:
    rows: dict[int, Row] = defaultdict(dict)
    for (size, name), found in parts.items():
        rows[size] |= {"cluster_size": f"{size} nodes", name: figure(found)}
    return list(rows.values())


def point_time(record: PullRecord | Milestone) -> int:
    from pullstudy.store.influx.line_protocol import encode_point

    return int(encode_point(record).rpartition(" ")[2])


def ceiling(at: datetime) -> datetime:
    """The end of the window, by which Flux names it. A point's time has the second of its record."""
    second = nanoseconds(at) // 1_000_000_000
    return datetime.fromtimestamp((second // WINDOW_SECONDS + 1) * WINDOW_SECONDS, UTC)


def window(record: PullRecord) -> datetime:
    assert record.finished_at is not None
    return ceiling(record.finished_at)


def windows(records: Iterable[PullRecord]) -> list[Row]:
    counts = Counter((window(each), str(each.outcome)) for each in records)
    return [{"_time": at, "outcome": outcome, "event_uid": count} for (at, outcome), count in counts.items()]


PANELS: dict[tuple[str, str], Any] = {
    ("pullstudy-study", "Pulls"): Figures.pulls,
    ("pullstudy-study", "Median"): Figures.middle,
    ("pullstudy-study", "95th percentile"): Figures.p95,
    ("pullstudy-study", "Slowest"): Figures.slowest,
    ("pullstudy-study", "Images"): Figures.images,
    ("pullstudy-study", "Nodes"): Figures.nodes,
    ("pullstudy-study", "Percentiles by image size, linear: $layers layers"): Figures.bands,
    ("pullstudy-study", "Percentiles by image size, log: $layers layers"): Figures.bands,
    ("pullstudy-study", "Median by image size and nodes: $layers layers"): Figures.medians,
    ("pullstudy-study", "Median by image size and layers"): Figures.by_layers,
    ("pullstudy-study", "Median by nodes and image"): Figures.by_nodes,
    ("pullstudy-study", "Histogram of pull duration, linear"): Figures.histogram,
    ("pullstudy-study", "Histogram of pull duration, log"): Figures.log_histogram,
    ("pullstudy-study", "Heat map of pull duration over time"): Figures.heat_map,
    ("pullstudy-study", "Percentiles by image and nodes"): Figures.table,
    ("pullstudy-phases", "Where a job's makespan goes, by cluster size"): Figures.critical,
    ("pullstudy-phases", "Makespan by cluster size"): Figures.makespans,
    ("pullstudy-phases", "The median pod's phases, by cluster size"): Figures.pods,
    ("pullstudy-phases", "Waiting in the kubelet's queue"): Figures.queue,
    ("pullstudy-phases", "Stragglers"): Figures.stragglers,
    ("pullstudy-phases", "Slowest nodes"): Figures.slow_nodes,
    ("pullstudy-phases", "Slowest images"): Figures.slow_images,
    ("pullstudy-inside", "What holds pulls up, by image"): Figures.held_by_image,
    ("pullstudy-inside", "What holds pulls up, by node"): Figures.held_by_node,
    ("pullstudy-inside", "Layers that hold pulls up"): Figures.held_by_layer,
    **{
        ("pullstudy-failures", str(outcome)): lambda self, outcome=outcome: self.counted(outcome) for outcome in Outcome
    },
    ("pullstudy-failures", "Failures and back-offs over time"): Figures.failures_over_time,
    ("pullstudy-failures", "By image"): lambda self: self.wrong_by("image"),
    ("pullstudy-failures", "By node"): lambda self: self.wrong_by("node"),
    ("pullstudy-failures", "Messages"): Figures.messages,
    ("pullstudy-failures", "Pulls without an event"): Figures.pod_status_alone,
    ("pullstudy-failures", "Rejects"): Figures.rejects,
    ("pullstudy-failures", "Gaps"): Figures.gaps,
    ("pullstudy-live", "Pulled"): Figures.pulls,
    ("pullstudy-live", "Pulling now"): Figures.pulling_now,
    ("pullstudy-live", "Jobs completed"): Figures.completed,
    ("pullstudy-live", "Median of the last 50"): Figures.latest_median,
    ("pullstudy-live", "Pulls by outcome"): Figures.outcomes,
    ("pullstudy-live", "Pull duration"): Figures.durations,
    ("pullstudy-live", "Jobs"): Figures.job_rows,
    ("pullstudy-live", "Moments"): Figures.moments,
    ("pullstudy-live", "Latest pulls"): Figures.latest,
}
