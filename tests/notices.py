"""Notices kept instead of written, for tests of what is said."""


class KeptNotices:
    """Every line, with its level."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, message: str, **fields: object) -> None:
        self.lines.append(("info", message))

    def warning(self, message: str, **fields: object) -> None:
        self.lines.append(("warning", message))

    def error(self, message: str, **fields: object) -> None:
        self.lines.append(("error", message))

    def said(self, level: str) -> list[str]:
        return [line for each, line in self.lines if each == level]
