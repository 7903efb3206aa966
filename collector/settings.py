"""Every setting of the collector, with its unit, its default and the reason for it. Read once, at the command line."""

from dataclasses import dataclass, field

from pullstudy.kube.settings import WatchSettings
from pullstudy.pulls.backoff import Backoff
from pullstudy.pulls.metric_names import LAG_LIMIT_SECONDS


@dataclass(frozen=True)
class SpoolSettings:
    """What is kept on disk between the watch and the store."""

    segment_bytes: int = 4 << 20  # a file is closed at this size and deleted once all of it is stored
    most_bytes: int = 1 << 30  # all segments, --spool-limit: then the watch is paused until the store has caught up


@dataclass(frozen=True)
class ReconcileSettings:
    """How pods' status is held against what events reported."""

    grace_seconds: float = 60.0  # after an image came, for its event: kubelets send 50/s, and repeat for longer
    period_seconds: float = 10.0  # between two looks at what is still missing
    look_back_seconds: float = 2_700.0  # most that a start looks back: events are kept for an hour, as a rule
    shut_out_seconds: float = 300.0  # before pods that may not be read are asked for again
    containers: int = 16_384  # whose reports are remembered, twice over: some 10 MB


@dataclass(frozen=True)
class DeliverySettings:
    """How records go from the spool to the store."""

    batch_records: int = 4_000  # a transaction: one synchronisation of the disk for so many
    pause_seconds: float = 0.1  # after a write of less than small_records: those that come meanwhile share the next
    small_records: int = 400
    # A locked store.
    retry: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.8, most_seconds=5.0))


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
class TracingSettings:
    """How spans are received and made records of."""

    quiet_seconds: float = 30.0  # without a span of the trace: a pull of which something is missing is over
    kubelet_seconds: float = 120.0  # the kubelet's span comes when the pod was synchronised; exporters send every 5 s
    give_up_seconds: float = 3_600.0  # without a span of the trace: its pull never ends
    look_seconds: float = 1.0  # between two looks at what is over
    most_spans: int = 200_000  # that wait: some 200 MB; the trace that has waited longest is given up before the others
    most_bytes: int = 256 << 20  # of the journal on disk: then exporters are told to wait
    most_body_bytes: int = 16 << 20  # of one request, unpacked: 512 spans, as exporters send them, are 0.8 MB
    most_requests: int = 16  # at a time
    body_seconds: float = 30.0  # for a request to be read and kept
    retry_seconds: int = 5  # that an exporter is told to wait
    settled_pulls: int = 16_384  # remembered, so that spans that come again are known: some 4 MB
    settled_kept: int = 256  # of these across a restart: some 16 KB beside each batch of records


@dataclass(frozen=True)
class Settings:
    """All of them."""

    watch: WatchSettings = field(default_factory=WatchSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    stop: StopSettings = field(default_factory=StopSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    max_lag_seconds: float = LAG_LIMIT_SECONDS  # --max-lag: over it the collector is not ready
    seen_events: int = 16_384  # events remembered for de-duplication, twice over: some 7 MB
    status_seconds: float = 60.0  # between two status lines
