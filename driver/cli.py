"""The ``pulldriver`` command: its table of commands, and the one place where errors become a line and an exit code."""

import errno
import re
import select
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from driver.commands.calibrate_command import calibrate_command
from driver.commands.compare_command import compare_command
from driver.commands.dashboards_command import dashboards_app
from driver.commands.docs_command import docs_command
from driver.commands.down_command import down_command
from driver.commands.export_command import export_command
from driver.commands.images_command import images_app
from driver.commands.import_command import import_command
from driver.commands.init_command import init_command
from driver.commands.interrupt import InterruptedByUserError
from driver.commands.janitor_command import janitor_command
from driver.commands.options import DEFAULT_OUT
from driver.commands.plan_command import plan_command
from driver.commands.predict_command import predict_command
from driver.commands.profile_command import profile_command
from driver.commands.report_command import report_command
from driver.commands.status_command import status_command
from driver.commands.sweep_command import sweep_command
from driver.errors import DriverError, UnaskedError
from driver.terminal import write_text
from pullstudy.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USE
from pullstudy.kube.errors import KubeError
from pullstudy.pulls.names import argument_problem
from pullstudy.pulls.printable import printable
from pullstudy.sim.cli import app as sim_app
from pullstudy.store.embedded.store import NotAStudyError
from pullstudy.store.protocol import StoreError

BUG_LOG = "bug.log"

# Typer brings its own click in some versions and uses the installed one in others: this is the right one in both.
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

COMMANDS: dict[str, Callable[..., None]] = {
    "init": init_command,
    "sweep": sweep_command,
    "plan": plan_command,
    "predict": predict_command,
    "status": status_command,
    "down": down_command,
    "janitor": janitor_command,
    "import": import_command,
    "export": export_command,
    "report": report_command,
    "compare": compare_command,
    "profile": profile_command,
    "calibrate": calibrate_command,
    "docs": docs_command,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(dashboards_app, name="dashboards")
app.add_typer(images_app, name="images")
app.registered_commands.extend(sim_app.registered_commands)  # as ``python -m pullstudy.sim``, options and all


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pulldriver {version('pullstudy')}")
        raise typer.Exit


@app.callback()
def pulldriver(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """How long nodes take to pull images, why, and how that grows with the cluster.

    Exit codes: 0 done, 1 failed (what was done is kept), 2 wrong use, 3 what was asked cannot be told from the data,
    130 interrupted (the cluster was taken down).
    """


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; the exit code."""
    if problem := argument_problem(arguments):
        return _fail(problem, WRONG_USE)
    try:
        code = app(list(arguments) or ["--help"], prog_name="pulldriver", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort, InterruptedByUserError):
        return _fail("interrupted", INTERRUPTED)
    except _UsageError as error:
        message = error.format_message().partition("\n")[0].rstrip(".").replace("Value error, ", "")
        return _fail(f"{message}; see pulldriver {_command_of(arguments)}--help", WRONG_USE)
    except SystemExit as ended:
        # Typer's answer to a broken pipe, whichever it is. Where it is our output, its reader has enough of it.
        broken = ended.__context__
        return DONE if _nobody_reads() or not isinstance(broken, OSError) else _explain(broken, arguments)
    except Exception as error:  # noqa: BLE001 - the last resort of the process: it ends here, with the error told
        return _explain(error, arguments)
    if code == INTERRUPTED:  # typer's answer to Ctrl-C, which some of its versions give without a word
        return _fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else DONE


def _nobody_reads() -> bool:
    """Whether standard output is a pipe that its reader has closed."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _explain(error: Exception, arguments: Sequence[str]) -> int:
    """One line for what a user can do something about; for a bug, one line that names the file with the rest."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, UnaskedError):
        return _fail(f"{error}; run: {shlex.join(['pulldriver', *arguments, '--yes'])}", WRONG_USE)
    if isinstance(error, NotAStudyError):
        return _fail(str(error), WRONG_USE)
    if isinstance(error, DriverError | KubeError | StoreError) or hasattr(error, "exit_code"):
        return _fail(str(error), getattr(error, "exit_code", FAILED))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or "where the study is kept"
        return _fail(f"disk full at {place}: free space and run again; what was stored is kept", FAILED)
    if isinstance(error, OSError):
        return _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", FAILED)
    log = _bug_log(arguments)
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return _fail(f"a bug: {type(error).__name__}: {_first_line(error)}; please report {log}", FAILED)


def _bug_log(arguments: Sequence[str]) -> Path:
    """In the study's directory, where there is one: a wrong command must not make it."""
    words = list(arguments)
    given = words[words.index("--out") + 1 :] if "--out" in words else []
    out = Path(given[0]) if given else DEFAULT_OUT
    if not out.is_dir():
        return Path(f"pulldriver-{BUG_LOG}")
    (out / "logs").mkdir(exist_ok=True)
    return out / "logs" / BUG_LOG


def _command_of(arguments: Sequence[str]) -> str:
    return f"{arguments[0]} " if arguments and arguments[0] in (*COMMANDS, "sim", "dashboards", "images") else ""


def _first_line(error: Exception) -> str:
    return re.split(r"[\r\n]", str(error).strip() or "no message")[0]


def _fail(message: str, code: int) -> int:
    write_text(sys.stderr, f"pulldriver: {printable(message)}\n")
    return code
