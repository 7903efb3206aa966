"""What held a pull up, of layers made by hand: seconds of whom and of what."""

from hypothesis import given
from hypothesis import strategies as st

from pullstudy.pulls.spans.held_up import held_up
from pullstudy.pulls.spans.layer_steps import Step
from pullstudy.pulls.stage import LAYER_STAGES, Stage

QUEUE, TRANSFER, APPLY, COMMIT, WAIT = Stage.QUEUE, Stage.TRANSFER, Stage.APPLY, Stage.COMMIT, Stage.WAIT


def held(*layers: list[Step], until: int = 100) -> tuple[dict[str, int], tuple[int, ...]]:
    found = held_up((0, until), None, layers, None)
    return {stage.value: taken for stage, taken in found.by_stage.items() if taken}, found.by_layer


def test_a_moment_belongs_to_the_lowest_layer_that_something_is_done_with() -> None:
    low = [Step(TRANSFER, 0, 30), Step(APPLY, 30, 60)]
    high = [Step(TRANSFER, 0, 50), Step(WAIT, 50, 60), Step(APPLY, 60, 90), Step(COMMIT, 90, 100)]
    assert held(low, high) == ({"transfer": 30, "apply": 60, "commit": 10}, (60, 40))


def test_while_a_layer_waits_for_a_downloads_turn_the_moment_belongs_to_who_has_it_and_not_to_who_unpacks() -> None:
    low = [Step(QUEUE, 0, 50), Step(TRANSFER, 50, 100)]
    unpacking = [Step(APPLY, 0, 50)]
    downloading = [Step(TRANSFER, 10, 40)]
    assert held(low, unpacking, downloading) == ({"transfer": 80, "apply": 20}, (50, 20, 30))


def test_where_nothing_is_done_with_any_layer_the_moment_is_queue_or_wait_or_nobodys() -> None:
    assert held([Step(QUEUE, 0, 30), Step(TRANSFER, 30, 40), Step(WAIT, 40, 90)]) == (
        {"queue": 30, "transfer": 10, "wait": 50, "unattributed": 10},
        (40,),
    )


def test_what_nobody_knows_of_a_layer_is_before_what_is_done_with_those_above_it() -> None:
    low = [Step(Stage.UNATTRIBUTED, 0, 60), Step(APPLY, 20, 30)]
    assert held(low, [Step(TRANSFER, 0, 100)]) == ({"unattributed": 50, "apply": 10, "transfer": 40}, (10, 40))


@given(st.integers(0, 50), st.sampled_from([TRANSFER, APPLY, COMMIT, Stage.INGEST, Stage.FIRST_BYTE]))
def test_what_is_put_into_a_stage_of_a_layer_that_is_waited_for_is_in_that_stage_alone(more: int, where: Stage) -> None:
    def one(extra: int) -> list[Step]:
        steps, at = [], 0
        for stage in (Stage.FIRST_BYTE, TRANSFER, Stage.INGEST, APPLY, COMMIT):
            end = at + 10 + (extra if stage is where else 0)
            steps.append(Step(stage, at, end))
            at = end
        return steps

    before, _ = held(one(0), until=50)
    after, _ = held(one(more), until=50 + more)
    assert after == before | {where.value: 10 + more}


steps = st.lists(
    st.builds(
        lambda stage, start, length: Step(stage, start, start + length),
        st.sampled_from([*LAYER_STAGES, Stage.UNATTRIBUTED]),
        st.integers(-50, 150),
        st.integers(0, 100),
    ),
    max_size=6,
)


@given(st.lists(steps, max_size=6), st.integers(0, 100))
def test_whatever_the_steps_are_the_shares_add_up_to_the_wall_time(layers: list[list[Step]], until: int) -> None:
    by_stage, by_layer = held(*layers, until=until)
    assert sum(by_stage.values()) == until
    of_none = by_stage.get("wait", 0) + by_stage.get("unattributed", 0)
    assert sum(by_layer) == until - of_none
    assert min(by_stage.values(), default=0) >= 0


def _owner(layers: list[list[Step]], at: int) -> tuple[Stage, int | None]:
    """Whose one moment is, by the rule as it is written down; nobody's place for what no layer holds up."""

    def covering(place: int, stages: tuple[Stage, ...]) -> list[Step]:
        there = [step for step in layers[place] if step.stage in stages and step.start <= at < step.end]
        return sorted(there, key=lambda step: (step.stage is Stage.UNATTRIBUTED, -step.start, -step.end))

    works = tuple(stage for stage in Stage if stage not in (QUEUE, WAIT))
    for place in range(len(layers)):
        if found := covering(place, works):
            return found[0].stage, None if found[0].stage is Stage.UNATTRIBUTED else place
        for other in range(place + 1, len(layers)) if covering(place, (QUEUE,)) else ():
            for step in layers[other]:
                if step.stage in (Stage.FIRST_BYTE, TRANSFER, Stage.INGEST) and step.start <= at < step.end:
                    return step.stage, other
    for place in range(len(layers)):
        if covering(place, (QUEUE,)):
            return QUEUE, place
    return (WAIT if any(covering(place, (WAIT,)) for place in range(len(layers))) else Stage.UNATTRIBUTED), None


@given(st.lists(steps, max_size=5), st.integers(0, 60))
def test_each_moment_is_whose_the_rule_says(layers: list[list[Step]], until: int) -> None:
    by_stage: dict[str, int] = {}
    by_layer = [0] * len(layers)
    for at in range(until):
        stage, place = _owner(layers, at)
        by_stage[stage.value] = by_stage.get(stage.value, 0) + 1
        if place is not None:
            by_layer[place] += 1
    assert held(*layers, until=until) == (by_stage, tuple(by_layer))
