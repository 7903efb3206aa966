"""The colours of the data: a hue a phase, one a stage, and a ramp over the cluster sizes. Dashboards have the same."""

from collections.abc import Sequence

from pullstudy.pulls.stage import Stage

# From dark to light, so that sizes are in order for every eye, and none too near to white or to near black. Seven sizes
# are told apart without red or green too, as are the phases: tests/analysis/test_colours.py.
_RAMP = ("#8c07b2", "#a72197", "#bf3984", "#d35171", "#f3766c", "#ff8c50", "#fda218")

PHASE_COLOURS = {
    "job_created_to_pod_created": "#d0bc8f",
    "job_created_to_scheduled": "#d0bc8f",
    "pod_created_to_scheduled": "#bd96ff",
    "scheduled_to_pulling": "#be4989",
    "scheduled_to_pulled": "#106dc7",
    "pulling_to_pulled": "#106dc7",
    "pulled_to_created": "#209fb7",
    "created_to_started": "#468302",
    "started_to_finished": "#d99e0c",
    "started_to_job_completed": "#f48151",
    "finished_to_job_completed": "#f48151",
    "between_jobs": "#62534b",
    "job_completed_to_job_deleted": "#62534b",
    "job_deleted_to_next_job": "#b5a59c",
}
_OTHER_COLOUR = "#a9746e"

STAGE_COLOURS = {
    Stage.RESOLVE: "#d0bc8f",
    Stage.PREPARE: "#bd96ff",
    Stage.QUEUE: "#b5a59c",
    Stage.FIRST_BYTE: "#209fb7",
    Stage.TRANSFER: "#106dc7",
    Stage.INGEST: "#468302",
    Stage.WAIT: "#be4989",
    Stage.APPLY: "#f48151",
    Stage.COMMIT: "#d99e0c",
    Stage.FINISH: "#a9746e",
    Stage.UNATTRIBUTED: "#62534b",
}


def size_colours(sizes: Sequence[object]) -> list[str]:
    """A colour a size, in the order of the sizes, spread over the ramp."""
    if len(sizes) == 1:
        return [_RAMP[0]]
    last = len(_RAMP) - 1
    return [_between(place * last / (len(sizes) - 1)) for place in range(len(sizes))]


def _between(place: float) -> str:
    low = min(int(place), len(_RAMP) - 2)
    left, right = (_RAMP[low], _RAMP[low + 1])
    part = place - low
    channels = (round(int(left[i : i + 2], 16) * (1 - part) + int(right[i : i + 2], 16) * part) for i in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def phase_colour(phase: str) -> str:
    return PHASE_COLOURS.get(phase, _OTHER_COLOUR)
