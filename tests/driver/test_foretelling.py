"""What is asked of the model before each job of a sweep, and kept with it."""

from pathlib import Path

import msgspec
import pytest

from driver.planning.foretelling import Foreteller
from driver.planning.study import Images, KwokPlan, Profile, SimPlan, Study
from pullstudy.analysis.findings.model_error import foretold_jobs, model_errors
from pullstudy.analysis.report.facts import gather_facts
from pullstudy.analysis.report.report import sections_of
from pullstudy.pulls.image_size import ImageSize
from pullstudy.store.embedded.ledger import ForetoldPulls, JobRow
from tests.driver.sweeps import LARGE, REPOSITORY, SMALL, rows, run_sweep, small_study

APP = "registry.example/app:1"


def job(image: str = f"{REPOSITORY}:{SMALL}", size: int = 4) -> JobRow:
    return JobRow(
        job="pull-0",
        cluster="c",
        run="run1",
        size=size,
        image=image,
        repeat=1,
        attempt=1,
        position=0,
        cache_mode="cold",
    )


def said(study: Study, provider: str, row: JobRow) -> ForetoldPulls:
    found = Foreteller(study, provider).of(row)
    assert found is not None
    return found


async def test_every_cold_job_is_foretold_and_the_report_says_how_far_that_was_off(tmp_path: Path) -> None:
    await run_sweep(small_study(SMALL, LARGE, size=3, repeats=2), tmp_path)
    kept = rows(
        tmp_path, "SELECT f.model, f.low_seconds < f.median_seconds FROM foretold f JOIN jobs USING (cluster, job)"
    )
    assert kept == [("eks", 1)] * 4
    facts = gather_facts(tmp_path)
    found = facts.model_errors
    assert [each.subject for each in found[:2]] == ["all", "3 nodes"]
    assert found[0].n == 4
    assert found[0].value == pytest.approx(1.0, abs=0.05)
    assert "foretold" in [section.identity for section in sections_of(facts)]
    assert list(model_errors(foretold_jobs(facts.jobs, ()))) == []


async def test_of_warm_nodes_what_they_lack_is_foretold_and_nothing_where_they_lack_nothing(tmp_path: Path) -> None:
    await run_sweep(small_study(SMALL, LARGE, repeats=2, cache="warm"), tmp_path)
    kept = rows(tmp_path, "SELECT image, cache FROM foretold JOIN jobs USING (cluster, job) JOIN job_nodes USING (job)")
    assert sorted(set(kept)) == [(f"{REPOSITORY}:{LARGE}", "partial"), (f"{REPOSITORY}:{SMALL}", "cold")]


def test_layers_that_all_nodes_hold_alike_are_not_foretold_to_be_pulled() -> None:
    base, layers = "registry.example/base:1", (10**9, 10**8)
    sizes = {
        APP: ImageSize(layers=layers, digests=("sha256:a", "sha256:b")),
        base: ImageSize(layers=layers[:1], digests=("sha256:a",)),
    }
    foreteller = Foreteller(Study(images=Images(tags=(), more=(APP, base), sizes=sizes)), "kubeconfig")
    cold, partial = (foreteller.of(job(APP), held) for held in ([set(), set()], [{base}, {base, "other.example/x:1"}]))
    assert cold is not None
    assert partial is not None
    assert partial.median_seconds < cold.median_seconds / 2
    assert foreteller.of(job(APP), [{base}, set()]) is None  # nodes differ
    assert foreteller.of(job(APP), [{"registry.example/app:2"}] * 2) is None  # which may share any of its layers


def test_an_image_whose_bytes_nothing_tells_is_not_foretold() -> None:
    study = Study(images=Images(tags=(), more=(APP,)))
    assert Foreteller(study, "kubeconfig").of(job(APP)) is None
    known = msgspec.structs.replace(study, images=Images(tags=(), more=(APP,), sizes={APP: ImageSize(layers=(10**9,))}))
    assert said(known, "kubeconfig", job(APP)).median_seconds > 2


def test_a_registry_that_all_share_makes_large_clusters_slower_and_only_then_do_sizes_differ() -> None:
    images = Images(tags=(SMALL,), more=(APP,), sizes={APP: ImageSize(layers=(10**9,))})
    study = Study(images=images)
    alike = {size: said(study, "sim", job(size=size)) for size in (4, 256)}
    assert alike[4].median_seconds == alike[256].median_seconds
    shared = {size: said(study, "sim", job(APP, size)) for size in (4, 256)}
    assert shared[256].median_seconds > 1.5 * shared[4].median_seconds


def test_real_nodes_are_foretold_by_what_was_fitted_to_all_real_logs_and_called_anothers() -> None:
    simulated, real = (said(Study(), provider, job()) for provider in ("sim", "kubeconfig"))
    assert (simulated.model, real.model) == ("eks", "eks-gp2 (fitted on other clusters)")
    assert real.high_seconds - real.low_seconds > 1.5 * (simulated.high_seconds - simulated.low_seconds)


def test_the_model_is_named_by_its_profile_and_what_was_changed_of_it() -> None:
    changed = Study(sim=SimPlan(profile=Profile.GKE, model={"volume": {"unpack_bytes_per_second": 100e6}}))
    assert said(changed, "sim", job()).model == "gke, changed"
    assert said(changed, "sim", job()).median_seconds > said(Study(), "sim", job()).median_seconds
    calibration = {"profile": "eks", "study": "mine", "records": [], "fitted": {}, "unidentified": {}}
    own = Study(sim=SimPlan(model={"calibration": calibration}))
    assert said(own, "kubeconfig", job()).model == "eks-gp2, calibrated on mine"


def test_fake_nodes_that_are_faster_are_foretold_in_their_own_seconds() -> None:
    fast = Study(kwok=KwokPlan(speed=10.0))
    ratio = said(Study(), "kwok", job()).median_seconds / said(fast, "kwok", job()).median_seconds
    assert ratio == pytest.approx(10.0, rel=0.01)
