"""The README's commands, one by one, in one shell, as they are printed; the first that fails ends it.

    python3 .ci/readme.py [--kafka HOST:PORT --influx URL]

in a clean clone. A block after ``<!-- not run: why -->`` is left out; one after ``<!-- until it is stopped -->`` goes
on in the background until the end, and must then end well; one after ``<!-- on servers -->`` is run where both are
given, put for HOST:PORT and URL. The standard library alone: nothing is set up yet.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STOPPED, SERVERS, LEFT_OUT = "until it is stopped", "on servers", "not run: "
LONGEST_SECONDS = 900
_UP_SECONDS = 4  # a server that goes on is given so long before the next command

_SHELL = f"""
set -euo pipefail
began=$EPOCHREALTIME
since() {{ awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN {{ printf "%.1f s", to - from }}'; }}
pids=()
go_on() {{ eval "exec $1" & pids+=($!); sleep {_UP_SECONDS}; kill -0 $! || {{ wait $!; exit 1; }}; }}
stop() {{ for pid in "${{pids[@]}}"; do kill -TERM "$pid"; code=0; wait "$pid" || code=$?
  [ $code = 0 ] || {{ echo "readme: it ended with $code" >&2; exit 1; }}; done; }}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", metavar="HOST:PORT")
    parser.add_argument("--influx", metavar="URL")
    parser.add_argument(
        "--only-servers", action="store_true", help="only the blocks on servers, in a set-up environment"
    )
    given = parser.parse_args()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    servers = {"HOST:PORT": given.kafka, "URL": given.influx} if given.kafka and given.influx else {}
    return run(script(blocks(text), servers, only_servers=given.only_servers), Path.cwd())


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Of each block its mark and its commands."""
    return [(found[1] or "", commands(found[2])) for found in _BLOCK.finditer(text)]


def commands(block: str) -> list[str]:
    lines = block.replace("\\\n", " ").splitlines()
    return [line.partition("  # ")[0].rstrip() for line in lines if line.strip() and not line.startswith("#")]


def script(found: list[tuple[str, list[str]]], servers: dict[str, str], *, only_servers: bool) -> str:
    return _SHELL + "\n".join(_steps(found, servers, only_servers)) + "\nstop\n"


def _steps(found: list[tuple[str, list[str]]], servers: dict[str, str], only_servers: bool) -> Iterator[str]:
    for number, (mark, lines) in enumerate(found, 1):
        if mark.startswith(LEFT_OUT) or (mark == SERVERS) > bool(servers) or (only_servers and mark != SERVERS):
            yield "echo " + shlex.quote(f"left out ({mark or 'not on servers'}): {'; '.join(lines)}")
            continue
        for line in lines:
            for placeholder, value in servers.items():
                line = re.sub(rf"(?<=\s){placeholder}\b", value, line)
            yield f"printf '$ %s\\n' {shlex.quote(line)}; from=$EPOCHREALTIME"
            yield (
                f'go_on {shlex.quote(line)}; echo "  goes on"'
                if mark == STOPPED
                else f'{line}\necho "  $(since $from)"'
            )
        if number == 2 and not only_servers:
            yield 'echo "from set-up to report: $(since $began)"'


def run(shell: str, directory: Path) -> int:
    """In a group of its own, so that nothing goes on when this ends."""
    process = subprocess.Popen(["bash", "-c", shell], cwd=directory, start_new_session=True)
    try:
        return process.wait(LONGEST_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


if __name__ == "__main__":
    sys.exit(main())
