"""Spans of simulated pulls, sent as containerd sends them, and what they tell against the model's own truth."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.spans.otlp import otlp_reader
from pullstudy.pulls.spans.span import CHILD, NAMES, Span
from pullstudy.pulls.spans.stage_records import records_of
from pullstudy.sim.model.images import describe
from pullstudy.sim.model.model_file import parse_model
from pullstudy.sim.model.parameters import EKS, ModelParameters
from pullstudy.sim.tracing.traced_pulls import TracedPulls
from tests.pulls.spans.samples import ORIGIN, pull_spans
from tests.sim.conftest import IMAGE, Api, Start

OTHER = "registry.example/other:1"
MANY_LAYERS = "ghcr.io/converged-computing/container-chonks-run1:125-layers-size-1176249324-bytes"
STAGES = ("resolve", "queue", "first_byte", "transfer", "apply", "commit")
EVEN = replace(
    EKS,
    registry=replace(EKS.registry, latency_sigma=0.0),
    volume=replace(EKS.volume, sigma=0.0),
    stragglers=replace(EKS.stragglers, probability=0.0),
)


class Receiver:
    """Takes requests of spans, after it has answered with ``refusals``."""

    def __init__(self) -> None:
        self.refusals: list[int] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.refusals:
            return web.Response(status=self.refusals.pop(), headers={"Retry-After": "0"})
        self.bodies.append(body)
        return web.Response()

    @property
    def spans(self) -> list[Span]:
        read = otlp_reader()
        return [span for body in self.bodies for span in read(body).spans]

    def records(self) -> list[tuple[PullStages, list[PulledLayer]]]:
        """Of each pull, by the order of their traces' first spans."""
        by_trace: dict[str, list[Span]] = {}
        for span in self.spans:
            by_trace.setdefault(span.trace, []).append(span)
        made = [records_of(spans, ORIGIN) for spans in by_trace.values()]
        return [(records[0], records[1:]) for records in made if records]  # type: ignore[misc]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    receiving = Receiver()
    application = web.Application(client_max_size=1 << 26)
    application.add_routes([web.post("/v1/traces", receiving.take)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiving.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiving
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiving() -> AsyncIterator[Receiver]:
    async with receiver() as opened:
        yield opened


async def traced(start: Start, receiving: Receiver, **settings: Any) -> Api:
    api = await start(**settings)
    await api.post("/sim/spans", {"url": receiving.url})
    return api


async def run_and_send(api: Api, name: str = "one", **job: Any) -> None:
    await api.run_job(name, **job)
    assert (await api.post("/sim/spans/sent", {}))["dropped_bytes"] == 0


def stages_of(record: PullStages) -> dict[str, float]:
    return {name: getattr(record, f"{name}_seconds") for name in STAGES}


@pytest.mark.parametrize("image", [IMAGE, MANY_LAYERS, OTHER])
async def test_what_is_recorded_of_a_pull_is_what_the_model_did(start: Start, receiving: Receiver, image: str) -> None:
    api = await traced(start, receiving)
    await run_and_send(api, pods=4, image=image)
    truth = {row["node"]: row for row in await api.truth(outcome="pulled")}
    found = receiving.records()
    assert len(found) == len(truth) == 4
    for stages, layers in found:
        row = truth[str(stages.node)]
        assert stages_of(stages) == pytest.approx(row["stages"], abs=2e-6)
        assert sum(row["stages"].values()) == pytest.approx(stages.wall_seconds, abs=1e-6)
        assert 0 <= stages.wall_seconds - row["pull_seconds"] < 0.001  # the kubelet cuts to milliseconds
        assert (stages.complete, stages.parallel, stages.unattributed_seconds) == (True, False, 0.0)
        known = describe(image).layers
        assert [(layer.layer_digest, layer.layer_bytes) for layer in layers] == [
            (layer.digest, layer.compressed_bytes) for layer in known
        ]
        assert {(layer.requests, layer.present, layer.origin) for layer in layers} == {(1, False, "registry")}


# Slow enough to be what a pull waits for; and unpacking so fast that it hides no request.
LINK = b'{"network": {"bytes_per_second": 4e6}}'
BARE = b'{"network": {"bytes_per_second": 4e6}, "volume": {"unpack_bytes_per_second": 1e15, "commit_seconds": 0}}'


@pytest.mark.parametrize(
    ("before", "after", "stage", "seconds"),
    [
        (b"{}", b'{"registry": {"resolve_seconds": 2.46}}', "resolve", 2.0),
        (b"{}", b'{"registry": {"layer_latency_seconds": 0.595}}', "first_byte", 0.5),
        (b"{}", b'{"volume": {"commit_seconds": 0.102}}', "commit", 9 * 0.1),
        (b"{}", b'{"volume": {"unpack_bytes_per_second": 179e6}}', "apply", 1_180_511_220 / 358e6),
        (LINK, b'{"network": {"bytes_per_second": 2e6}}', "transfer", describe(OTHER).compressed_bytes / 4e6),
        (LINK, b'{"registry": {"egress_bytes_per_second": 2e6}}', "transfer", describe(OTHER).compressed_bytes / 4e6),
        (BARE, BARE[:-1] + b', "registry": {"layer_latency_seconds": 0.595}}', "first_byte", 2 * 0.5),
    ],
)
async def test_what_is_put_in_lengthens_its_stage_by_so_much_and_no_other(
    start: Start, before: bytes, after: bytes, stage: str, seconds: float
) -> None:
    image = OTHER if b"4e6" in before else IMAGE
    was, became = [await held_up(start, parse_model(text).parameters(EVEN), image) for text in (before, after)]
    grown = {name: became[name] - was[name] for name in STAGES}
    assert grown == pytest.approx({name: seconds if name == stage else 0.0 for name in STAGES}, abs=1e-5, rel=0.01)


async def held_up(start: Start, parameters: ModelParameters, image: str) -> dict[str, float]:
    async with receiver() as receiving:
        api = await traced(start, receiving, parameters=parameters)
        await run_and_send(api, pods=1, image=image)
        ((stages, _),) = receiving.records()
        return stages_of(stages)


async def test_a_slower_disk_lengthens_apply_alone(start: Start) -> None:
    """An image that the page cache does not hold: what is more is written at the volume's own rate."""
    image = IMAGE.replace("1176249324", "19034736629")
    slow = parse_model(b'{"volume": {"write_bytes_per_second": 66e6}}').parameters(EVEN)
    was, became = [await held_up(start, parameters, image) for parameters in (EVEN, slow)]
    assert became["apply"] > 1.5 * was["apply"]
    others = set(STAGES) - {"apply"}
    assert {name: became[name] for name in others} == pytest.approx({name: was[name] for name in others}, abs=0.2)


def parents(spans: Sequence[Any]) -> set[tuple[str, str]]:
    names = {span.id: span.name for span in spans}
    return {(span.name, names.get(span.parent, "")) for span in spans}


async def test_the_spans_have_the_form_of_containerds(start: Start, receiving: Receiver) -> None:
    """Names, what is below what, attributes and events: those of a real pull, as far as they tell of pulls."""
    api = await traced(start, receiving)
    await run_and_send(api, pods=1)
    real, made = pull_spans("g9"), receiving.spans
    assert parents(made) == parents(real)
    for name in {span.name for span in made}:
        ours, theirs = [[span for span in spans if span.name == name] for spans in (made, real)]
        assert len(ours) == len(theirs)
        assert keys(ours) == keys(theirs) & keys(ours)
        assert {event.name for span in ours for event in span.events} <= {
            event.name for span in theirs for event in span.events
        }
    sent = ExportTraceServiceRequest.FromString(b"".join(receiving.bodies))
    told = {span.name: span for each in sent.resource_spans for scope in each.scope_spans for span in scope.spans}
    assert set(told) == set(NAMES) & set(told)
    assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 for span in told.values())


def keys(spans: Sequence[Span]) -> set[str]:
    return {key for span in spans for key in span.attributes if not key.startswith(CHILD)}


async def test_layers_that_a_node_holds_are_told_to_be_there(start: Start, receiving: Receiver) -> None:
    api = await traced(start, receiving, nodes=1)
    await api.run_job("one", pods=1)
    await run_and_send(api, "two", pods=1, image=MANY_LAYERS)  # the lowest layer is of both
    _, (stages, layers) = receiving.records()
    assert [layer.present for layer in layers] == [True] + 124 * [False]
    assert (stages.complete, stages.requests) == (True, 124)


async def test_a_pull_that_fails_has_a_root_with_the_error(start: Start, receiving: Receiver) -> None:
    api = await traced(start, receiving)
    await api.fault("pull-fails", kind="not_found", times=1)
    await api.fault("pull-fails", kind="qps", times=1)  # never gets to the runtime
    await run_and_send(api, pods=2)
    failed = [stages for stages, _ in receiving.records() if stages.outcome is Outcome.FAILED]
    assert [stages.error for stages in failed] == [
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
    ]
    assert len(receiving.records()) == 3


async def test_the_node_tells_by_its_own_clock(start: Start, receiving: Receiver) -> None:
    api = await traced(start, receiving)
    await api.fault("clock-skew", node="*", seconds=3600)
    await run_and_send(api, pods=1)
    ((stages, _),) = receiving.records()
    assert (stages.started_at.hour, stages.started_at.minute) == (1, 0)


async def test_the_same_seed_gives_the_same_spans_and_they_change_no_pull(start: Start) -> None:
    sent = []
    for _ in range(2):
        async with receiver() as receiving:
            api = await traced(start, receiving)
            await run_and_send(api, pods=4)
            sent.append((b"".join(receiving.bodies), await api.truth()))
    assert sent[0] == sent[1]
    untraced = await start()
    await untraced.run_job("one", pods=4)
    unstaged = [{**row, "stages": None} for row in sent[0][1]]
    assert json.dumps(await untraced.truth()) == json.dumps(unstaged)


async def test_lost_spans_leave_a_pull_incomplete(start: Start, receiving: Receiver) -> None:
    api = await traced(start, receiving)
    await api.fault("lose-spans", name="*.fetchLayer", times=1)
    await run_and_send(api, pods=1)
    ((stages, _),) = receiving.records()
    assert stages.complete is False
    await api.fault("lose-spans", name="runtime.*")
    receiving.bodies.clear()
    await run_and_send(api, "two", pods=1, image=MANY_LAYERS)
    assert (bool(receiving.spans), receiving.records()) == (True, [])


async def test_doubled_and_late_spans_give_the_same_records(start: Start) -> None:
    found = []
    for faults in ((), ({"fault": "double-spans", "probability": 0.5}, {"fault": "delay-spans", "seconds": 30})):
        async with receiver() as receiving:
            api = await traced(start, receiving)
            await api.post("/sim/faults", list(faults))
            await run_and_send(api, pods=2)
            await api.quiet()
            await api.post("/sim/spans/sent", {})
            found.append((len(receiving.spans), receiving.records()))
    (few, undisturbed), (many, disturbed) = found
    assert many > few
    assert sorted(map(repr, disturbed)) == sorted(map(repr, undisturbed))


async def test_cut_spans_lack_what_their_last_events_tell(start: Start, receiving: Receiver) -> None:
    api = await traced(start, receiving)
    await api.fault("cut-spans", events=128)
    await run_and_send(api, pods=1, image=MANY_LAYERS)
    ((stages, layers),) = receiving.records()
    assert sum(layer.commit_seconds is not None for layer in layers) == 64
    assert stages.commit_seconds is None
    assert stages.wall_seconds == pytest.approx(sum(v for v in stages_of(replaced(stages)).values()), abs=1e-6)


def replaced(stages: PullStages) -> PullStages:
    """Unknown as nothing: another stage holds it."""
    from msgspec.structs import asdict
    from msgspec.structs import replace as changed

    return changed(stages, **{name: 0.0 for name, value in asdict(stages).items() if value is None and "_sec" in name})


async def test_a_receiver_that_asks_for_patience_is_asked_again(start: Start, receiving: Receiver) -> None:
    receiving.refusals = [503, 429]
    api = await traced(start, receiving)
    await run_and_send(api, pods=2)
    assert (receiving.refusals, len(receiving.records())) == ([], 2)


async def test_what_a_receiver_can_never_take_is_dropped_and_counted(start: Start, receiving: Receiver) -> None:
    receiving.refusals = [400]
    api = await traced(start, receiving)
    await api.run_job("one", pods=2)
    assert (await api.post("/sim/spans/sent", {}))["dropped_bytes"] > 0
    assert receiving.records() == []


async def test_without_an_address_nothing_is_made(api: Api) -> None:
    await api.run_job("one", pods=2)
    assert [row["stages"] for row in await api.truth()] == [None, None]


def test_of_images_of_many_layers_fewer_nodes_tell_and_always_the_same() -> None:
    nodes = [f"n{place}" for place in range(256)]

    def telling(most_layers: int | None, image: str, seed: int = 1) -> list[str]:
        traced = TracedPulls(most_layers, nodes, seed)
        return [node for node in nodes if traced.covers(node, describe(image))]

    assert len(telling(None, MANY_LAYERS)) == 256
    assert len(telling(384, IMAGE)) == 42
    assert len(telling(384, MANY_LAYERS)) == 3
    assert len(telling(100, MANY_LAYERS)) == 3
    assert telling(384, IMAGE) == telling(384, IMAGE) != telling(384, IMAGE, seed=2)
