"""Text from outside, as it may be shown: on a terminal, in a log, on a page."""


def printable(text: str) -> str:
    """The text with what cannot be printed written as an escape: ``\\x1b``, ``\\n``, ``\\u2028``, ``\\udcff``.

    Names of objects and messages of events are whatever their maker wrote: control characters steer a terminal, line
    ends make a second line of a log, marks of direction show a text as another one.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
