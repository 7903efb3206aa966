"""A panel can only name what the sink writes."""

import pytest

from dashboards.columns import milestone, pull
from dashboards.errors import SchemaError


def test_a_column_that_the_sink_writes_is_its_name() -> None:
    assert (pull.pull_seconds, pull.node, milestone.at) == ("pull_seconds", "node", "at")


def test_a_renamed_column_breaks_the_build_and_not_the_panel() -> None:
    with pytest.raises(SchemaError, match="no column 'pull_duration'"):
        _ = pull.pull_duration


def test_only_tags_are_grouped_by() -> None:
    assert pull.tag_name("outcome") == "outcome"
    with pytest.raises(SchemaError, match="is no tag"):
        pull.tag_name("pod_uid")


def test_conditions_name_measurement_and_fields_and_leave_tags_out() -> None:
    assert pull.of_measurement() == 'r._measurement == "pull"'
    assert pull.of_fields("pull_seconds", "outcome", "count") == '(r._field == "pull_seconds" or r._field == "count")'
