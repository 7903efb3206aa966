"""A real Prometheus on pull durations: native quantiles are near the exact ones, classic ones in their bucket."""

import sys
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest

from collector.monitoring.pull_durations import BOUNDS_SECONDS, PullDurations
from collector.monitoring.vitals import Vitals
from pullstudy.pulls.record import Outcome
from tests.collector.scraping import served
from tests.stack.home import StackHome
from tests.stack.prometheus import Prometheus
from tests.stack.wait import until
from tests.store.records import pull

pytestmark = pytest.mark.real
NAME, BY = "pullstudy_pull_duration_seconds", "cluster, size_class"
PULLS = 50_000
SECONDS = 60.0


def durations() -> tuple[PullDurations, list[float]]:
    """Of 5,000 nodes and 10,000 tags of three registries."""
    random, counted, found = Random(1), PullDurations("lab"), []
    for number in range(PULLS):
        seconds = random.lognormvariate(3.5, 0.7)
        registry = ("ghcr.io", "quay.io", "registry.example:5000")[number % 3]
        counted.count(
            msgspec.structs.replace(
                pull(1),
                repository=f"{registry}/a/b",
                tag=f"t{number % 10_000}",
                node=f"n{number % 5_000}",
                image_bytes=5_000_000_000,
                outcome=Outcome.PULLED,
                pull_seconds=seconds,
                finished_at=datetime.now(UTC),
                event_uid=f"uid-{number}",
            )
        )
        found.append(seconds)
    return counted, sorted(found)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("native", [True, False], ids=["native", "classic"])
async def test_quantiles_are_those_of_the_pulls(stack_home: StackHome, tmp_path: Path, *, native: bool) -> None:
    counted, exact = durations()
    vitals = Vitals()
    vitals.sources.append(counted.readings)
    async with served(vitals) as endpoint:
        target = endpoint.url.removeprefix("http://")
        async with Prometheus(stack_home, tmp_path, {"collector": [target]}, native_histograms=native) as prometheus:

            async def scraped() -> bool:
                return bool(await prometheus.query(f'{NAME}{"" if native else "_count"}{{registry="ghcr.io"}}'))

            await until(scraped, SECONDS, "a scrape")
            for share in (0.5, 0.9, 0.95, 0.99):
                summed = f"sum by ({BY}) ({NAME})" if native else f"sum by (le, {BY}) ({NAME}_bucket)"
                (row,) = await prometheus.query(f"histogram_quantile({share}, {summed})")
                told, right = float(row["value"][1]), exact[int(share * PULLS)]
                sys.stdout.write(f"p{share * 100:g}: {told:.2f} s by Prometheus, {right:.2f} s exactly\n")
                if native:
                    assert told == pytest.approx(right, rel=0.05)
                else:
                    assert bisect_left(BOUNDS_SECONDS, told) == bisect_left(BOUNDS_SECONDS, right)
            series = await prometheus.query('count({__name__=~"pullstudy_.*"})')
            assert float(series[0]["value"][1]) <= 300
            exemplars = await prometheus.exemplars(NAME if native else f"{NAME}_bucket")
            assert {label for each in exemplars for label in each["labels"]} == {"event_uid"}
