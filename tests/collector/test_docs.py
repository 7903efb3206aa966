"""docs/collector.md names everything that a user can set, and every counter that the collector prints."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from collector.commands.collect_command import app
from collector.commands.sink_command import app as sink_app
from collector.configuration.options import DEFAULT_MAX_LAG, DEFAULT_SPOOL_LIMIT, DEFAULT_STOP_WITHIN
from collector.monitoring.status import CollectorStatus
from collector.settings import Settings
from pullstudy.pulls.metric_names import METRICS

DOCS = (Path(__file__).parents[2] / "docs" / "collector.md").read_text()


def options() -> list[str]:
    command = typer.main.get_command(app)
    return [name for parameter in command.params for name in parameter.opts]


def sink_options() -> list[Any]:
    return list(typer.main.get_command(sink_app).params)


def setting_names(settings: Any, prefix: str = "") -> list[str]:
    names = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        nested = is_dataclass(value) and not prefix
        names += setting_names(value, f"{field.name}.") if nested else [f"{prefix}{field.name}"]
    return names


@pytest.mark.parametrize("option", options())
def test_every_option_is_described(option: str) -> None:
    assert re.search(rf"`{option}[ `]", DOCS)


@pytest.mark.parametrize("setting", setting_names(Settings()))
def test_every_setting_is_described(setting: str) -> None:
    assert f"`{setting}`" in DOCS


def test_the_table_of_metrics_is_that_of_the_names() -> None:
    rows = [line for line in DOCS.splitlines() if re.match(r"\| `(pullstudy|process)_", line)]
    assert rows == [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for metric in METRICS
    ]


@pytest.mark.parametrize("name", [parameter.opts[0] for parameter in sink_options()])
def test_every_option_of_the_sink_is_named(name: str) -> None:
    line = next(line for line in DOCS.splitlines() if line.startswith("`collector sink` takes"))
    assert f"`{name}`" in line or name == "--help"


def test_every_counter_is_described() -> None:
    for counter in CollectorStatus().fields():
        assert f"`{counter}`" in DOCS


def test_the_defaults_that_it_states_are_the_defaults() -> None:
    settings = Settings()
    assert settings.watch.page_items == 500
    assert f"{settings.delivery.batch_records:,} records a transaction" in DOCS
    assert f"{settings.seen_events:,} events remembered" in DOCS
    assert f"`stop.connect_tries`, `stop.within_seconds` | {settings.stop.connect_tries} tries" in DOCS
    assert f"{settings.stop.within_seconds:.0f} s in all at the end" in DOCS
    assert f"`max_lag_seconds` | {settings.max_lag_seconds:.0f}" in DOCS
    assert (
        settings.spool.most_bytes,
        settings.max_lag_seconds,
        settings.stop.within_seconds,
    ) == (DEFAULT_SPOOL_LIMIT, DEFAULT_MAX_LAG, DEFAULT_STOP_WITHIN)
    for default in (DEFAULT_SPOOL_LIMIT, DEFAULT_MAX_LAG, DEFAULT_STOP_WITHIN):
        assert f"`{default}`" in DOCS
    assert (settings.spool.segment_bytes, settings.spool.most_bytes) == (4 << 20, 1 << 30)
    assert settings.watch.chunk_bytes == 1 << 20
