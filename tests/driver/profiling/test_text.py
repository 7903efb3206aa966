"""What a profile's text says of what is not known."""

import msgspec

from driver.profiling.node_profile import node_profile
from driver.profiling.profile import ProfiledPull
from driver.profiling.text import profile_lines
from tests.driver.profiling.made_pulls import IMAGE, made_layer, made_pull


def text(pull: ProfiledPull) -> str:
    found = node_profile("n1", "containerd v2.4.2", "/run/c.sock", 2, {IMAGE: [pull]}, {}, ("Set this.",))
    return "\n".join(profile_lines(found))


def told(**more: object) -> ProfiledPull:
    pull = made_pull((made_layer(0), made_layer(1)), transfer=1.0, apply=2.0)
    return msgspec.structs.replace(pull, stages=msgspec.structs.replace(pull.stages, **more))


def test_a_pull_of_which_all_is_known_has_no_remark() -> None:
    said = text(told())
    assert "log is not at level debug" not in said
    assert "Some spans are missing" not in said
    assert "Set this." not in said


def test_without_the_debug_log_it_says_what_is_in_what() -> None:
    said = text(told(first_byte_seconds=None, prepare_seconds=None, commit_seconds=None))
    assert "first byte is in transfer, prepare and commit are in apply" in said
    assert "\n  first byte " not in said


def test_missing_spans_and_layers_that_were_there_are_said() -> None:
    there = made_pull((msgspec.structs.replace(made_layer(0), present=True), made_layer(1)), apply=1.0)
    assert "1 of the layers were on the node before" in text(there)
    assert "Some spans are missing" in text(told(complete=False))


def test_names_from_outside_cannot_steer_a_terminal() -> None:
    profile = node_profile("n\x1b[2J", "c\x1b", "/s", 2, {IMAGE: [made_pull(apply=1.0)]}, {}, ())
    assert "\x1b" not in "\n".join(profile_lines(profile))
