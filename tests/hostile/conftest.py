"""Counts the attacks that the tests here try, and prints them as a table at the end of the run.

A test names its attack by ``@pytest.mark.attack("name")``, or tries several and names each by the fixture ``attack``:
``attack("name", "what held")``. One that fails is shown as not held.
"""

from collections.abc import Callable

import pytest

TRIED = "attack"
Attack = Callable[..., None]


@pytest.fixture
def attack(record_property: Callable[[str, object], None]) -> Attack:
    """Names an attack that this test tries, and what held it."""

    def tried(name: str, held_by: str = "") -> None:
        record_property(TRIED, [name, held_by])

    return tried


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    for mark in request.node.iter_markers(TRIED):
        name, *held_by = mark.args
        record_property(TRIED, [name, held_by[0] if held_by else ""])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        (report.nodeid.split("::")[0].rpartition("/")[2], name, outcome == "passed", held_by)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
        for key, (name, held_by) in report.user_properties
        if key == TRIED
    ]
    if not rows:
        return
    terminalreporter.section("attacks tried")
    width = max(len(name) for _, name, _, _ in rows)
    for file in sorted({file for file, *_ in rows}):
        of_file = sorted(row[1:] for row in rows if row[0] == file)
        held = sum(row[1] for row in of_file)
        terminalreporter.write_line(f"{file}: {len(of_file)} tried, {held} held")
        for name, is_held, held_by in of_file:
            terminalreporter.write_line(f"  {'held' if is_held else 'OPEN':4}  {name:{width}}  {held_by}".rstrip())
    total = sum(row[2] for row in rows)
    terminalreporter.write_line(f"all: {len(rows)} tried, {total} held")
