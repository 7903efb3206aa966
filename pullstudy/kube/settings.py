"""How the API server is asked: each with its unit, its default and the reason for it."""

from dataclasses import dataclass, field

from pullstudy.pulls.backoff import Backoff


@dataclass(frozen=True)
class WatchSettings:
    """Of lists and watches, and of the requests beside them."""

    page_items: int = 500  # objects a page of a list; client-go's default, of events some 500 kB
    timeout_min_seconds: float = 300.0  # of one watch, drawn at random up to the maximum,
    timeout_max_seconds: float = 600.0  # so that no watch hangs for ever and many clients do not reconnect at once
    deadline_margin_seconds: float = 30.0  # beyond the watch's time-out: then the connection is dead, FIN or no FIN
    request_seconds: float = 60.0  # for a whole answer that is no watch; the API server itself gives up after 60
    connect_seconds: float = 10.0  # for the TCP and TLS handshake
    answer_bytes: int = 8 << 20  # of an answer that is no watch: a page that is longer is asked for in fewer objects
    chunk_bytes: int = 1 << 20  # read at a time: some 900 events, decoded, spooled and synchronised together
    pause_seconds: float = 0.1  # after a read that brought less than small_bytes: events that come one by one share
    small_bytes: int = 65_536  # a synchronisation of the disk, which costs more than to read them
    streaming_list: bool = True  # lists inside watches, where the server has them: no pages that can expire
    list_silence_seconds: float = 30.0  # in one of those, before its end: then the server does not know them
    quick_seconds: float = 1.0  # a watch that ends empty before this did not work (kubernetes #104171)
    quick_ends_before_list: int = 3  # so often in a row, and the version is taken to be stale
    reconnect_seconds: float = 0.05  # after a watch that did bring something: at once, but never in a busy loop
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.8))  # as client-go's reflector waits
    most_retry_after_seconds: float = 600.0  # of what a server asks for: a slip in it must not end the watch
