"""Lists inside watches: the rules alone. What the collector makes of them is in tests/collector/test_watch_list.py."""

import json

from pullstudy.kube.errors import Status
from pullstudy.kube.watch_protocol import StreamList, Take, Watch, WatchProtocol
from pullstudy.pulls.pod import Metadata
from tests.collector.api_server import initial_end


def added(version: str) -> tuple[str, Metadata]:
    return "ADDED", Metadata(resource_version=version)


def listing() -> WatchProtocol:
    protocol = WatchProtocol("40", "uid", streaming=True)
    protocol.identified("uid")
    protocol.refused(Status(410, "too old"), Watch("40"))
    protocol.identified("uid")
    assert protocol.next_step().request == StreamList()
    return protocol


def test_only_the_bookmark_with_its_annotation_ends_the_list() -> None:
    protocol = listing()
    assert [protocol.line(*added(version)) for version in ("99", "55")] == [Take.CHANGED, Take.CHANGED]
    assert protocol.line("BOOKMARK", Metadata(resource_version="100")) is Take.NOTHING
    assert (protocol.version, protocol.listing) == ("40", True)
    end = json.loads(initial_end(101))
    annotated = Metadata(resource_version="101", annotations=end["object"]["metadata"]["annotations"])
    assert protocol.line("BOOKMARK", annotated) is Take.LISTED
    relisted = protocol.take_relisted()
    assert (relisted.version, relisted.gap_from) == ("101", "40")
    assert protocol.line(*added("102")) is Take.CHANGED
    assert protocol.version == "102"


def test_a_list_that_fails_again_and_again_is_asked_for_ever_more_slowly() -> None:
    protocol = listing()
    failures = []
    for _ in range(3):
        protocol.line(*added("99"))
        protocol.broken(protocol.open_request, quick=True)
        failures.append(protocol.failures)
        protocol.identified("uid")
    assert failures == sorted(failures)
    assert protocol.next_step().request == StreamList()
