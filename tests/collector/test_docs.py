"""docs/collector.md names everything that a user can set, and every counter that the collector prints."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from collector.cli import app
from collector.settings import Settings
from collector.status import Status

DOCS = (Path(__file__).parents[2] / "docs" / "collector.md").read_text()


def options() -> list[str]:
    command = typer.main.get_command(app)
    return [name for parameter in command.params for name in parameter.opts]


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


def test_every_counter_is_described() -> None:
    for counter in Status().fields():
        assert f"`{counter}`" in DOCS


def test_the_defaults_that_it_states_are_the_defaults() -> None:
    settings = Settings()
    assert settings.watch.page_items == 500
    assert f"{settings.delivery.batch_records:,} records a transaction" in DOCS
    assert f"{settings.seen_events:,} events remembered" in DOCS
    assert f"`stop.connect_tries`, `stop.drain_seconds` | {settings.stop.connect_tries} tries" in DOCS
    assert f"{settings.stop.drain_seconds:.0f} s for the store at the end" in DOCS
    assert (settings.spool.segment_bytes, settings.spool.most_bytes) == (4 << 20, 1 << 30)
    assert settings.watch.chunk_bytes == 1 << 20
