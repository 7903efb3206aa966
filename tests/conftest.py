"""What every test may ask for: the real data of the study, which lies beside the clone, and the real servers."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Speed is measured in bench/: a busy machine must not fail a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

pytest_plugins = ["tests.stack.plugin", "tests.stack.fixtures"]


@pytest.fixture(scope="session")
def study_data() -> Path:
    """The directory with pulling-aws/ and pulling-test-run3/: $PULLSTUDY_DATA, or shared/data beside the clone."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("PULLSTUDY_DATA", beside))
    assert (data / "pulling-aws").is_dir(), f"the study's real data is not in {data}; set PULLSTUDY_DATA"
    return data
