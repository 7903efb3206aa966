"""How InfluxDB is reached, named as influxdb-client names it, and how it is written to."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.kinds import DEFAULT_NAME
from pullstudy.store.protocol import StoreSettingsError

DEFAULT_BUCKET = DEFAULT_NAME
_FALSE = ("0", "false", "no", "off")


class InfluxSettingsError(StoreSettingsError):
    """Of InfluxDB."""


@dataclass(frozen=True)
class InfluxSettings:
    """Where the points go. The token comes from the environment or from a file, never from a flag: flags are visible
    to every user of the machine."""

    url: str
    organisation: str
    bucket: str = DEFAULT_BUCKET
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None  # read before every request, so that a rotated token is used at once
    ca_file: Path | None = None  # None: the machine's own authorities
    verify: bool = True

    batch_points: int = 5_000  # InfluxData's own advice for the size of a batch
    batch_bytes: int = 4 << 20  # of line protocol, before compression
    gzip: bool = True  # level 1: a tenth of the bytes on the network for some 5 us of CPU a point
    request_seconds: float = 60.0  # for a whole write: then the connection is dead, FIN or no FIN
    connect_seconds: float = 10.0
    backoff: Backoff = field(default_factory=Backoff)
    most_retry_after_seconds: float = 600.0  # what a Retry-After may ask for at most
    remind_seconds: float = 60.0  # between two lines about the same trouble
    read_seconds: float = 300.0  # that a query may be silent
    read_points: int = 20_000  # of one query: they are sorted in our memory, some 30 MB

    @property
    def store(self) -> str:
        return "influxdb"

    @property
    def place(self) -> str:
        return f"bucket {self.bucket} of InfluxDB {self.url}"

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        url: str | None = None,
        bucket: str | None = None,
        organisation: str | None = None,
    ) -> "InfluxSettings":
        """INFLUXDB_V2_URL, _ORG, _TOKEN or _TOKEN_FILE, _BUCKET, _SSL_CA_CERT, _VERIFY_SSL.

        ``url``, ``bucket`` and ``organisation`` go before the environment's. Raises InfluxSettingsError.
        """
        token, token_file = environment.get("INFLUXDB_V2_TOKEN"), environment.get("INFLUXDB_V2_TOKEN_FILE")
        ca_file = environment.get("INFLUXDB_V2_SSL_CA_CERT")
        organisation = organisation or environment.get("INFLUXDB_V2_ORG")
        if not token and not token_file:
            raise InfluxSettingsError("InfluxDB: no token; set INFLUXDB_V2_TOKEN, or INFLUXDB_V2_TOKEN_FILE to a file")
        if not organisation:
            raise InfluxSettingsError("InfluxDB: no organisation; set INFLUXDB_V2_ORG")
        return cls(
            url=_checked_url(url or environment.get("INFLUXDB_V2_URL")),
            organisation=organisation,
            bucket=bucket or environment.get("INFLUXDB_V2_BUCKET") or DEFAULT_BUCKET,
            token=token or None,
            token_file=Path(token_file) if token_file and not token else None,
            ca_file=Path(ca_file) if ca_file else None,
            verify=environment.get("INFLUXDB_V2_VERIFY_SSL", "").lower() not in _FALSE,
        )

    def current_token(self) -> str:
        """Raises OSError where the file cannot be read."""
        return self.token_file.read_text().strip() if self.token_file else self.token or ""

    def tls(self) -> ssl.SSLContext | None:
        """None for plain HTTP. Raises InfluxSettingsError."""
        if urlsplit(self.url).scheme != "https":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise InfluxSettingsError(f"InfluxDB: certificate authority {self.ca_file}: {error}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _checked_url(url: str | None) -> str:
    if not url:
        raise InfluxSettingsError("InfluxDB: no address; give --influx URL or set INFLUXDB_V2_URL")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
        raise InfluxSettingsError(f"InfluxDB: {url!r} is no address; write it as http://HOST:8086")
    if parts.username or parts.password:
        raise InfluxSettingsError("InfluxDB: no user or password in the address; set INFLUXDB_V2_TOKEN")
    return url.rstrip("/")


def _has_port(parts: SplitResult) -> bool:
    """Or none, which is the scheme's own."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False
