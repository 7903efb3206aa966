"""The ``collector`` command: its table of commands, and the one place where errors become a line and an exit code."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import typer

from collector.clock import SystemClock
from collector.commands.collect_command import app as collect_app
from collector.configuration.options import ENVIRONMENT_PREFIX, key_of, settable, variable_of
from collector.errors import CollectorError
from collector.log import Format, Log
from pullstudy.bus.protocol import BusError
from pullstudy.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USE
from pullstudy.extras import MissingExtraError
from pullstudy.kube.errors import KubeError
from pullstudy.pulls.names import argument_problem
from pullstudy.pulls.printable import printable
from pullstudy.store.protocol import StoreError

# Typer brings its own click in some versions and uses the installed one in others: this is the right one in both.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """The entry point."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run it with these arguments, and return the exit code. What ended it is the last line, as the log's lines are."""
    code, message = _outcome(arguments)
    if message is not None:
        _say_last(message, _form_of(arguments))
    return code


def _outcome(arguments: list[str]) -> tuple[int, str | None]:
    """The exit code, and where something went wrong what it was."""
    if problem := argument_problem(arguments):
        return WRONG_USE, problem
    try:
        code = _command(arguments)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED, None
    except _UsageError as error:
        # Some texts span lines; what is wrong stands in the first.
        message = error.format_message().partition("\n")[0].rstrip(".").replace("Value error, ", "")
        command = f"{arguments[0]} " if arguments and arguments[0] in COMMANDS else ""
        return WRONG_USE, f"{message}{_place_of(error)}; see collector {command}--help"
    except (BusError, CollectorError, KubeError, MissingExtraError, StoreError, ExceptionGroup) as error:
        first = _first(error)
        if isinstance(first, MissingExtraError):
            return first.exit_code, str(first)
        if not isinstance(first, (BusError, CollectorError, KubeError, StoreError)):
            raise
        return FAILED, str(first)
    return (code if isinstance(code, int) else DONE), None


def _place_of(error: Any) -> str:
    """Where a wrong value stands, if that is not the command line."""
    context, parameter = error.ctx, getattr(error, "param", None)
    source = context.get_parameter_source(parameter.name) if context and parameter else None
    if source is None or source.name not in ("ENVIRONMENT", "DEFAULT_MAP"):
        return ""
    return f" (from {variable_of(parameter) if source.name == 'ENVIRONMENT' else context.params.get('config')})"


def _sink() -> typer.Typer:
    from collector.commands.sink_command import app

    return app


def _check() -> typer.Typer:
    from collector.commands.check_command import app

    return app


def _archive() -> typer.Typer:
    from collector.commands.archive_command import app

    return app


def _migrate() -> typer.Typer:
    from collector.commands.migrate_command import app

    return app


COMMANDS: dict[str, Callable[[], typer.Typer]] = {
    "sink": _sink,
    "archive": _archive,
    "migrate": _migrate,
    "check": _check,
}
"""By the first word. ``collector`` alone collects, so that this word is looked at before the options are."""


def _command(arguments: list[str]) -> object:
    first = arguments[0] if arguments else "--"
    if first == "--version":
        typer.echo(f"collector {version('pullstudy')}")
        return DONE
    if first in _COMPLETION_OPTIONS or _COMPLETION_VARIABLE in os.environ:
        return _whole_app()(arguments, prog_name="collector", standalone_mode=False)
    find = COMMANDS.get(first)
    if find is None and not first.startswith("-"):
        raise _UsageError(f"No such command '{first}': there are {', '.join(COMMANDS)}, or options alone")
    if find is None:
        return collect_app(arguments, prog_name="collector", standalone_mode=False, obj=_all_keys)
    return find()(arguments[1:], prog_name=f"collector {arguments[0]}", standalone_mode=False, obj=_all_keys)


_COMPLETION_OPTIONS = ("--install-completion", "--show-completion")
_COMPLETION_VARIABLE = "_COLLECTOR_COMPLETE"  # click's name for it: what a shell asks by is in the environment


def _whole_app() -> typer.Typer:
    """All words of the command in one tree, which is what a shell completes them by."""
    whole = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    whole.callback(invoke_without_command=True)(_function(collect_app))
    for name, find in COMMANDS.items():
        whole.command(name)(_function(find()))
    return whole


def _function(app: typer.Typer) -> Callable[..., Any]:
    callback = app.registered_commands[0].callback
    assert callback is not None
    return callback


def _all_keys() -> set[str]:
    """What a file of settings can hold: one file serves all commands."""
    apps = [collect_app, *(find() for find in COMMANDS.values())]
    return {key_of(each) for found in apps for each in settable(typer.main.get_command(found).params)}


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _form_of(arguments: list[str]) -> str:
    """As the command line or the environment has it: that line is said also where the options could not be read."""
    words = [part for word in arguments for part in word.split("=", 1)]
    following = dict(pairwise(words))
    return following.get("--log-format") or os.environ.get(f"{ENVIRONMENT_PREFIX}_LOG_FORMAT", Format.TEXT)


def _say_last(message: str, form: str) -> None:
    if form == Format.JSON:
        Log(SystemClock(), Format.JSON).error(message)
    else:
        sys.stderr.write(f"collector: {printable(message)}\n")
