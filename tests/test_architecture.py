"""The picture of what may import what is the one of the contracts."""

import importlib.util
import sys
from types import ModuleType

import pytest

from tests.installed import ROOT


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architecture_picture", ROOT / "docs" / "architecture_picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_document_has_the_picture_of_the_contracts(drawing: ModuleType) -> None:
    text = drawing.DOCUMENT.read_text()
    drawn = drawing.with_picture(text, drawing.picture(drawing.contracts()))
    assert drawn == text, "draw it anew: python docs/architecture_picture.py"


def test_a_package_stands_above_those_that_it_may_import_and_its_layers_are_told(drawing: ModuleType) -> None:
    contracts = [
        {"type": "forbidden", "name": "a", "source_modules": ["pullstudy.a"], "forbidden_modules": ["b"]},
        {
            "type": "layers",
            "name": "The rooms of b",
            "containers": ["b"],
            "layers": ["cli", "jobs | (plans)", "x : y"],
        },
        {"type": "independence", "name": "Apart", "modules": ["b.x", "b.y"]},
        {"type": "forbidden", "name": "No way", "source_modules": ["b.x"], "forbidden_modules": ["pullstudy.a"]},
    ]
    assert drawing.picture(contracts) == (
        "```\n+---+\n| b |\n+---+\n| a |\n+---+\n```\n\n"
        "| package | may import |\n|-|-|\n| `a` | none |\n| `b` | `a` |\n\n"
        "Inside the packages a line may import what stands below it, never what is above it or beyond a bar.\n\n"
        "The rooms of b (`b`):\n\n```\ncli\njobs | plans\nx   y\n```\n\n"
        "Apart: `b.x`, `b.y` never import each other.\n\n"
        "No way: `b.x` never imports `a`.\n"
    )


def test_a_contract_that_cannot_be_drawn_is_no_picture(drawing: ModuleType) -> None:
    with pytest.raises(KeyError, match="protected"):
        drawing.picture([*drawing.contracts(), {"type": "protected", "name": "?"}])


def test_no_path_in_the_repository_leads_out_of_it() -> None:
    away = ("../shared", "shared/data", "shared/EVENTS")
    texts = [
        path
        for folder in ("docs", "pullstudy", "collector", "driver", "dashboards", "bench", "deploy", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml", ".toml")
    ]
    assert not [
        path for path in texts if path.name != "test_architecture.py" and any(each in path.read_text() for each in away)
    ]
