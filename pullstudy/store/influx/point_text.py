"""Text that neither line protocol nor the CSV of a query can carry, made into text that both can, and back.

U+FFFD followed by four hexadecimal digits stands for the character of that number; U+FFFD alone stands for the empty
text. All other text is kept as it is, so that what people search for is what they find.

What has no form of its own, by the server's source (influxdb 2.7: models/points.go, and flux's CSV encoder):
in a tag, a newline ends the line, a backslash before a separator makes it part of the text, and a value cannot be
empty; in a field, a carriage return is dropped from query results and the empty text cannot be told from none;
in both, a lone surrogate is no UTF-8.
"""

import re
from functools import lru_cache
from hashlib import blake2b

TAG_CHARACTERS = 512  # a series key is refused over 65,535 bytes, of all tags together
FIELD_CHARACTERS = 16_384  # a string field is refused over 1 MiB; a cell of Python's csv module holds 131,072

_STAND_IN = "\ufffd"
_IN_TAG = re.compile(_STAND_IN + "(?=[0-9a-f]{4})|[\x00-\x1f\x7f\\\\\ud800-\udfff]")
_IN_FIELD = re.compile(_STAND_IN + "(?=[0-9a-f]{4})|[\x00\r\ud800-\udfff]")
_STOOD_IN = re.compile(_STAND_IN + "([0-9a-f]{4})")
_SEPARATOR = re.compile("([,= ])")
_QUOTED = re.compile('(["\\\\])')
_ODD_IN_FIELD = re.compile('["\\\\\x00\r\ufffd\ud800-\udfff]')


@lru_cache(maxsize=65_536)
def tag_value(text: str) -> str:
    """The text as a tag's value in line protocol."""
    return _SEPARATOR.sub(r"\\\1", stored_tag(text))


def stored_tag(text: str) -> str:
    """The text as a tag's value in a query."""
    return _without(_IN_TAG, bounded(text, TAG_CHARACTERS))


def stored_field(text: str) -> str:
    """The text as a string field's value in a query."""
    return _without(_IN_FIELD, bounded(text, FIELD_CHARACTERS))


def field_value(text: str) -> str:
    """The text as a string field's value in line protocol, quotes included."""
    if text and len(text) <= FIELD_CHARACTERS and not _ODD_IN_FIELD.search(text):
        return f'"{text}"'
    text = _QUOTED.sub(r"\\\1", stored_field(text))
    return f'"{text}"'


def original(text: str) -> str:
    """The text before tag_value or field_value, once line protocol's own escapes are undone."""
    if _STAND_IN not in text:
        return text
    return "" if text == _STAND_IN else _STOOD_IN.sub(lambda match: chr(int(match[1], 16)), text)


def bounded(text: str, most: int) -> str:
    """The text, or what of it fits into so many characters and a mark that says how much there was."""
    if len(text) <= most:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    mark = f" [cut from {len(text)} characters, blake2b {digest}]"
    return text[: most - len(mark)] + mark


def _without(pattern: re.Pattern[str], text: str) -> str:
    if text in ("", _STAND_IN):
        return f"{_STAND_IN}fffd" if text else _STAND_IN
    return pattern.sub(lambda match: f"{_STAND_IN}{ord(match[0]):04x}", text)
