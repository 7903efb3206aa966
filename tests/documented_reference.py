"""The reference part of the docs, written from the code: options, metrics, columns, study.toml, the chart's values.

    python -m tests.documented_reference

rewrites docs/reference/*.md. A test fails where they differ.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import typer

from collector.cli import COMMANDS as COLLECTOR
from collector.commands.collect_command import app as collect_app
from driver.cli import app as driver_app
from driver.planning.study import Study
from pullstudy.pulls.columns import Column
from pullstudy.pulls.kinds import KINDS
from pullstudy.pulls.metric_names import METRICS
from pullstudy.store.influx.point_layout import MEASUREMENTS

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
WRITTEN = "<!-- written by: python -m tests.documented_reference -->\n"
WORDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "max_length": "longest"}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """In Markdown."""
    lines = [head, tuple("-" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def text(words: str) -> str:
    """For a cell: neither columns nor tags."""
    return re.sub(r"\s+", " ", words).replace("|", "\\|").replace("<", "&lt;").strip()


def code(words: str) -> str:
    """For a cell: a bar in it would be a column's end."""
    return f"`{words}`" if "|" not in words else f"<code>{text(words).replace(chr(92) + '|', '&#124;')}</code>"


# Options


def options() -> str:
    commands = [("pulldriver", typer.main.get_command(driver_app)), ("collector", typer.main.get_command(collect_app))]
    commands += [(f"collector {name}", typer.main.get_command(find())) for name, find in COLLECTOR.items()]
    return "# Options\n\n" + "\n".join(part for name, command in commands for part in sections(name, command))


def sections(name: str, command: Any) -> Iterator[str]:
    """Of a command and those in it."""
    yield f"## {name}\n\n{description(command)}\n{words_of(name, command)}"
    for each, found in getattr(command, "commands", {}).items():
        yield from sections(f"{name} {each}", found)


def description(command: Any) -> str:
    """As ``--help`` has it, with the examples as one block."""
    told, _, examples = str(command.help or "").partition("\n\nExamples:\n\n")
    lines = "".join(f"    {line.strip()}\n" for line in examples.splitlines() if line.strip())
    return f"{told.replace('<', '&lt;')}\n" + (f"\n{lines}" if lines else "")


def words_of(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=name)
    records = [found for each in command.params if (found := each.get_help_record(context))]
    return table(("given", "what it does"), ((code(word), text(told)) for word, told in records)) if records else ""


# Metrics, columns


def metrics() -> str:
    rows = ((f"`{each.name}`", each.kind.value, names(each.labels), text(each.help)) for each in METRICS)
    return "# Metrics\n\nOf `collector` and its sinks at `/metrics`, with `--listen`.\n\n" + table(
        ("metric", "type", "labels", "what it is"), rows
    )


def names(given: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in given)


def columns() -> str:
    kinds = (
        f"## {kind.plural}\n\nOne row is {text(kind.meaning)}. Key: {names(kind.identity)}.\n\n"
        + table(("column", "values", "what it is"), (column_row(each) for each in kind.columns))
        for kind in KINDS
    )
    points = (
        f"### {each.name}\n\nOne point is {text(each.meaning)}.\n\nTags: {names(each.all_tags)}.\n\n"
        f"Fields: {names(each.fields)}.\n"
        for each in MEASUREMENTS
    )
    return "# Columns\n\nOf the store, and of exports.\n\n" + "\n".join(kinds) + "\n## InfluxDB\n\n" + "\n".join(points)


def column_row(column: Column) -> tuple[str, str, str]:
    known = column.type
    told = names(each.value for each in known) if issubclass(known, Enum) else WORDS.get(known.__name__, "time")
    return f"`{column.name}`", f"{told}{', or none' if column.optional else ''}", text(column.meaning)


# study.toml


def study() -> str:
    parts = (
        f"## {f'[{name}]' if name else 'At the top'}\n\n" + table(("key", "values", "default"), rows)
        for name, rows in study_tables("", Study)
    )
    return "# study.toml\n\nEach key, by its table; [study.md](../study.md) says what each is for.\n\n" + "\n".join(
        parts
    )


def study_tables(name: str, struct: type[msgspec.Struct]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Of a struct and those in it: the rows of its own keys."""
    fields = msgspec.inspect.type_info(struct).fields  # type: ignore[attr-defined]
    inner = [each for each in fields if isinstance(each.type, msgspec.inspect.StructType)]
    rows = [
        (code(each.encode_name), text(values(each.type)), code(default(each))) for each in fields if each not in inner
    ]
    if rows:
        yield name, rows
    for each in inner:
        yield from study_tables(f"{name}.{each.encode_name}".lstrip("."), each.type.cls)


def default(field: msgspec.inspect.Field) -> str:
    """As TOML has it."""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    written = msgspec.json.encode(value).decode()
    return written if len(written) < 60 or not isinstance(value, tuple) else f"{len(value)} of them"


def values(type_: Any) -> str:
    """What a key may have, in words."""
    inspect = msgspec.inspect
    match type_:
        case inspect.UnionType():
            return " or ".join(values(each) for each in type_.types)
        case inspect.EnumType():
            return " or ".join(f'"{each.value}"' for each in type_.cls)
        case inspect.LiteralType():
            return " or ".join(f'"{each}"' for each in type_.values)
        case inspect.VarTupleType():
            return f"list of {values(type_.item_type)}"
        case inspect.DictType():
            return "table"
    word = re.sub(r"(?<!^)Type$", "", type(type_).__name__).lower()
    limits = [f"{said} {limit:g}" for key, said in LIMITS.items() if (limit := getattr(type_, key, None)) is not None]
    return ", ".join(
        [{"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(word, word), *limits]
    )


# The chart


def chart() -> str:
    values = (ROOT / "deploy" / "helm" / "pullstudy" / "values.yaml").read_text()
    where = "`deploy/helm/pullstudy/values.yaml`; [deploy.md](../deploy.md#with-helm) has the order."
    return f"# Values of the Helm chart\n\n{where}\n\n```yaml\n{values}```\n"


PAGES: dict[str, Callable[[], str]] = {
    "options.md": options,
    "metrics.md": metrics,
    "columns.md": columns,
    "study.md": study,
    "helm.md": chart,
}


def pages() -> dict[Path, str]:
    """All pages as they should be."""
    return {REFERENCE / name: WRITTEN + write() for name, write in PAGES.items()}


if __name__ == "__main__":
    for path, written in pages().items():
        path.write_text(written)
