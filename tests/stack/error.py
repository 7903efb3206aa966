"""What can go wrong around the servers, as one line that says what to do."""


class StackError(Exception):
    """A server could not be built, started or asked; the text names it, the cause and the remedy."""


class NotPossibleHereError(StackError):
    """This machine does not allow it (no root, no namespaces): a reason to skip, never to fail."""


class NotBuiltError(StackError):
    """A part of the stack is not in the cache."""
