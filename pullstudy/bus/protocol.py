"""The edge to whatever carries records from collectors to stores, and the values that cross it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pullstudy.bus.trouble import Trouble
from pullstudy.pulls.batch import Batch


class BusError(Exception):
    """The bus cannot be used. ``str()`` is one line that says what to do."""


class BusSettingsError(BusError):
    """A setting is missing or makes no sense: wrong use, not a server that is away."""


@dataclass(frozen=True)
class Message:
    """One record on its way. ``offset`` counts up within the partition."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    sent_at_seconds: float | None = None  # by the sender's clock, since 1970; None where the bus does not keep it

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True)
class Lost:
    """Offsets that were there once, had not been read by the group, and are gone: first to last, both included.

    ``last`` is None where it cannot be known, because the partition was made anew.
    """

    topic: str
    partition: int
    first: int
    last: int | None
    why: str  # one line


@dataclass(frozen=True)
class Parcel:
    """What a consumer took in one go. Empty is possible: nothing came in time."""

    messages: tuple[Message, ...] = ()
    lost: tuple[Lost, ...] = ()
    generation: int = 0  # of the consumer's share of the partitions; of its own count

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """By topic and partition, where to go on: the last offset and one."""
        behind = {(lost.topic, lost.partition): lost.last + 1 for lost in self.lost if lost.last is not None}
        # The messages of a partition are in order, so the last one wins.
        return behind | {(each.topic, each.partition): each.offset + 1 for each in self.messages}


@dataclass(frozen=True)
class DeadLetter:
    """What cannot be carried, read or stored: kept whole, with the reason, for a person to look at."""

    reason: str  # one line
    value: bytes  # the message's, as it is or would have been
    key: bytes | None = None
    source: str = ""  # the place of the message; empty where it never had one


@dataclass(frozen=True)
class Published:
    """What became of a batch: sent and dead together are all of it, durably."""

    sent: int
    dead: int = 0


@dataclass
class SendCounters:
    """Since the start."""

    messages: int = 0  # acknowledged
    sent_bytes: int = 0  # of values, before compression, repeats included
    repeats: int = 0  # messages sent again
    rebuilt: int = 0  # producers


@dataclass
class TakeCounters:
    """Since the start."""

    messages: int = 0
    taken_bytes: int = 0  # of values
    rebalances: int = 0
    commits: int = 0
    commits_failed: int = 0
    lost_ranges: int = 0
    rebuilt: int = 0  # consumers


class Consumer(Protocol):
    """A member of a consumer group, with a share of the partitions that may change at any time.

    One call of take() at a time.
    """

    async def take(self, most_messages: int, most_bytes: int, wait_seconds: float) -> Parcel:
        """The next messages: at most so many, and not many bytes more; waits that long for the first one."""
        ...

    async def commit(self, parcel: Parcel) -> bool:
        """All of the parcel is stored: the group goes on behind it.

        False where the partitions have another owner by now, or the bus did not answer: then it comes again.
        """
        ...

    async def close(self) -> None:
        """Give the share back. Ends within a limit, whatever the bus does."""
        ...


class Bus(Protocol):
    """Carries each record at least once, a node's in order."""

    async def publish(self, batch: Batch) -> Published:
        """On return all of it is durable: as messages, or as dead letters. Waits for the bus for ever."""
        ...

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """On return the dead letters are durable. Waits for the bus for ever."""
        ...

    async def consume(self, group: str) -> Consumer:
        """Join the group."""
        ...

    async def close(self) -> None:
        """Ends within a limit, whatever the bus does: what publish() did not return for may not be there."""
        ...


class GroupMember(Consumer, Protocol):
    """A consumer of a bus on servers, which can be looked at."""

    @property
    def trouble(self) -> Trouble: ...

    @property
    def counters(self) -> TakeCounters: ...

    @property
    def connected(self) -> bool:
        """Whether it has a part in the group."""
        ...

    async def lag(self) -> dict[tuple[str, int], int] | None:
        """By topic and partition, messages that the group has still to take; None where that cannot be known now."""
        ...


class SharedBus(Bus, Protocol):
    """A bus on servers, which can be looked at."""

    @property
    def trouble(self) -> Trouble: ...

    @property
    def counters(self) -> SendCounters: ...

    async def consume(self, group: str) -> GroupMember: ...
