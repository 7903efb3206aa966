"""The package's error tree.

DashboardsError
├── SchemaError           a panel asks for a column that no point has
├── FilesError            the files cannot be written
├── StoreAddressError     what is put into the InfluxDB cannot be read back
├── GrafanaAddressError   no address or token of a Grafana
└── GrafanaError          Grafana refused, or could not be reached
"""

from pathlib import Path


class DashboardsError(Exception):
    """``str()`` is one line that says what happened, to which object, and what to do."""

    exit_code = 1


class SchemaError(DashboardsError):
    """A panel asks for a tag or field that no point has."""


class FilesError(DashboardsError):
    """The directory of the files cannot be written to."""

    def __init__(self, directory: Path, why: str) -> None:
        super().__init__(f"{directory}: {why}; give a directory that can be written to")
        self.directory = directory


class StoreAddressError(DashboardsError):
    """The store cannot be written and read, by its address, names or token."""

    exit_code = 2  # wrong use


class GrafanaAddressError(DashboardsError):
    """How the Grafana is reached was not given, or is no address."""

    exit_code = 2  # wrong use


class GrafanaError(DashboardsError):
    """Grafana refused or could not be reached."""
