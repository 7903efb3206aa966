"""What a cluster, a run or another thing that a user names may be called."""

from collections.abc import Sequence

LONGEST_NAME = 253  # bytes; the API's longest name of an object (RFC 1123 subdomain)


def name_problem(name: str) -> str | None:
    """One line that says why it is no name; None where it is one.

    A name goes into every record, file and page: it has to be UTF-8, printable, and short.
    """
    if not is_text(name):
        return f"{name!r} is not UTF-8"
    if not name.isprintable():
        return f"{name!r} holds characters that cannot be printed"
    if not name.strip():
        return "it is empty"
    if len(name.encode()) > LONGEST_NAME:
        return f"{name[:20]!r}... is longer than {LONGEST_NAME} bytes"
    return None


def is_text(argument: str) -> bool:
    """Whether it can be written anywhere. Of an argument that is not UTF-8 Python makes lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def argument_problem(arguments: Sequence[str]) -> str | None:
    """One line about the first argument of a command that is not UTF-8; None where all are."""
    for argument in arguments:
        if not is_text(argument):
            return f"argument {argument!r} is not UTF-8: no store, log or page can hold it"
    return None
