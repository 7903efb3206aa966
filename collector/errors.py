"""What can stop the collector. ``str()`` of each is the one line that the user sees.

    CollectorError
    |-- ClusterError        the cluster cannot be reached, or refuses
    |-- DataDirectoryError  the data directory cannot be used
    |-- NotWholeError       not all points of a bucket are in the other one
    `-- SpoolError
        |-- SpoolFullError    no room: nothing more is read
        `-- SpoolLayoutError  written by another version

Beside them stands KubeError (``pullstudy.kube.errors``): of those only KubeconfigError stops the collector, since a cut
connection or a server that is away passes.
"""

from pathlib import Path


class CollectorError(Exception):
    """The collector cannot go on."""


class ClusterError(CollectorError):
    """The cluster did not answer at the start, or does not allow what the collector needs."""


class DataDirectoryError(CollectorError):
    """The data directory cannot be used."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"data directory {path}: {why}")
        self.path = path


class NotWholeError(CollectorError):
    """Not all points of a bucket came into the other one."""


class SpoolError(CollectorError):
    """The spool cannot be written or read."""


class SpoolFullError(SpoolError):
    """There is no room for another record: what was read before is kept, nothing more is read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"no room to write {path} ({why}): free space and start again; every record read so far is kept, "
            "and reading goes on after the last of them"
        )
        self.path = path


class SpoolLayoutError(SpoolError):
    """The spool was written by another version."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"spool {path} {what}: use the pullstudy that made it, or choose another --data-dir")
        self.path = path
