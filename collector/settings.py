"""Every setting of the collector, with its unit, its default and the reason for it. Read once, at the command line."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WatchSettings:
    """How the API server is asked."""

    page_items: int = 500  # events a page of a list; client-go's default, some 500 kB
    timeout_min_seconds: float = 300.0  # of one watch, drawn at random up to the maximum,
    timeout_max_seconds: float = 600.0  # so that no watch hangs for ever and many collectors do not reconnect at once
    deadline_margin_seconds: float = 30.0  # beyond the watch's time-out: then the connection is dead, FIN or no FIN
    request_seconds: float = 60.0  # for a whole answer that is no watch; the API server itself gives up after 60
    connect_seconds: float = 10.0  # for the TCP and TLS handshake
    chunk_bytes: int = 1 << 20  # read at a time: some 900 events, decoded, spooled and synchronised together
    quick_seconds: float = 1.0  # a watch that ends empty before this did not work (kubernetes #104171)
    quick_ends_before_list: int = 3  # so often in a row, and the version is taken to be stale


@dataclass(frozen=True)
class BackoffSettings:
    """How long to wait before asking again: client-go's reflector waits the same way."""

    first_seconds: float = 0.8
    factor: float = 2.0
    most_seconds: float = 30.0
    jitter: float = 0.5  # up to this share of a wait is taken off at random: collectors must not come back together
    reconnect_seconds: float = 0.05  # after a watch that did bring something: at once, but never in a busy loop


@dataclass(frozen=True)
class SpoolSettings:
    """What is kept on disk between the watch and the store."""

    segment_bytes: int = 4 << 20  # a file is closed at this size and deleted once all of it is stored
    most_bytes: int = 1 << 30  # all segments, --spool-limit: then the watch is paused until the store has caught up


@dataclass(frozen=True)
class DeliverySettings:
    """How records go from the spool to the store."""

    batch_records: int = 4_000  # a transaction: one synchronisation of the disk for so many
    retry: BackoffSettings = field(default_factory=lambda: BackoffSettings(most_seconds=5.0))  # a locked store


@dataclass(frozen=True)
class StopSettings:
    """When to give up at the start, and how long to take at the end."""

    connect_tries: int = 5  # at the start only, 6 to 12 s in all: later the collector tries for ever
    drain_seconds: float = 20.0  # after SIGTERM, for the store to take what the spool holds; kubelet kills after 30


@dataclass(frozen=True)
class Settings:
    """All of them."""

    watch: WatchSettings = field(default_factory=WatchSettings)
    backoff: BackoffSettings = field(default_factory=BackoffSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    stop: StopSettings = field(default_factory=StopSettings)
    seen_events: int = 16_384  # events remembered for de-duplication, twice over: some 7 MB
    status_seconds: float = 60.0  # between two status lines
