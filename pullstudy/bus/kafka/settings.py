"""How Kafka is reached and used: each setting with its unit, its default and the reason for it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context

from pullstudy.bus.protocol import BusSettingsError
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.kinds import DEFAULT_NAME

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
DEFAULT_TOPIC = DEFAULT_NAME


class KafkaSettingsError(BusSettingsError):
    """Of Kafka."""


class KafkaFileError(KafkaSettingsError, OSError):
    """A password's or certificate's file cannot be used: wrong use at the start, later perhaps one being renewed."""


@dataclass(frozen=True)
class Security:
    """What the brokers ask of clients. Secrets come from the environment or from files, never from a flag."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None  # read, as the certificates, for each client that is made
    ca_file: Path | None = None  # None: the machine's own authorities
    certificate_file: Path | None = None  # of the client, with key_file: for mutual TLS
    key_file: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Security":
        """KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, _USERNAME, _PASSWORD or _PASSWORD_FILE, KAFKA_SSL_CAFILE,
        _CERTFILE, _KEYFILE. Raises KafkaSettingsError."""
        get = environment.get
        made = cls(
            protocol=(get("KAFKA_SECURITY_PROTOCOL") or cls.protocol).upper(),
            mechanism=(get("KAFKA_SASL_MECHANISM") or cls.mechanism).upper(),
            username=get("KAFKA_SASL_USERNAME") or None,
            password=get("KAFKA_SASL_PASSWORD") or None,
            password_file=_path(get("KAFKA_SASL_PASSWORD_FILE")),
            ca_file=_path(get("KAFKA_SSL_CAFILE")),
            certificate_file=_path(get("KAFKA_SSL_CERTFILE")),
            key_file=_path(get("KAFKA_SSL_KEYFILE")),
        )
        made.check()
        made.client_options()
        return made

    def check(self) -> None:
        """Raises KafkaSettingsError where the parts do not fit together."""
        if self.protocol not in PROTOCOLS:
            raise KafkaSettingsError(f"KAFKA_SECURITY_PROTOCOL is {self.protocol}; it is one of {', '.join(PROTOCOLS)}")
        if self.sasl and self.mechanism not in MECHANISMS:
            raise KafkaSettingsError(f"KAFKA_SASL_MECHANISM is {self.mechanism}; it is one of {', '.join(MECHANISMS)}")
        if self.sasl and not (self.username and (self.password or self.password_file)):
            raise KafkaSettingsError(
                f"KAFKA_SECURITY_PROTOCOL is {self.protocol}: set KAFKA_SASL_USERNAME, and KAFKA_SASL_PASSWORD or"
                " KAFKA_SASL_PASSWORD_FILE"
            )
        if not self.sasl and self.username:
            raise KafkaSettingsError(
                f"KAFKA_SASL_USERNAME is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}: set it to SASL_SSL"
            )
        if not self.tls and (self.ca_file or self.certificate_file):
            raise KafkaSettingsError(
                f"a KAFKA_SSL_ file is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}: set it to SSL or SASL_SSL"
            )
        if bool(self.certificate_file) != bool(self.key_file):
            raise KafkaSettingsError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE: set both, or neither")

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def client_options(self) -> dict[str, Any]:
        """For any client of aiokafka. Raises KafkaFileError."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls:
            options["ssl_context"] = self._ssl_context()
        if self.sasl:
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password or _read_secret(self.password_file)
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        files = [str(path) if path else None for path in (self.ca_file, self.certificate_file, self.key_file)]
        cafile, certfile, keyfile = files
        try:
            context: ssl.SSLContext = create_ssl_context(cafile=cafile, certfile=certfile, keyfile=keyfile)
        except OSError as error:
            named = ", ".join(name for name in files if name)
            raise KafkaFileError(f"Kafka's TLS files {named}: {error}") from error
        return context


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _read_secret(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        secret = file.read_text().strip()
    except OSError as error:
        raise KafkaFileError(f"KAFKA_SASL_PASSWORD_FILE {file}: {error.strerror or error}") from error
    if not secret:
        raise KafkaFileError(f"KAFKA_SASL_PASSWORD_FILE {file} is empty")
    return secret


@dataclass(frozen=True)
class TopicSettings:
    """How a topic is made where there is none; one that is there is used as it is."""

    partitions: int = 6  # as many sinks can share the work; a node stays in one partition
    replication: int = 3  # or as many brokers as there are
    retention_seconds: float = 7 * 86_400.0  # how long a store may be away before records are lost
    dead_retention_seconds: float = 30 * 86_400.0  # how long somebody may take to look at a dead letter
    message_bytes: int = 1 << 20  # Kafka's own default for a message
    dead_message_bytes: int = 8 << 20  # an oversized record has to fit whole into the topic of dead letters


@dataclass(frozen=True)
class KafkaSettings:
    """Where, and how much at a time."""

    bootstrap: str  # HOST:PORT, or several with commas
    topic: str = DEFAULT_TOPIC  # of pulls; <topic>-context and <topic>-dead stand beside it
    security: Security = field(default_factory=Security)
    topics: TopicSettings = field(default_factory=TopicSettings)
    backoff: Backoff = field(default_factory=Backoff)

    compression: str = "zstd"  # a tenth of the bytes; see docs/bus.md
    batch_bytes: int = 256 << 10  # of one partition, before compression: some 300 records
    linger_seconds: float = 0.005  # to fill batches
    in_flight_bytes: int = 8 << 20  # handed to the client and not acknowledged: it has no bound of its own
    request_seconds: float = 30.0  # for one request: then the connection is dead
    stalled_seconds: float = 30.0  # without any acknowledgement: then topics are looked at, and the client rebuilt
    close_seconds: float = 5.0  # for stopping a client: with a dead broker it would wait for ever (aiokafka #1101)
    remind_seconds: float = 60.0  # between two lines about the same trouble

    # Out by mistake a member loses nothing, and stores a little twice; out too late, its share waits for it.
    session_seconds: float = 10.0  # without a heartbeat: then the member is out, and its share goes to the others
    heartbeat_seconds: float = 3.0
    rebalance_seconds: float = 20.0  # for all members to come to a new share
    # A store that is away for a day is no reason to leave the group: heartbeats tell that the process lives.
    poll_seconds: float = 7 * 86_400.0
    fetch_bytes: int = 4 << 20  # of one answer, compressed
    partition_fetch_bytes: int = 1 << 20  # of one partition of it, compressed
    step_messages: int = 500  # decompressed at a time
    commit_seconds: float = 30.0
    metadata_seconds: float = 30.0  # how late a topic made anew is noticed; 5 min by default

    @property
    def context_topic(self) -> str:
        return f"{self.topic}-context"

    @property
    def dead_topic(self) -> str:
        return f"{self.topic}-dead"

    @property
    def bus(self) -> str:
        return "kafka"

    def closing_within(self, seconds: float) -> "KafkaSettings":
        return replace(self, close_seconds=seconds)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, bootstrap: str, topic: str | None = None
    ) -> "KafkaSettings":
        """The address as the user types it, the rest from KAFKA_TOPIC and what Security reads.

        Raises KafkaSettingsError.
        """
        return cls(
            bootstrap=_checked_bootstrap(bootstrap),
            topic=topic or environment.get("KAFKA_TOPIC") or DEFAULT_TOPIC,
            security=Security.from_environment(environment),
        )

    def client_options(self) -> dict[str, Any]:
        """For any client of aiokafka. Raises KafkaFileError."""
        return {
            "bootstrap_servers": self.bootstrap,
            "request_timeout_ms": int(self.request_seconds * 1000),
            "metadata_max_age_ms": int(self.metadata_seconds * 1000),
            **self.security.client_options(),
        }


def _checked_bootstrap(text: str) -> str:
    for server in text.split(","):
        host, colon, port = server.strip().rpartition(":")
        if not colon or not host or not port.isdigit():
            raise KafkaSettingsError(f"--kafka {text!r}: write it as HOST:PORT, several with commas between them")
    return text
