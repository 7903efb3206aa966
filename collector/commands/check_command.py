"""``collector check``: the same options as ``collector``; nothing is collected, and every part of the way is tried."""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from collector.commands.collect_command import collect, target_of
from collector.configuration.options import CONTEXT
from collector.configuration.settings_shown import shows_settings
from collector.log import Format
from collector.settings import Settings
from pullstudy.exit_codes import FAILED

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_EPILOG = """
\b
Give it the options that the collector will get: collector check --cluster lab --kafka broker:9092
A line a check: ok, warning (it works without) or FAILED, with what to do. Nothing is written into the study's data.
Exit codes: 0 nothing failed, 1 something failed, 2 wrong use.
"""


def _with_the_collectors_options(check: Callable[..., None]) -> Callable[..., None]:
    own = [
        each for each in inspect.signature(check).parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    named = {each.name for each in own}
    shared = [each for each in inspect.signature(collect).parameters.values() if each.name not in named]
    every = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*shared, *own)]
    check.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    check.__annotations__ = {each.name: each.annotation for each in every}
    return check


@app.command(epilog=_EPILOG, context_settings=CONTEXT)
@_with_the_collectors_options
def check(
    context: typer.Context,
    format: Annotated[Format, typer.Option(help="How the findings look, on standard output.")] = Format.TEXT,
    **options: Any,
) -> None:
    """Try every connection and permission that the collector needs, and say in plain words what is missing."""
    if shows_settings(context, os.environ, options["show_settings"]):
        return
    wanted = inspect.signature(target_of).parameters
    target = target_of(**{name: value for name, value in options.items() if name in wanted})
    from collector.checks.everything import check_everything
    from collector.checks.report import failed, finding_line, findings_json, summary_line

    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    async def run() -> bool:
        findings = []
        async for finding in check_everything(
            target, Settings().watch, options["spool_limit"], lambda: datetime.now(UTC)
        ):
            findings.append(finding)
            if format is Format.TEXT:
                typer.echo(finding_line(finding, colours=colours))
        typer.echo(summary_line(findings) if format is Format.TEXT else findings_json(findings))
        return failed(findings)

    if asyncio.run(run()):
        raise typer.Exit(FAILED)
