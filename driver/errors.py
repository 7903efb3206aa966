"""What can go wrong in the driver, by what the user has to do about it.

DriverError
├── UsageError            exit 2: the command or a file it names is wrong; nothing was started
│   └── UnaskedError      a question has to be answered, and nobody is there
└── SweepError            exit 1: what was done is kept, ``--resume`` goes on
    ├── ProviderError     a cluster could not be made, changed or taken down
    ├── CollectorProcessError    the collector did not start, or died
    └── LimitError        something took longer than its limit in the study

Beside them stand KubeError (``pullstudy.kube.errors``: the API server refused or could not be reached) and StoreError,
which end a sweep with exit code 1 too.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class DriverError(Exception):
    """Base of all. ``str()`` is one line: what happened, to what, what to do."""

    exit_code = 1


class UsageError(DriverError):
    """Wrong use: an option, a file or a directory is not what the command needs."""

    exit_code = 2


class UnaskedError(UsageError):
    """Standard input is no terminal, and ``--yes`` was not given: the same command with it goes on."""


class SweepError(DriverError):
    """A sweep could not go on."""


class ProviderError(SweepError):
    """A provider could not do its step."""


class CollectorProcessError(SweepError):
    """The collector is not collecting."""


class LimitError(SweepError):
    """A limit of the study was passed."""


@contextmanager
def first_error() -> Iterator[None]:
    """Around a TaskGroup: raise the first error of its tasks as itself. The others came of its being cancelled."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
