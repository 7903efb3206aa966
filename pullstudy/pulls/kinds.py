"""The table of kinds: every kind of record there is. A new one is a struct, a row here, and what makes its records."""

from typing import Any

from pullstudy.pulls.batch import Gap, Reject
from pullstudy.pulls.discard import Discard
from pullstudy.pulls.kind import Kind
from pullstudy.pulls.milestone import Milestone
from pullstudy.pulls.pull_stages import PullStages
from pullstudy.pulls.pulled_layer import PulledLayer
from pullstudy.pulls.record import PullRecord
from pullstudy.pulls.streaming import Streaming

PULL = Kind(
    name="pull",
    plural="pulls",
    struct=PullRecord,
    meaning="one pull: an attempt of one kubelet to make one image present for one container",
    identity=("cluster", "event_uid", "count"),
    time="finished_at",
    tags=("cluster", "outcome", "run", "size"),
    order=("finished_at", "event_uid", "count"),
    # Not the cluster: it is a tag, so that points of two clusters never meet, and those of older versions stay theirs.
    point_hash=("event_uid", "count"),
    lanes=True,
    first_tags=("cluster", "node", "outcome", "repository", "run", "size"),
    main=True,
)
MILESTONE = Kind(
    name="milestone",
    plural="milestones",
    struct=Milestone,
    meaning="one moment of a pod's or job's life",
    identity=("cluster", "event_uid", "count", "moment"),
    time="at",
    tags=("cluster", "moment", "run", "size"),
    order=("at", "event_uid", "count", "moment"),
    point_hash=("event_uid", "count", "moment"),
    lanes=True,
    first_tags=("cluster", "moment", "node", "run", "size"),
)
REJECT = Kind(
    name="reject",
    plural="rejects",
    struct=Reject,
    meaning="one input that could not be understood, kept whole",
    identity=("cluster", "source", "position", "problem", "raw"),  # two who see the same see it at two times
    time="at",
    tags=("cluster",),
    order=("source", "position"),
)
GAP = Kind(
    name="gap",
    plural="gaps",
    struct=Gap,
    meaning="one stretch of the event stream, or of the bus, that nobody read",
    identity=("cluster", "from_version", "to_version", "found_at", "why"),
    time="found_at",
    tags=("cluster",),
    order=("found_at",),
)
STREAMING = Kind(
    name="streaming",
    plural="streamings",
    struct=Streaming,
    meaning="one image that a node's snapshotter says it streams instead of pulling it whole",
    identity=("cluster", "event_uid", "count"),
    time="at",
    tags=("cluster", "run", "size"),
    order=("at", "event_uid", "count"),
    point_hash=("event_uid", "count"),
    lanes=True,
    first_tags=("cluster", "node", "run", "size"),
)
DISCARD = Kind(
    name="discard",
    plural="discards",
    struct=Discard,
    meaning="one event that an exporter saw and did not write, since it took it for too old",
    identity=("cluster", "namespace", "event_name"),
    time="at",
    tags=("cluster", "run", "size"),
    order=("at", "namespace", "event_name"),
    point_hash=("namespace", "event_name"),
)
PULL_STAGES = Kind(
    name="pull_stages",
    plural="pull_stages",
    struct=PullStages,
    meaning="one pull inside of a runtime: stages that add up to its wall time",
    identity=("cluster", "pull"),
    time="finished_at",
    tags=("cluster", "run", "size"),
    order=("finished_at", "pull"),
    point_hash=("pull",),
    lanes=True,
)
LAYER = Kind(
    name="layer",
    plural="pulled_layers",
    struct=PulledLayer,
    meaning="one layer in one pull, stage by stage",
    identity=("cluster", "pull", "layer_digest", "repeat"),
    time="finished_at",
    tags=("cluster", "run", "size"),
    order=("finished_at", "pull", "layer_digest", "repeat"),
    point_hash=("pull", "layer_digest", "repeat"),
    lanes=True,
)

KINDS: tuple[Kind[Any], ...] = (PULL, MILESTONE, REJECT, GAP, STREAMING, DISCARD, PULL_STAGES, LAYER)

DEFAULT_NAME = PULL.plural  # of the topic and of the bucket
