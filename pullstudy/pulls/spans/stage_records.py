"""The records of a pull from its spans: its stages, and its layers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pullstudy.pulls.decode import Origin
from pullstudy.pulls.image import ImageReference, parse_image, registry_of
from pullstudy.pulls.kind import Record
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import LayerOrigin, PulledLayer
from pullstudy.pulls.record import Outcome
from pullstudy.pulls.spans.held_up import HeldUp, held_up
from pullstudy.pulls.spans.layer_spans import Interval, LayerSpans, Manifest, Request, layers_of, manifest_of
from pullstudy.pulls.spans.layer_steps import Step, Turns, steps_of, turns_of
from pullstudy.pulls.spans.pull_trace import PullTrace, pull_traces
from pullstudy.pulls.spans.span import HANDLER, REQUEST, UNPACK, Span
from pullstudy.pulls.stage import LAYER_STAGES, Stage, StageWitness

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = {stage: (f"{stage}_at", f"{stage}_seconds") for stage in LAYER_STAGES}
_LOOPBACK = ("127.", "localhost", "[::1]")


def records_of(spans: Iterable[Span], origin: Origin) -> list[Record]:
    """Of the pulls in the spans of one trace: one PullStages each, and its layers. Without a pull's root none.

    The same spans in another order, some of them twice, give the same records.
    """
    return [record for trace in pull_traces(spans) for record in records_of_pull(trace, origin)]


def pull_name(root: Span) -> str:
    """Names the pull, whoever reads its spans and however often."""
    return f"{root.trace}/{root.id}"


def records_of_pull(trace: PullTrace, origin: Origin) -> list[Record]:
    """A PullStages, and a PulledLayer for each of its layers."""
    manifest = manifest_of(trace)
    layers = layers_of(trace, manifest)
    turns = turns_of(layers)
    steps = [steps_of(layer, turns) for layer in layers]
    wall = (trace.root.start, trace.root.end)
    held = held_up(wall, _resolve(trace), steps, _finish(trace, layers, manifest))
    image = _image(trace)
    pull = pull_name(trace.root)
    stages = _stages(trace, origin, pull, image, manifest, layers, turns, held)
    made = [
        _layer(layer, way, nanoseconds, trace, origin, pull, image)
        for layer, way, nanoseconds in zip(layers, steps, held.by_layer, strict=True)
    ]
    return [stages, *made]


def _resolve(trace: PullTrace) -> Interval | None:
    """Until unpacking begins; where that was not seen, as long as manifest or config were seen to be asked for."""
    unpack = _unpack(trace)
    if unpack is not None:
        return (trace.root.start, unpack.start)
    layers = {span.id for span in trace.spans if "layer.media.digest" in span.attributes}
    ends = [
        span.end
        for span in trace.spans
        if span.name == HANDLER or (span.name == REQUEST and "/manifests/" in _url(span) and span.parent not in layers)
    ]
    return (trace.root.start, max(ends)) if ends else None


def _url(span: Span) -> str:
    return span.attributes.get("url.full") or span.attributes.get("http.url", "")


def _unpack(trace: PullTrace) -> Span | None:
    return next((span for span in trace.spans if span.name == UNPACK), None)


def _finish(trace: PullTrace, layers: Sequence[LayerSpans], manifest: Manifest | None) -> Interval | None:
    top = layers[-1] if layers else None
    if manifest is not None and top is not None and top.unpack and top.position == len(manifest.layers) - 1:
        return (top.unpack[1], trace.root.end)
    unpack = _unpack(trace)
    return (unpack.end, trace.root.end) if unpack is not None else None


def _image(trace: PullTrace) -> str | None:
    named = (span.attributes.get("image.ref") for span in (trace.root, *trace.spans))
    return next((name for name in named if name), None)


def _stages(
    trace: PullTrace,
    origin: Origin,
    pull: str,
    image: str | None,
    manifest: Manifest | None,
    layers: Sequence[LayerSpans],
    turns: Turns,
    held: HeldUp,
) -> PullStages:
    root, reference = trace.root, _reference(image)
    pod = trace.pod.attributes if trace.pod is not None else {}
    sizes = [layer.size for layer in layers]
    sure = manifest is not None and len(layers) == len(manifest.layers)
    unpacked = [layer for layer in layers if layer.unpack is not None]
    return PullStages(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=root.node,
        namespace=pod.get("k8s.namespace.name"),
        pod=pod.get("k8s.pod.name"),
        pod_uid=pod.get("k8s.pod.uid"),
        image=image,
        repository=reference.repository if reference else None,
        tag=reference.tag if reference else None,
        digest=(manifest.digest if manifest else None) or (reference.digest if reference else None),
        outcome=Outcome.FAILED if root.error is not None else Outcome.PULLED,
        error=root.error or None,
        started_at=_time(root.start),
        finished_at=_time(root.end),
        wall_seconds=max(0, root.end - root.start) / 1e9,
        **_seconds(_told_apart(held.by_stage, layers)),
        layers=len(manifest.layers) if manifest else len(layers) or None,
        layer_bytes=sum(size for size in sizes if size is not None) if sure and None not in sizes else None,
        requests=sum(len(layer.requests) for layer in layers),
        retries=sum(_retries(layer.requests) for layer in layers),
        parallel=turns.parallel if len(unpacked) > 1 else None,
        complete=trace.whole and sure and all(map(_is_whole, layers)),
        witness=StageWitness.SPANS,
        trace=root.trace,
        pull=pull,
    )


def _is_whole(layer: LayerSpans) -> bool:
    return layer.unpack is not None and (layer.present is True or (layer.fetch is not None and bool(layer.requests)))


def _told_apart(by_stage: dict[Stage, int], layers: Sequence[LayerSpans]) -> dict[Stage, int | None]:
    """A stage that was not seen of each layer that has it is in the one beside it: a part of it would mislead."""
    told: dict[Stage, int | None] = dict(by_stage)
    if any(layer.requests and layer.answered is None for layer in layers):
        told |= {Stage.FIRST_BYTE: None, Stage.TRANSFER: by_stage[Stage.TRANSFER] + by_stage[Stage.FIRST_BYTE]}
    if any(layer.unpack and layer.applied is None and layer.present is not True for layer in layers):
        parts = (Stage.PREPARE, Stage.APPLY, Stage.COMMIT)
        told |= {Stage.PREPARE: None, Stage.COMMIT: None, Stage.APPLY: sum(by_stage[stage] for stage in parts)}
    return told


def _seconds(by_stage: dict[Stage, int | None]) -> dict[str, float]:
    """By column; unknown is left out."""
    return {f"{stage}_seconds": taken / 1e9 for stage, taken in by_stage.items() if taken is not None}


def _layer(
    layer: LayerSpans, way: Sequence[Step], held: int, trace: PullTrace, origin: Origin, pull: str, image: str | None
) -> PulledLayer:
    reference = _reference(image)
    first = layer.requests[0] if layer.requests else None
    return PulledLayer(
        cluster=origin.cluster,
        run=origin.run,
        size=origin.size,
        node=trace.root.node,
        image=image,
        repository=reference.repository if reference else None,
        position=layer.position,
        layer_digest=layer.digest,
        repeat=layer.repeat,
        media_type=layer.media_type,
        layer_bytes=layer.size,
        **_times(way),
        held_seconds=held / 1e9,
        finished_at=_time(max(step.end for step in way)) if way else None,
        requests=len(layer.requests),
        retries=_retries(layer.requests),
        origin=_origin(first, reference),
        host=first.host if first else None,
        present=layer.present,
        witness=StageWitness.SPANS,
        pull=pull,
    )


def _times(way: Sequence[Step]) -> dict[str, Any]:
    """Start and seconds of each stage, by column; of several stretches the first one's start and all seconds."""
    times: dict[str, Any] = {}
    lasted: dict[str, int] = {}
    for step in way:
        if step.stage in _COLUMNS:
            at, seconds = _COLUMNS[step.stage]
            times.setdefault(at, _time(step.start))
            lasted[seconds] = lasted.get(seconds, 0) + step.end - step.start
    return times | {seconds: nanoseconds / 1e9 for seconds, nanoseconds in lasted.items()}


def _retries(requests: Sequence[Request]) -> int:
    return sum(request.failed for request in requests[:-1])


def _origin(first: Request | None, image: ImageReference | None) -> LayerOrigin | None:
    if first is None or first.host is None or image is None:
        return None
    if not first.mirrored and _same_host(first.host, registry_of(image.repository)):
        return LayerOrigin.REGISTRY
    return LayerOrigin.PEER if first.host.startswith(_LOOPBACK) else LayerOrigin.MIRROR


def _same_host(asked: str, registry: str) -> bool:
    return asked == ("registry-1.docker.io" if registry == "docker.io" else registry)


def _reference(image: str | None) -> ImageReference | None:
    return parse_image(image) if image else None


def _time(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)
