"""How InfluxDB is reached, named as influxdb-client names it, and how it is written to."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.kinds import DEFAULT_NAME
from pullstudy.store.protocol import StoreError, StoreSettingsError

DEFAULT_BUCKET = DEFAULT_NAME
_TOKEN_BYTES = 4096
# What a browser shows of InfluxDB's web interface, and what its API documents as paths. Another path may be the prefix
# under which a reverse proxy has the server.
_PAGE = re.compile(r"/(orgs/[0-9a-f]{16}|orgs/?$|signin|signout|logout|onboarding|api/v2)(/|$).*")
_FALSE = ("0", "false", "no", "off")


class TokenFileError(StoreError):
    """The file of the token cannot be read, or holds none. It may be rewritten at any time: then it can."""


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
    layout: int | None = None  # of the bucket's points; None: as the bucket tells

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
        """INFLUXDB_V2_URL, _ORG, _TOKEN or _TOKEN_FILE, _BUCKET, _SSL_CA_CERT, _VERIFY_SSL, _LAYOUT.

        ``url``, ``bucket`` and ``organisation`` go before the environment's. Raises InfluxSettingsError.
        """
        token, token_file = environment.get("INFLUXDB_V2_TOKEN"), environment.get("INFLUXDB_V2_TOKEN_FILE")
        ca_file = environment.get("INFLUXDB_V2_SSL_CA_CERT")
        organisation = organisation or environment.get("INFLUXDB_V2_ORG")
        if not token and not token_file:
            raise InfluxSettingsError("InfluxDB: no token; set INFLUXDB_V2_TOKEN, or INFLUXDB_V2_TOKEN_FILE to a file")
        if token and not _is_token(token.strip()):
            raise InfluxSettingsError("InfluxDB: INFLUXDB_V2_TOKEN holds no token: it is one line of ASCII characters")
        if not organisation:
            raise InfluxSettingsError("InfluxDB: no organisation; set INFLUXDB_V2_ORG")
        return cls(
            url=checked_url(url or environment.get("INFLUXDB_V2_URL")),
            organisation=organisation,
            bucket=bucket or environment.get("INFLUXDB_V2_BUCKET") or DEFAULT_BUCKET,
            token=token.strip() if token else None,
            token_file=Path(token_file) if token_file and not token else None,
            ca_file=Path(ca_file) if ca_file else None,
            verify=environment.get("INFLUXDB_V2_VERIFY_SSL", "").lower() not in _FALSE,
            layout=_layout(environment.get("INFLUXDB_V2_LAYOUT")),
        )

    def current_token(self) -> str:
        """Raises TokenFileError."""
        return _token_of(self.token_file) if self.token_file else self.token or ""

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


def _layout(text: str | None) -> int | None:
    if text and text not in ("1", "2"):
        raise InfluxSettingsError(f"InfluxDB: INFLUXDB_V2_LAYOUT is {text[:40]!r}: it is 1 or 2, or not set")
    return int(text) if text else None


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _token_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_TOKEN_BYTES + 1)
    except OSError as error:
        raise TokenFileError(f"token file {file}: {error.strerror or error}") from error
    # Its content goes into no message: half a token is a secret too.
    token = content.decode("ascii", errors="replace").strip()
    if not token:
        raise TokenFileError(f"token file {file} is empty")
    if len(content) > _TOKEN_BYTES or not _is_token(token):
        raise TokenFileError(f"token file {file} holds no token: it is one line of at most {_TOKEN_BYTES} characters")
    return token


def checked_url(url: str | None) -> str:
    """A server's address without a slash at its end. Raises InfluxSettingsError."""
    if not url:
        raise InfluxSettingsError("InfluxDB: no address; give --influx URL or set INFLUXDB_V2_URL")
    if "@" in url:  # before anything else: no message may repeat a password
        raise InfluxSettingsError("InfluxDB: no user or password in the address; set INFLUXDB_V2_TOKEN")
    shown = url.partition("?")[0].partition("#")[0]
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _is_host(parts.hostname) or not _has_port(parts):
        raise InfluxSettingsError(f"InfluxDB: {shown!r} is no address; write it as http://HOST:8086")
    page = _PAGE.search(parts.path)
    server = f"{parts.scheme}://{parts.netloc}{parts.path[: page.start()] if page else parts.path}".rstrip("/")
    if page:
        raise InfluxSettingsError(
            f"InfluxDB: {shown!r} is a page of its web interface, not the server's address; write it as {server}"
        )
    if parts.query or parts.fragment:
        raise InfluxSettingsError(f"InfluxDB: an address ends before ? and #; write it as {server}")
    return server


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url) if url.isprintable() and " " not in url else None
    except ValueError:  # a bracket that is not closed
        return None


def _is_host(host: str | None) -> bool:
    """Whether a resolver takes it: one that is too long is a UnicodeError there."""
    labels = (host or "").removesuffix(".").split(".")
    return len(host or "") <= 253 and all(0 < len(label) <= 63 for label in labels)


def _has_port(parts: SplitResult) -> bool:
    """Or none, which is the scheme's own."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False
