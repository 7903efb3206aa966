"""The README's pictures: a chart and the report of the real logs in tests/data, and a sweep on a terminal as it runs.

    python docs/pictures/make.py

Needs the extra ``report``, chromium and tmux on PATH. The dashboards' pictures are tests/dashboards/picture_page.py's.
"""

import io
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent
LOGS = PICTURES.parents[1] / "tests" / "data" / "pulling-aws"
PULLDRIVER = Path(sys.executable).with_name("pulldriver")
SIZES = (4, 8, 16)
COLUMNS, LINES = 104, 26
LONGEST_SECONDS = 300


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        study = Path(directory) / "pulling-aws"
        draw_real_logs(study)
        draw_sweep(Path(directory))


def draw_real_logs(study: Path) -> None:
    for size in SIZES:
        files = [LOGS / f"events-size-{size}.json.gz", LOGS / f"nodes-{size}.json.gz"]
        run(PULLDRIVER, "import", *files, "--run", "aws", "--out", study)
    run(PULLDRIVER, "report", "--out", study)
    shutil.copy(study / "figures" / "phases-by-image-unknown.png", PICTURES / "real-phases.png")
    screenshot(study / "report.html", PICTURES / "report.png", 1100, 1180)


def draw_sweep(directory: Path) -> None:
    """The screen at the last moment at which the largest cluster has done four of its jobs."""
    words = [PULLDRIVER, "sweep", "--study", "quick", "--sizes", "4..128", "--out", directory / "live"]
    command = "clear; echo '$ pulldriver sweep --study quick --sizes 4..128'; " + shlex.join(map(str, words))
    tmux = ("tmux", "-L", f"pictures-{directory.name}")  # a server of its own
    run(*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), f"{command}; sleep 5")
    try:
        (directory / "live.html").write_text(as_page(interesting_screen(tmux)))
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
    screenshot(directory / "live.html", PICTURES / "sweep.png", 900, 520)


def interesting_screen(tmux: tuple[str, str, str]) -> str:
    kept, end = "", time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < end:
        screen = subprocess.run([*tmux, "capture-pane", "-e", "-p"], check=False, capture_output=True, text=True)
        if screen.returncode != 0 or "next: " in screen.stdout:
            break
        if "sim-quick-128: 4 of 6 jobs" in screen.stdout:
            kept = screen.stdout
        time.sleep(0.1)
    if not kept:
        raise SystemExit("no screen was seen on which four jobs of 128 nodes were done")
    return kept


def as_page(screen: str) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(screen.rstrip()), soft_wrap=True)
    style = (
        "body{{margin:0;background:#16181d;color:{foreground}}}"
        "pre{{margin:14px;font:14px/1.35 'DejaVu Sans Mono',monospace}}"
    )
    return (
        console.export_html(inline_styles=True, code_format=f"<style>{style}</style><body><pre>{{code}}</pre></body>")
        .replace("background-color: #ffffff", "")
        .replace("#000000", "#d8dbe2")
    )


def screenshot(page: Path, picture: Path, width: int, height: int) -> None:
    chromium = shutil.which("chromium") or "chromium-browser"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=8000"]
    run(chromium, *flags, f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri())


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=LONGEST_SECONDS)


if __name__ == "__main__":
    main()
