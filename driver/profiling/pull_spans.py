"""A profiled pull as a trace: for the Gantt picture, and for Perfetto."""

from pullstudy.analysis.reading.pull_insides import PullInside
from pullstudy.analysis.traces.inside_spans import inside_spans, links_to_runtime
from pullstudy.analysis.traces.span import Span, Trace, known
from pullstudy.analysis.traces.unix_time import since_1970
from pullstudy.pulls.image import parse_image
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.trace_identity import span_id, trace_id

PULL = "pull"
_CONTAINER = "profile"


def pull_trace(stages: PullStages, layers: tuple[PulledLayer, ...], number: int) -> Trace:
    """The pull, and below it resolve, its layers with their stages, and finish. ``number`` is that of the repeat."""
    identity = trace_id(cluster=stages.cluster, pod_uid=stages.pull, namespace=None, pod="", container=_CONTAINER)
    inside = PullInside(stages, tuple(sorted(layers, key=lambda layer: (layer.position or 0, layer.repeat))))
    own = span_id(identity, PULL, stages.pull)
    told = known({"pullstudy.image": stages.image, "pullstudy.layer_bytes": stages.layer_bytes})
    whole = Span(
        PULL,
        own,
        None,
        since_1970(stages.started_at),
        since_1970(stages.finished_at),
        told,
        links=links_to_runtime(inside),
    )
    return Trace(
        trace_id=identity,
        cluster=stages.cluster,
        node=stages.node,
        pod=_short(stages.image or "image"),
        container=f"pull {number}",
        image=stages.image,
        resource={},
        spans=(whole, *inside_spans(identity, own, inside)),
    )


def _short(image: str) -> str:
    """What is behind the last slash, with the tag."""
    reference = parse_image(image)
    name = reference.repository.rpartition("/")[2]
    return f"{name}:{reference.tag}" if reference.tag else name
