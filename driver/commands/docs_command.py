"""``pulldriver docs``: the pages of ``docs/``, which an installed package has with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from driver.errors import UsageError
from driver.planning.wrong_key import near_word

_PACKAGE = Path(__file__).parents[1]


def docs_command(
    page: Annotated[str | None, typer.Argument(metavar="PAGE", help="One of them; without it they are listed.")] = None,
) -> None:
    """Show the documentation, as it is of this version: Markdown, to read or to page through.

    Examples:

      pulldriver docs

      pulldriver docs study | less
    """
    print(read_page(page).rstrip() if page else "\n".join(_contents()))


def read_page(name: str) -> str:
    """Its text. Raises UsageError where there is no such page."""
    found = _pages()
    name = name.removeprefix("docs/").removesuffix(".md")
    if name not in found:
        near = near_word(name, found)
        hint = f"did you mean {near}?" if near else "pulldriver docs lists them"
        raise UsageError(f"there is no page {name}; {hint}")
    return found[name].read_text(encoding="utf-8")


def _pages() -> dict[str, Path]:
    """By name. In a checkout they lie beside the packages; the wheel has them within this one (pyproject.toml)."""
    installed = _PACKAGE / "docs"
    root = installed if installed.is_dir() else _PACKAGE.parent / "docs"
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.md"))}


def _contents() -> Iterator[str]:
    for name, path in _pages().items():
        with path.open(encoding="utf-8") as text:
            yield f"{name:<20} {text.readline().lstrip('# ').strip()}"
