"""The README's commands are run as they are printed: here those on servers, on a clean clone by .ci/run the others."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.influx import Influx
from tests.stack.kafka import Kafka

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "readme.py"
MARKS = ("", "until it is stopped", "on servers")


def blocks() -> list[tuple[str, str]]:
    """Of all blocks of code, whatever their language, mark and text."""
    found = re.finditer(
        r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    return [(each[1] or "", each[3]) for each in found if each[2] == "sh"]


def test_each_block_has_a_mark_that_the_script_knows_or_none() -> None:
    marks = [mark for mark, _ in blocks()]
    assert len(marks) > 8
    assert [mark for mark in marks if mark not in MARKS and not mark.startswith("not run: ")] == []


def test_no_command_stands_outside_the_blocks_that_are_run() -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^(?: {4}|\$ )(?:pulldriver|collector|pip|python).*", text, re.MULTILINE) == []


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_the_commands_on_servers_run_as_they_are_printed(
    tmp_path: Path, kafka: Kafka, influx: Influx, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in influx.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    words = [sys.executable, SCRIPT, "--kafka", kafka.bootstrap, "--influx", influx.url, "--only-servers"]
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "36/36 accounted for" in done.stdout
    assert (tmp_path / "third" / "report.html").exists()
