"""Names and texts from outside: refused where they can be, and shown without effect where they have to be taken."""

import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from collector.cli import run_command
from collector.clock import SystemClock
from collector.log import Format, Log
from driver import cli
from pullstudy.analysis.export import export
from pullstudy.analysis.report.html import html, json_script
from pullstudy.analysis.report.report import write_report
from pullstudy.pulls.printable import printable
from pullstudy.pulls.sizes import SizesError, parse_sizes
from tests.hostile.logs import event

Attack = Callable[..., None]
Capture = pytest.CaptureFixture[str]
EVIL = "a\x1b]0;own\x07\r\nb\x7f\x9b2J\u2028\u2029\u202e</script><img src=x onerror=alert(1)>[red]|`x`\u200b"
UNPRINTABLE = [character for character in EVIL if not character.isprintable()]
NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("option", ["--run", "--cluster", "--out", "file"])
def test_an_argument_that_is_no_utf8_is_refused_by_every_command(
    tmp_path: Path, option: str, capsys: Capture, attack: Attack
) -> None:
    attack(f"names: {option} that is not UTF-8", "arguments are UTF-8")
    log = tmp_path / "log"
    log.write_bytes(event("a"))
    words = [str(log), "--size", "4", "--out", str(tmp_path / "study")]
    words = [str(tmp_path / NOT_UTF8), *words[1:]] if option == "file" else [*words, option, NOT_UTF8]
    assert cli.run(["import", *words]) == 2
    assert cli.run(["sweep", "--sizes", "2", "--out", NOT_UTF8]) == 2
    assert run_command(["--cluster", NOT_UTF8]) == 2
    said = capsys.readouterr().err
    assert said.count("is not UTF-8") == said.count("\n") == 3
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "a\u2028", "\u202eabc", "x" * 254, "a\x00b"])
def test_a_name_that_cannot_be_shown_is_refused_before_anything_is_made(
    tmp_path: Path, name: str, capsys: Capture, attack: Attack
) -> None:
    attack(f"names: --run and --cluster {name[:6]!r}", "printable, and 253 bytes at most")
    log = tmp_path / "log"
    log.write_bytes(event("a"))
    out = ["--out", str(tmp_path / "study"), "--size", "4"]
    assert cli.run(["import", str(log), *out, "--run", name]) == 2
    if name:
        assert cli.run(["import", str(log), *out, "--cluster", name]) == 2
    assert run_command(["--cluster", "lab", "--run", name, "--data-dir", str(tmp_path / "study")]) == 2
    said = capsys.readouterr().err
    assert all(line.isprintable() for line in said.split("\n"))
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("number", [str(2**63), str(2**64), str(10**30), "-1", "0", "1000001", "9" * 5_000])
def test_a_number_of_nodes_that_no_store_holds_is_refused(
    tmp_path: Path, number: str, capsys: Capture, attack: Attack
) -> None:
    attack(f"names: --size {number[:20]}", "1 to 1,000,000")
    log = tmp_path / "log"
    log.write_bytes(event("a"))
    assert cli.run(["import", str(log), "--size", number, "--out", str(tmp_path / "study")]) == 2
    assert run_command(["--cluster", "lab", "--size", number, "--data-dir", str(tmp_path / "study")]) == 2
    for sizes in (number, f"1..{number}", f"1,{number}"):
        with pytest.raises(SizesError):
            parse_sizes(sizes)
    assert capsys.readouterr().err.count("\n") == 2
    assert not (tmp_path / "study").exists()


def test_logs_show_controls_as_escapes_in_both_formats(attack: Attack) -> None:
    attack("names: controls, line ends and marks of direction in the collector's log", "escapes")
    for form in Format:
        lines: list[str] = []
        Log(SystemClock(), form, lines.append).warning(f"pod {EVIL}", pod=EVIL, lone="\udcff")
        (line,) = lines
        assert line.isprintable()
        line.encode()
    assert json.loads(line)["pod"] == printable(EVIL)


def evil_study(directory: Path) -> Path:
    """A study of an imported log in which everything that a cluster may name is evil."""
    log = directory / "log"
    made = []
    for number in range(6):
        pod = {"kind": "Pod", "namespace": EVIL, "name": f"{EVIL}-{number}", "uid": f"{EVIL}{number}"}
        pod |= {"fieldPath": f"spec.containers{{{EVIL}}}"}
        source = {"component": "kubelet", "host": f"node{EVIL}"}
        quoted = json.dumps(f"r/{EVIL}:{number % 2}", ensure_ascii=False)
        for uid, reason, message in (
            ("p", "Pulled", f"Successfully pulled image {quoted} in 2.5s (3s including waiting). Image size: 9 bytes."),
            ("f", "Failed", f"Failed to pull image {quoted}: {EVIL}"),
            ("u", "Pulled", f"unknown {EVIL}"),
        ):
            changes = {"involvedObject": pod, "source": source, "reason": reason, "message": message}
            made.append(event(f"{uid}{number}{EVIL}", **changes, reportingInstance=EVIL))
    log.write_bytes(b"".join(made) + json.dumps({"level": EVIL, "message": EVIL}).encode() + b"\n")
    study = directory / "study"
    assert cli.run(["import", str(log), "--size", "4", "--out", str(study)]) == 0
    return study


