"""``kubectl describe pod`` as text: a pod's events, whose times are ages. Pure.

An age is counted back from when kubectl was run, which the text does not say, and is as fine as its last unit: seconds
to ten minutes, minutes to eight hours, hours to eight days. What came a second within that is not told. The table names
no event, so an event's identity is made of the pod (its name, namespace and start time), the reason and the message.

Sources: kubernetes ``kubectl/pkg/describe/describe.go`` (describePod, DescribeEvents); apimachinery
``util/duration/duration.go`` (HumanDuration).
"""

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import msgspec

from pullstudy.pulls.decode import Decoded
from pullstudy.pulls.event import Event, EventSource, Metadata, ObjectReference
from pullstudy.pulls.pod_owner import OwnerReference

BEGINS = re.compile(rb"Name:\s+\S")
NO_TIME = "kubectl describe tells ages: say by --as-of when it was run, or take kubectl get events -o json"
NO_POD = "kubectl describe of something else than a pod: its events are not read"
NO_TABLE = "kubectl describe without its events, or with a table of another form: take kubectl get events -o json"

_UNITS = {"y": 365 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_AGE = re.compile(r"(?:(\d{1,4})y)?(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?")
_SECONDS_TOLD_UNTIL = 10 * 60  # below, an age has its seconds where they are not 0; so with the minutes
_MINUTES_TOLD_UNTIL = 8 * 3_600
_HOURS_TOLD_UNTIL = 8 * 86_400
_DAYS_TOLD_UNTIL = 8 * 365 * 86_400
_HEADER = re.compile(r"  Type +Reason +Age +From +Message\s*")
_COLUMNS = ("Type", "Reason", "Age", "From", "Message")
_TYPES = ("Normal", "Warning")
_SEEN = re.compile(r"(\S+)(?: \(x(\d{1,9}) over \S+\))?")
_FIELD = re.compile(r"([A-Z][A-Za-z ]*):\s*(.*)")
_CONTAINER = re.compile(r"  (\S+):")
_IMAGE = re.compile(r"    Image:\s+(\S+)")
_CONTAINERS = ("Containers", "Init Containers", "Ephemeral Containers")
_CONTAINER_NAMED = re.compile(r"(?:Created container:?|Started container) (\S+)")
_IMAGE_QUOTED = re.compile(r'"([^"]+)"')
_MOST_CONTAINERS = 1_000
_MOST_TIMES = (1 << 31) - 1  # the API counts in 32 bits
_LONGEST_MESSAGE = 64 << 10


class DescribedEvent(msgspec.Struct, frozen=True):
    """An event as the API would have it, where it stood, and how fine its time is."""

    line: int
    event: Event
    text: bytes
    resolution_seconds: float


def age_seconds(text: str) -> tuple[int, int] | None:
    """An age and how fine it is, in seconds: the age is at least the first, and by less than the second more."""
    match = _AGE.fullmatch(text)
    if match is None or not text:
        return None
    age = sum(int(told or 0) * unit for told, unit in zip(match.groups(), _UNITS.values(), strict=True))
    return age, _fineness(age)


def _fineness(age: int) -> int:
    if age < _SECONDS_TOLD_UNTIL:
        return 1
    if age < _MINUTES_TOLD_UNTIL:
        return 60
    if age < _HOURS_TOLD_UNTIL:
        return 3_600
    return 86_400 if age < _DAYS_TOLD_UNTIL else 365 * 86_400


class _Row(msgspec.Struct):
    """A row of the table; the message may go on in lines of their own."""

    line: int
    reason: str
    seen: str
    component: str
    message: str


class DescribedPod:
    """One pod's description, given line by line."""

    def __init__(self, as_of: datetime) -> None:
        """``as_of`` is when kubectl was run."""
        self._as_of = as_of.replace(microsecond=0)  # the API's times of events have whole seconds
        self._fields: dict[str, str] = {}
        self._section = self._container = ""
        self._images: dict[str, str] = {}  # by container
        self._starts: list[int] = []  # of the table's columns
        self._row: _Row | None = None
        self._alike = Counter[str]()

    def add(self, number: int, line: bytes) -> DescribedEvent | None:
        """The event that the line before has ended, where one has."""
        text = line.decode(errors="replace").rstrip()
        if self._starts:
            return self._add_to_table(number, text)
        field = _FIELD.fullmatch(text)
        if field is not None:
            self._section = field[1]
            self._fields.setdefault(field[1], field[2])
        elif self._section in _CONTAINERS:
            self._add_to_containers(text)
        elif self._section == "Events" and _HEADER.fullmatch(text):
            self._starts = [text.index(name) for name in _COLUMNS]
        return None

    @property
    def is_pod(self) -> bool:
        """Whether it is a pod's: others have no containers at the margin, and no start."""
        return {"Containers", "Node", "Events"} <= self._fields.keys()

    @property
    def reads_events(self) -> bool:
        """Whether its table, where there is one, is of the form of this module."""
        return bool(self._starts) or self._fields.get("Events") == "<none>"

    def end(self) -> DescribedEvent | None:
        """The last event."""
        row, self._row = self._row, None
        return self._event(row) if row is not None else None

    def _add_to_containers(self, text: str) -> None:
        if (named := _CONTAINER.fullmatch(text)) is not None:
            self._container = named[1]
        elif (image := _IMAGE.fullmatch(text)) is not None and len(self._images) < _MOST_CONTAINERS:
            self._images.setdefault(self._container, image[1])

    def _add_to_table(self, number: int, text: str) -> DescribedEvent | None:
        cells = [text[start:end].strip() for start, end in pairwise((*self._starts, None))]
        kind, reason, seen, component, message = cells
        if kind in _TYPES and reason and _SEEN.fullmatch(seen):
            ended = self.end()
            self._row = _Row(number, reason, seen, component, message)
            return ended
        if self._row is not None and text and len(self._row.message) < _LONGEST_MESSAGE:
            self._row.message += f"\n{text}"
        return None

    def _event(self, row: _Row) -> DescribedEvent:
        seen = _SEEN.fullmatch(row.seen)
        assert seen is not None  # a row has one
        at, fineness = self._time(seen[1])
        pod, namespace = self._fields["Name"], self._fields.get("Namespace") or None
        container = self._container_of(row)
        node = self._fields.get("Node", "").partition("/")[0]
        event = Event(
            metadata=Metadata(namespace=namespace, uid=self._identity(row)),
            involved_object=ObjectReference(
                kind="Pod",
                namespace=namespace,
                name=pod,
                field_path=f"spec.containers{{{container}}}" if container else None,
                owner_references=self._owners(),
            ),
            reason=row.reason,
            message=row.message,
            source=EventSource(row.component, node if row.component == "kubelet" and node != "<none>" else None),
            last_timestamp=at,
            count=min(int(seen[2] or 1), _MOST_TIMES),
        )
        return DescribedEvent(row.line, event, row.message.encode(), fineness)

    def _time(self, told: str) -> tuple[str | None, float]:
        """The earliest that the event can have been, as the API writes it; None where no age is told."""
        age = age_seconds(told)
        if age is None:
            return None, 1.0
        seconds, fineness = age
        try:
            return (self._as_of - timedelta(seconds=seconds + fineness - 1)).isoformat(), float(fineness)
        except OverflowError:  # before the year 1
            return None, 1.0

    def _container_of(self, row: _Row) -> str | None:
        if (named := _CONTAINER_NAMED.match(row.message)) is not None:
            return named[1]
        image = _IMAGE_QUOTED.search(row.message)
        of_image = [name for name, each in self._images.items() if image is not None and each == image[1]]
        known = of_image or list(self._images)
        return known[0] if len(known) == 1 and row.component == "kubelet" else None

    def _owners(self) -> list[OwnerReference] | None:
        kind, slash, name = self._fields.get("Controlled By", "").partition("/")
        return [OwnerReference(kind, name)] if slash else None

    def _identity(self, row: _Row) -> str:
        """The same whenever kubectl was run: without the age. The start tells pods of one name apart."""
        pod = [self._fields["Name"], self._fields.get("Namespace", ""), self._started()]
        text = "\0".join([*pod, row.reason, row.component, row.message])
        self._alike[text] += 1
        if self._alike[text] > 1:  # two containers of one image
            text += f"\0{self._alike[text]}"
        return f"described:{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:32]}"

    def _started(self) -> str:
        told = self._fields.get("Start Time", "")
        try:
            return parsedate_to_datetime(told).astimezone(UTC).isoformat()
        except (ValueError, TypeError, OverflowError, IndexError):
            return told


def coarsened(decoded: Decoded, resolution_seconds: float | None) -> Decoded:
    """With its times as fine as they are known: a pull has none that is rougher than a second, its moment says how fine
    it is. None: as they were decoded."""
    if resolution_seconds is None or resolution_seconds <= 1:
        return decoded
    return msgspec.structs.replace(
        decoded,
        pulls=tuple(msgspec.structs.replace(pull, started_at=None, finished_at=None) for pull in decoded.pulls),
        milestones=tuple(
            msgspec.structs.replace(each, resolution_seconds=resolution_seconds) for each in decoded.milestones
        ),
    )
