"""Every setting of the collector, with its unit, its default and the reason for it. Read once, at the command line."""

from dataclasses import dataclass, field

from pullstudy.pulls.metric_names import LAG_LIMIT_SECONDS


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
    pause_seconds: float = 0.05  # after a read that brought less than small_bytes: events that come one by one share
    small_bytes: int = 16_384  # a synchronisation of the disk, which costs more than to read them
    streaming_list: bool = True  # lists inside watches, where the server has them: no pages that can expire
    list_silence_seconds: float = 30.0  # in one of those, before its end: then the server does not know them
    quick_seconds: float = 1.0  # a watch that ends empty before this did not work (kubernetes #104171)
    quick_ends_before_list: int = 3  # so often in a row, and the version is taken to be stale


@dataclass(frozen=True)
class BackoffSettings:
    """How long to wait before asking again: client-go's reflector waits the same way."""

    first_seconds: float = 0.8
    factor: float = 2.0
    most_seconds: float = 30.0
    jitter: float = 0.5  # up to this share of a wait is taken off at random: collectors must not come back together
    most_retry_after_seconds: float = 600.0  # of what a server asks for: a slip in it must not end the watch
    reconnect_seconds: float = 0.05  # after a watch that did bring something: at once, but never in a busy loop


@dataclass(frozen=True)
class SpoolSettings:
    """What is kept on disk between the watch and the store."""

    segment_bytes: int = 4 << 20  # a file is closed at this size and deleted once all of it is stored
    most_bytes: int = 1 << 30  # all segments, --spool-limit: then the watch is paused until the store has caught up


@dataclass(frozen=True)
class ReconcileSettings:
    """How pods' status is held against what events told."""

    grace_seconds: float = 60.0  # after an image came, for its event: kubelets send 50/s, and repeat for longer
    period_seconds: float = 10.0  # between two looks at what is still missing
    look_back_seconds: float = 2_700.0  # most that a start looks back: events are kept for an hour, as a rule
    shut_out_seconds: float = 300.0  # before pods that may not be read are asked for again
    containers: int = 16_384  # remembered as told, twice over: some 10 MB


@dataclass(frozen=True)
class DeliverySettings:
    """How records go from the spool to the store."""

    batch_records: int = 4_000  # a transaction: one synchronisation of the disk for so many
    pause_seconds: float = 0.1  # after a write of less than small_records: those that come meanwhile share the next
    small_records: int = 400
    retry: BackoffSettings = field(default_factory=lambda: BackoffSettings(most_seconds=5.0))  # a locked store


@dataclass(frozen=True)
class StopSettings:
    """When to give up at the start, and how long to take at the end: ``within_seconds`` all in all.

    The shares are for the worst case, Kafka and InfluxDB both dead: the spool drains, then the sink beside it, then
    clients close, one of them perhaps while it was being opened. A tenth is left over for cutting off what hangs.
    """

    connect_tries: int = 5  # at the start only, 6 to 12 s in all: later the collector tries for ever
    within_seconds: float = 25.0  # --stop-within, after SIGTERM: kubelet kills after 30 s

    def drain_seconds(self, *, sink_follows: bool) -> float:
        """For the store or the bus to take what the spool holds; less where a sink in this process drains after it."""
        return (0.4 if sink_follows else 0.6) * self.within_seconds

    @property
    def sink_drain_seconds(self) -> float:
        """For the sink beside a collector to store what is under way."""
        return 0.2 * self.within_seconds

    @property
    def sink_alone_drain_seconds(self) -> float:
        """The same for a process that is nothing but a sink."""
        return 0.6 * self.within_seconds

    @property
    def close_seconds(self) -> float:
        """For a client of Kafka to take its leave: with dead brokers it would wait for ever."""
        return 0.1 * self.within_seconds


@dataclass(frozen=True)
class Settings:
    """All of them."""

    watch: WatchSettings = field(default_factory=WatchSettings)
    backoff: BackoffSettings = field(default_factory=BackoffSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    stop: StopSettings = field(default_factory=StopSettings)
    max_lag_seconds: float = LAG_LIMIT_SECONDS  # --max-lag: over it the collector is not ready
    seen_events: int = 16_384  # events remembered for de-duplication, twice over: some 7 MB
    status_seconds: float = 60.0  # between two status lines
