"""What is said beside imported logs: the state of the caches, and the price of a node."""

import json
from pathlib import Path

import pytest

from driver import cli
from pullstudy.analysis.findings.cost import price_of
from pullstudy.analysis.reading.study import opened_study
from pullstudy.store.embedded.ledger import Ledger


@pytest.fixture
def log(study_data: Path) -> str:
    return str(study_data / "pulling-aws" / "events-size-4.json")


def caches(directory: Path) -> set[tuple[str, str]]:
    """Job and state, as the report reads them."""
    with opened_study(directory) as records:
        return {(job.job, str(row.cache)) for job in records.jobs() for row in job.node_caches}


def study(directory: Path) -> str:
    ledger = Ledger(directory, create=False)
    (run,) = ledger.runs()
    ledger.close()
    return run.study


def test_the_jobs_of_a_log_have_the_cache_that_is_said_until_another_is(log: str, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)]
    for words, found in (
        ([], set()),
        (["--cache", "cold"], {("container-pull", "cold")}),
        ([], {("container-pull", "cold")}),
        (["--cache", "warm"], {("container-pull", "warm")}),
        (["--cache", "unknown"], set()),
    ):
        assert cli.run(["import", log, *out, *words]) == 0
        assert caches(tmp_path) == found


def test_the_price_of_a_node_is_the_runs(log: str, tmp_path: Path) -> None:
    for words, found in (
        ([], None),
        (["--price", "0.616"], (0.616, "USD")),
        (["--price", "12:EUR"], (12.0, "EUR")),
        ([], (12.0, "EUR")),
    ):
        assert cli.run(["import", log, "--out", str(tmp_path), *words]) == 0
        price = price_of(study(tmp_path))
        assert (price and (price.per_node_hour, price.currency)) == found
    assert json.loads(study(tmp_path)) == {"cluster": {"price": {"per_node_hour": 12.0, "currency": "EUR"}}}


@pytest.mark.parametrize("price", ["", "-1", "nan", "1e9", "0.6 USD", "0.6:usd", "1" * 20])
def test_what_is_no_price_is_refused(price: str, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["import", log, "--out", str(tmp_path / "study"), "--price", price]) == 2
    assert "give it as 0.616 or 0.616:EUR" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "study").exists()
