"""What every test may ask for: the real data of tests/data, and the real servers."""

import gzip
from pathlib import Path

import pytest
from hypothesis import settings

# Speed is measured in bench/: a busy machine must not fail a property.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

DATA = Path(__file__).parent / "data"

pytest_plugins = ["tests.stack.plugin", "tests.stack.fixtures"]


@pytest.fixture(scope="session")
def study_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real logs of tests/data, unpacked into a directory of the session."""
    unpacked = tmp_path_factory.mktemp("data")
    for path in filter(Path.is_file, DATA.glob("*/*")):
        place = unpacked / path.parent.name / path.name.removesuffix(".gz")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    return unpacked
