"""The option ``--real``: only with it tests marked ``real`` run, on servers that are built first where need be.

All of them run in one worker of pytest-xdist, unless a test names another group, so that each server that can be shared
is started once; the other workers run the rest meanwhile.
"""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from tests.stack.build import ensure
from tests.stack.error import NotBuiltError, StackError
from tests.stack.home import StackHome
from tests.stack.parts import parts_named

MARK = "real"
TIMEOUT_SECONDS = 600
"""Of a real test that states none: servers start within it, on cores shared with other tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the option known."""
    text = "also run the tests on real servers (Kafka, InfluxDB, Kubernetes), built by the first run in about 25 min"
    parser.addoption("--real", action="store_true", help=text)
    text = "with --real: build nothing; tests of what is not built are skipped, and say so"
    parser.addoption("--as-built", action="store_true", help=text)
    parser.addoption("--real-seed", type=int, help="of the runs with random faults; another one each time without it")
    parser.addoption("--real-repeats", type=int, default=1, help="so many runs with random faults, each of a seed (1)")
    parser.addoption("--soak-seconds", type=float, default=120.0, help="how long the soak takes (120)")
    parser.addoption("--frozen-seconds", type=float, default=60.0, help="how long the broker stands still (60)")
    parser.addoption("--events-per-second", type=int, default=200, help="written meanwhile (200)")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Have the groups obeyed before pytest-xdist reads its options."""
    if config.option.real and config.option.dist != "no":
        config.option.dist = "loadgroup"


def pytest_configure(config: pytest.Config) -> None:
    """Build what is missing, once, in the process that starts the workers."""
    wanted = config.option.real and not config.option.collectonly and not config.option.as_built
    if wanted and not hasattr(config, "workerinput"):
        try:
            ensure(StackHome.from_environment(), parts_named([]), _say)
        except StackError as error:
            raise pytest.UsageError(str(error)) from error


# Before pytest-xdist, which reads the group marks in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the real tests, or say of each that it was not run."""
    left_out = pytest.mark.skip(reason="runs on real servers: pytest --real")
    for item in items:
        if item.get_closest_marker(MARK) is None:
            continue
        if not config.option.real:
            item.add_marker(left_out)
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(MARK))
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A server of a fixture's may not be built."""
    with _as_built(item.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The same of a server of the test's own."""
    with _as_built(item.config):
        return (yield)


@contextmanager
def _as_built(config: pytest.Config) -> Iterator[None]:
    try:
        yield
    except NotBuiltError as error:
        if not config.option.as_built:
            raise
        pytest.skip(f"left out of the stack: {error}")


def _say(line: str) -> None:
    sys.stderr.write(f"stack: {line}\n")
