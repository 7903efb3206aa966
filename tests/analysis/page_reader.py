"""Reads a page as a browser would."""

from html.parser import HTMLParser

_ENDS_A_LINE = ("p", "tr", "li", "caption", "h3", "div")


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.elements.append((tag, found))
        self._script = (found.get("id") or "code") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None
        if tag in _ENDS_A_LINE:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text.append(data)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def words(self) -> str:
        return " ".join(self.text)

    def lines(self) -> list[str]:
        """The words, a row of a table or a paragraph a line."""
        return [line for line in (" ".join(text.split()) for text in self.words().split("\n")) if line]
