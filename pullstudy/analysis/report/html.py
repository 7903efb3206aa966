"""HTML text. Whatever came from outside is escaped here, and only here it becomes markup."""

import re
from collections.abc import Iterable, Sequence
from html import escape

import msgspec

from pullstudy.pulls.printable import printable

# ``<`` and ``>``, and of what JSON leaves as it is: C1 controls, line and paragraph separators, marks of direction.
_UNPRINTABLE = re.compile("[<>\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


_SHORT = 24  # characters of a number with its unit, or of an interval


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Markup:
    """The value as HTML text."""
    return value if isinstance(value, Markup) else Markup(escape(_shown(value)))


def _shown(value: object) -> str:
    """Line ends stay: on a page they are but blanks."""
    return "\n".join(map(printable, str(value).split("\n")))


def element(name: str, *children: object, **attributes: str) -> Markup:
    """An element; a trailing underscore of an attribute's name is dropped, others become hyphens."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"' for key, value in attributes.items()
    )
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
    if text:
        return element("td", value)
    return element(
        "td", value, class_="number" if len(str(value)) <= _SHORT or isinstance(value, Markup) else "number long"
    )


def json_script(identity: str, value: object) -> Markup:
    """Data for scripts. No ``<`` stands in it, so that no text can end the script element, and nothing unprintable."""
    encoded = _UNPRINTABLE.sub(_as_escape, msgspec.json.encode(value).decode())
    return Markup(f'<script type="application/json" id="{escape(identity)}">{encoded}</script>')


def _as_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