def test_what_import_status_and_compare_print_is_printable(tmp_path: Path, capsys: Capture, attack: Attack) -> None:
    attack("names: evil pods, images, nodes and messages on a terminal", "escapes")
    study = evil_study(tmp_path)
    cli.run(["compare", str(study), str(study)])
    cli.run(["status", "--out", str(study)])
    shown = capsys.readouterr()
    assert all(line.isprintable() for line in (shown.out + shown.err).split("\n"))


def test_the_report_holds_no_markup_and_no_control_of_a_clusters(
    tmp_path: Path, capsys: Capture, attack: Attack
) -> None:
    attack("names: </script>, markup and controls in a report", "escaped in HTML, in scripts and in pictures")
    study = evil_study(tmp_path)
    page, *_ = write_report(study)
    text = page.read_text()
    assert "<img src=x" not in text
    assert "alert(1)>" not in text.replace("alert(1)&gt;", "")
    assert text.count("</script>") == text.count("<script")
    assert not [character for character in UNPRINTABLE if character != "\n" and character in text]


@pytest.mark.parametrize("value", [EVIL, {"a": [EVIL]}, "\u2028", "<!--<script>", "\x9b"])
def test_data_of_a_page_stays_data(value: object, attack: Attack) -> None:
    attack(f"names: data of the report's scripts: {str(value)[:8]!r}", "< and the unprintable as escapes")
    script = json_script("data", value)
    inside = script.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert json.loads(inside) == value
    assert "<" not in inside
    assert inside.isprintable()
    assert "<" not in html(str(value)).replace("&lt;", "")


# As OWASP has them, with the wide forms of East Asian keyboards.
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]


@pytest.mark.parametrize("beginning", FORMULAS)
def test_a_table_for_spreadsheets_holds_no_formula(
    tmp_path: Path, beginning: str, capsys: Capture, attack: Attack
) -> None:
    attack(f"names: a CSV cell that begins with {beginning[0]!r}", "a quote before it")
    log, study = tmp_path / "log", tmp_path / "study"
    pod = {"kind": "Pod", "namespace": beginning, "name": beginning, "uid": "u"}
    log.write_bytes(event("a", involvedObject=pod, source={"host": beginning}))
    assert cli.run(["import", str(log), "--size", "4", "--out", str(study)]) == 0
    export(study, "pulls", "csv", tmp_path / "pulls.csv")
    text = (tmp_path / "pulls.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [rows[0][name] for name in ("pod", "namespace", "node")] == [f"'{beginning}"] * 3


def test_what_is_printable_stays_and_the_rest_is_an_escape(attack: Attack) -> None:
    attack("names: 2,000 random texts", "printable or an escape; UTF-8")
    random = Random(7)
    for _ in range(2_000):
        text = "".join(chr(random.choice((random.randrange(256), random.randrange(0x11000)))) for _ in range(9))
        assert printable(text).isprintable()
        printable(text).encode()
    assert printable("größe 1.5µs 東京") == "größe 1.5µs 東京"


_UMASK = "import os, sys; os.umask(0); from driver.cli import run; sys.exit(run(sys.argv[1:]))"


def test_a_study_is_its_owners_alone_whatever_the_umask(tmp_path: Path, attack: Attack) -> None:
    attack("files: a study under umask 000", "files 0600, directories 0700")
    log = tmp_path / "log"
    log.write_bytes(event("a") + b"bad\n")
    study = tmp_path / "new" / "study"
    command = [sys.executable, "-c", _UMASK, "import", str(log), "--size", "4", "--out", str(study)]
    subprocess.run(command, check=True, capture_output=True)
    assert stat.S_IMODE(study.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in study.iterdir()} == {
        "study.sqlite3": 0o600,
        "rejects.jsonl": 0o600,
    }


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path, attack: Attack) -> None:
    attack("files: a directory of the user's", "its mode is kept")
    log, study = tmp_path / "log", tmp_path / "study"
    log.write_bytes(event("a"))
    study.mkdir()
    study.chmod(0o755)
    assert cli.run(["import", str(log), "--size", "4", "--out", str(study)]) == 0
    assert stat.S_IMODE(study.stat().st_mode) == 0o755
    assert stat.S_IMODE((study / "study.sqlite3").stat().st_mode) == 0o600
