"""Every option, fault and parameter is in the docs."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from pullstudy.sim.cli import app
from pullstudy.sim.faults.kinds import AnyFault, parse_faults
from pullstudy.sim.model.parameters import ModelParameters
from pullstudy.sim.node.pull_failures import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_option_is_described() -> None:
    text = (DOCS / "sim.md").read_text()
    for parameter in typer.main.get_command(app).params:
        assert f"`{parameter.opts[0]}`" in text, parameter.opts


def test_every_fault_has_a_row_and_every_example_is_understood() -> None:
    rows = [line.split("|") for line in (DOCS / "sim.md").read_text().splitlines() if line.startswith("|`")]
    examples = {row[1].strip("`"): row[2].strip("`") for row in rows if row[2].startswith('`{"fault"')}
    assert set(examples) == {fault.__struct_config__.tag for fault in get_args(AnyFault)}
    for tag, example in examples.items():
        (fault,) = parse_faults(example.encode())
        assert fault.__struct_config__.tag == tag


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_a_pull_can_fail_is_named(kind: str) -> None:
    assert f"`{kind}`" in (DOCS / "sim.md").read_text()


def test_every_parameter_is_described() -> None:
    text = (DOCS / "sim-model.md").read_text()
    for group in fields(ModelParameters):
        assert f"**`{group.name}`**" in text
        parameters = getattr(ModelParameters(), group.name)
        assert is_dataclass(parameters)
        for parameter in fields(parameters):
            assert f"|`{parameter.name}`|" in text, parameter.name
