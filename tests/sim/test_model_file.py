"""model.json: parameters by group, and where they come from."""

from typing import Any

import msgspec
import pytest

from pullstudy.sim.model.model_file import ModelFile, check_model, parse_model, write_model
from pullstudy.sim.model.parameters import EKS, ParametersError

CHANGES = {"volume": {"write_bytes_per_second": 2e8}, "registry": {"resolve_seconds": 0.3}}
CALIBRATION: dict[str, Any] = {
    "profile": "eks",
    "study": "pulling-study",
    "records": [{"cluster": "c-4", "nodes": 4, "images": 6, "jobs": 6, "pulls": 24}],
    "fitted": {"volume.write_bytes_per_second": {"value": 2e8, "low": 1.9e8, "high": 2.1e8}},
    "unidentified": {
        "network.bytes_per_second": {"value": 1e9, "low": 6e8, "high": 1.6e9, "why": "no image fills the link"}
    },
    "held_out": [
        {
            "left_out": "image",
            "jobs": 6,
            "median_error": 0.02,
            "largest_error": 0.05,
            "p95_error": 0.03,
            "coverage": 0.9,
            "nearest": 0.2,
            "regression": 0.1,
        }
    ],
    "draws": [{"volume.write_bytes_per_second": 1.95e8}, {"volume.write_bytes_per_second": 2.05e8}],
}


def document(**changed: Any) -> bytes:
    return msgspec.json.encode({**CHANGES, "calibration": {**CALIBRATION, **changed}})


def test_a_file_that_is_written_says_the_same_when_it_is_read() -> None:
    model = parse_model(document())
    assert model.calibration is not None
    assert model.parameters(EKS).volume.write_bytes_per_second == 2e8
    assert parse_model(write_model(model)) == model


def test_each_draw_is_the_model_with_its_uncertain_parameters_changed() -> None:
    drawn = list(parse_model(document()).draws(EKS))
    assert [each.volume.write_bytes_per_second for each in drawn] == [1.95e8, 2.05e8]
    assert {each.registry.resolve_seconds for each in drawn} == {0.3}


def test_a_model_of_which_nothing_is_known_has_one_draw_itself() -> None:
    model = ModelFile(CHANGES)
    assert list(model.draws(EKS)) == [model.parameters(EKS)]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"x": {}}', b'{"volume": {"x": 1}}', b'{"volume": {"sigma": true}}'])
def test_a_file_that_fits_nothing_is_an_error(text: bytes) -> None:
    with pytest.raises(ParametersError):
        parse_model(text)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"made": 3}, "calibration: Object contains unknown field `made`"),
        ({"profile": "azure"}, "calibration: profile 'azure': there is eks"),
        ({"fitted": {"volume.rate": {"value": 1, "low": 1, "high": 1}}}, "volume has no parameter 'rate'"),
        ({"fitted": {"sigma": {"value": 1, "low": 1, "high": 1}}}, "'sigma': name a parameter with its group"),
        ({"fitted": {"volume.sigma": {"value": 3, "low": 1, "high": 2}}}, "volume.sigma: 3 is not from 1 to 2"),
        ({"draws": [{"network.bytes_per_second": 0}]}, "network: bytes_per_second 0.0: above 0"),
        ({"held_out": [{**CALIBRATION["held_out"][0], "left_out": "day"}]}, "'day'"),
    ],
)
def test_a_calibration_that_says_what_cannot_be_is_an_error_of_one_line(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ParametersError) as caught:
        parse_model(document(**changed))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_study_keeps_of_a_file_is_read_like_the_file() -> None:
    assert check_model(msgspec.json.decode(document())) == parse_model(document())
