"""docs/reference says what the code says."""

from driver.cli import COMMANDS
from tests.documented_reference import REFERENCE, pages


def test_the_reference_is_that_of_the_code() -> None:
    wanted = pages()
    differing = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    assert differing == [], "write it anew: python -m tests.documented_reference"
    assert set(REFERENCE.iterdir()) == wanted.keys()


def test_every_command_has_its_section() -> None:
    text = (REFERENCE / "options.md").read_text()
    commands = ["collector", "collector check", "collector sink", "pulldriver sim", "pulldriver dashboards build"]
    for command in (*commands, *(f"pulldriver {name}" for name in COMMANDS)):
        assert f"\n## {command}\n" in text


def test_a_key_of_the_study_is_told_with_its_values_and_default() -> None:
    text = (REFERENCE / "study.md").read_text()
    assert '| `order` | "sequential" or "interleaved" or "random" | `"sequential"` |' in text
    assert "| `gigabytes` |" in text.partition("## [eks.volume]")[2].partition("## ")[0]
