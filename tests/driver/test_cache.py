"""Cold, partial or warm, by what a node lists."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver.clusters.cache import cache_state, cached_names, canonical, holding
from pullstudy.kube.objects import Node
from pullstudy.pulls.cache import CacheState
from pullstudy.pulls.image import ImageReference
from tests.driver.kube_objects import DIGEST, node

MINE = "ghcr.io/study/images:a"


def unknown(image: ImageReference) -> frozenset[str]:
    return frozenset()


def known(image: ImageReference) -> frozenset[str]:
    return {"a": frozenset("12"), "b": frozenset("23"), "c": frozenset("4")}.get(image.tag or "", frozenset())


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("grafana/grafana:11", "docker.io/grafana/grafana:11"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
    ],
)
def test_names_are_completed_as_the_runtime_does(name: str, full: str) -> None:
    assert canonical(name) == full


@given(st.from_regex(r"[a-z]{1,8}(\.io)?(/[a-z]{1,8}){0,2}(:[a-z0-9]{1,5})?", fullmatch=True))
def test_a_completed_name_is_complete(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@pytest.mark.parametrize(
    ("held", "layers", "state"),
    [
        ([], unknown, CacheState.COLD),
        (["registry.k8s.io/pause:3.9"], unknown, CacheState.COLD),
        ([MINE], unknown, CacheState.WARM),
        (["ghcr.io/study/images:b"], unknown, CacheState.PARTIAL),  # what it shares is not known
        ([f"ghcr.io/study/images@{DIGEST}"], unknown, CacheState.PARTIAL),
        (["ghcr.io/study/images:b"], known, CacheState.PARTIAL),
        (["ghcr.io/study/images:c"], known, CacheState.COLD),  # known to share nothing
        (["ghcr.io/study/images:unheard-of"], known, CacheState.PARTIAL),
    ],
)
def test_the_state_before_a_job(held: list[str], layers: object, state: CacheState) -> None:
    assert cache_state(MINE, cached_names(node("n", *held)), layers) is state  # type: ignore[arg-type]


def test_nodes_that_still_hold_an_image_are_named() -> None:
    lost = msgspec.convert({"metadata": {"name": "lost"}, "status": {"images": [{"names": [MINE]}]}}, Node)
    nodes = [node("one", MINE), node("two", "nginx"), node("three"), lost]
    assert holding(nodes, (MINE, "docker.io/library/nginx:latest")) == ["one", "two"]
    assert holding(nodes, ()) == []
