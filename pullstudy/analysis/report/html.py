"""HTML text. Whatever came from outside is escaped here, and only here it becomes markup."""

from collections.abc import Iterable, Sequence
from html import escape

import msgspec


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Markup:
    """The value as HTML text."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def element(name: str, *children: object, **attributes: str) -> Markup:
    """An element; a trailing underscore of an attribute's name is dropped, others become hyphens."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>{''.join(map(html, children))}</{name}>")


def paragraph(*children: object) -> Markup:
    return element("p", *children)


def warning(*children: object) -> Markup:
    """Something that a reader must not overlook."""
    return element("p", element("strong", "Note: "), *children, class_="warning")


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", text_columns: int = 1
) -> Markup:
    """A table that scrolls by itself; all but the first ``text_columns`` are numbers."""
    head = element("tr", *(_heading(name, place < text_columns) for place, name in enumerate(header)))
    body = [element("tr", *(_cell(cell, place < text_columns) for place, cell in enumerate(row))) for row in rows]
    parts = [element("caption", caption)] if caption else []
    whole = element("table", *parts, element("thead", head), element("tbody", *body))
    return element("div", whole, class_="table", tabindex="0", role="region", aria_label=caption or header[0])


def _heading(name: str, text: bool) -> Markup:
    return element("th", name, scope="col") if text else element("th", name, scope="col", class_="number")


def _cell(value: object, text: bool) -> Markup:
    return element("td", value) if text else element("td", value, class_="number")


def json_script(identity: str, value: object) -> Markup:
    """Data for scripts. ``<`` never stands in it, so that no text can end the script element."""
    encoded = msgspec.json.encode(value).decode().replace("<", "\\u003c")
    return Markup(f'<script type="application/json" id="{escape(identity)}">{encoded}</script>')
