"""The report: self-contained, safe, told in words where there is nothing to draw."""

import json
import re
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import altair
import msgspec
import pytest

from pullstudy.analysis.findings.finding import FindingId
from pullstudy.analysis.reading.environments import differences
from pullstudy.analysis.reading.layers import Layer, write_layers
from pullstudy.analysis.reading.study import Study, StudyRecords, opened_study
from pullstudy.analysis.report import wording
from pullstudy.analysis.report.all_findings import findings_of
from pullstudy.analysis.report.colours import size_colours
from pullstudy.analysis.report.facts import Facts, facts_of, gather_facts
from pullstudy.analysis.report.figure import Figure
from pullstudy.analysis.report.html import element, json_script
from pullstudy.analysis.report.page import page
from pullstudy.analysis.report.report import SECTIONS, provenance, write_report
from pullstudy.analysis.report.sections import (
    after_pull,
    all_pulls,
    by_nodes,
    durations,
    failures,
    loss_audit,
    makespans,
    rates,
    summary,
)
from pullstudy.analysis.report.sections.pull_samples import gigabytes, panel_names, sample_groups
from pullstudy.pulls.batch import Batch, Gap, Reject
from pullstudy.pulls.milestone import Moment
from pullstudy.pulls.record import Outcome
from pullstudy.store.embedded.ledger import Audit
from pullstudy.store.embedded.store import EmbeddedStore
from tests.analysis.hand_made import HandMade, image_of
from tests.analysis.page_reader import Reader

HOSTILE = "</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>&\"'"


def hostile_study() -> HandMade:
    made = HandMade(cluster="c-<b>")
    made.job("j", image_of(), 0, 20, error=HOSTILE)
    made.life("j", "p", image_of(), {Moment.SCHEDULED: 1, Moment.PULLED: 9, Moment.STARTED: 10}, node=HOSTILE)
    made.pull("j", "q", HOSTILE, None, outcome=Outcome.FAILED, error=HOSTILE, finished=4)
    return made


@pytest.fixture(scope="module")
def written(sweep_directory: Path) -> list[Path]:
    return write_report(sweep_directory)


@pytest.fixture(scope="module")
def sweep_page(written: list[Path]) -> Reader:
    return Reader(written[0].read_text())


def text_of(facts: Facts) -> str:
    sections = [build(facts) for build in SECTIONS]
    return page("t", provenance(facts), facts.study.simulated, sections)


def test_the_page_fetches_nothing(sweep_page: Reader) -> None:
    for tag, attributes in sweep_page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    (policy,) = [a["content"] for t, a in sweep_page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_no_chart_names_a_network_address(sweep_page: Reader) -> None:
    specs = {name: text for name, text in sweep_page.scripts.items() if name.startswith("spec-")}
    assert specs
    assert not [name for name, text in specs.items() if "http" in text or '"url"' in text]


def test_every_figure_is_on_the_page_and_a_png_twice_as_fine(written: list[Path], sweep_page: Reader) -> None:
    names = {path.stem for path in written[1:]}
    drawn = {(a.get("id") or "").removeprefix("figure-") for t, a in sweep_page.elements if t == "figure"}
    assert names == drawn
    assert len(names) == 12
    for path in written[1:]:
        head = path.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", head[16:20])[0] > 1500


def test_simulated_is_said_on_the_page_and_on_every_picture(sweep: Facts, sweep_page: Reader) -> None:
    badges = [a for t, a in sweep_page.elements if a.get("class") == "badge"]
    figures = [a for t, a in sweep_page.elements if t == "figure"]
    assert len(badges) == len(figures) + 1
    assert "every figure here comes from a model" in sweep_page.words()
    for figure in (figure for build in SECTIONS for figure in build(sweep).figures):
        assert figure.for_file(provenance(sweep))["title"]["subtitle"][0].startswith("SIMULATED · provider sim")


def test_real_data_is_not_called_simulated(aws: Facts) -> None:
    assert "simulated" not in Reader(text_of(aws)).words().lower()


def test_a_simulator_behind_a_real_provider_is_said_too(tmp_path: Path) -> None:
    made = HandMade(cluster="eks-test-4", environment={"provider": {"simulated": True}})
    made.job("j", image_of(), 0, 20)
    made.write(tmp_path)
    with opened_study(tmp_path) as records:
        assert records.study.simulated
    other = HandMade(cluster="eks-test-4", environment={"provider": {"volume": {"type": "gp2"}}})
    other.job("j", image_of(), 0, 20)
    other.write(tmp_path / "other")
    with opened_study(tmp_path / "other") as records:
        assert not records.study.simulated


def few_rows(spec: Any) -> Any:
    """The chart with three rows of each of its tables: validity does not depend on how many there are."""
    if isinstance(spec, dict):
        return {key: value[:3] if key == "values" else few_rows(value) for key, value in spec.items()}
    return [few_rows(item) for item in spec] if isinstance(spec, list) else spec


def test_every_chart_is_valid_vega_lite(sweep: Facts, aws: Facts) -> None:
    figures = [figure for facts in (sweep, aws) for build in SECTIONS for figure in build(facts).figures]
    for figure in {re.sub(r"\d", "", figure.name): figure for figure in figures}.values():
        altair.Chart.from_dict(few_rows(json.loads(json.dumps(figure.charts()[0].spec))), validate=True)
    for figure in {type(figure): figure for figure in figures}.values():
        altair.Chart.from_dict(few_rows(json.loads(json.dumps(figure.for_file("x")))), validate=True)


def test_names_of_figures_are_names_of_files_and_stand_once(sweep: Facts, aws: Facts) -> None:
    for facts in (sweep, aws):
        names = [figure.name for build in SECTIONS for figure in build(facts).figures]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-zA-Z0-9-]+", name) for name in names)


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    hostile_study().write(tmp_path)
    facts = gather_facts(tmp_path)
    reader = Reader(text_of(facts))
    assert not [tag for tag, _ in reader.elements if tag in ("img", "b") and tag == "img"]
    assert sum(tag == "script" for tag, _ in reader.elements) == len(reader.scripts) + 1  # libraries and page.js: no id
    assert HOSTILE in reader.words()
    assert not [attributes for _, attributes in reader.elements if any(name.startswith("on") for name in attributes)]


def test_no_text_can_end_a_script_element() -> None:
    assert "</script" not in json_script("x", {"a": HOSTILE})[:-9]
    assert json.loads(Reader(json_script("x", {"a": HOSTILE})).scripts["x"]) == {"a": HOSTILE}


def test_attributes_are_escaped_too() -> None:
    ((_, attributes),) = Reader(element("div", class_=HOSTILE)).elements
    assert attributes == {"class": HOSTILE}


def test_an_empty_study_is_told_in_words(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path, create=True).close_now()
    page_file, *figures = write_report(tmp_path)
    words = Reader(page_file.read_text()).words()
    assert figures == []
    for sentence in (
        "No pull with a duration is in this study",
        "No job is in this study",
        "No audit was made",
        "No layers are known",
        "No environment was saved",
        "clocks cannot be compared",
        "node-hours are unknown",
    ):
        assert sentence in words


def test_tables_are_whole_without_scripts(sweep_page: Reader) -> None:
    words = sweep_page.words()
    for caption in ("Pull durations: 9 layers, cold cache", "Critical path of every job", "Cost by cluster size"):
        assert caption in words
    assert any(tag == "noscript" for tag, _ in sweep_page.elements)


def test_pictures_of_an_earlier_report_are_taken_away(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path, create=True).close_now()
    stale = tmp_path / "figures" / "durations-of-yore.png"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    write_report(tmp_path)
    assert not stale.exists()


def test_cache_states_stand_in_figures_of_their_own(tmp_path: Path) -> None:
    from pullstudy.pulls.cache import CacheState

    made = HandMade()
    for index, state in enumerate((CacheState.COLD, CacheState.PARTIAL, CacheState.WARM)):
        made.pull(f"j{index}", f"p{index}", image_of(), 5.0 + index)
        made.job(f"j{index}", image_of(), 0, 20)
        made.cache(f"j{index}", "node-0", state)
    made.write(tmp_path)
    facts = gather_facts(tmp_path)
    assert [(group.cache, sum(len(values.seconds) for values in group.pulls.values())) for group in facts.groups] == [
        ("cold", 1),
        ("partial", 1),
        ("warm", 1),
    ]


def test_the_summary_answers_from_the_numbers(sweep: Facts) -> None:
    """4 nodes wait for two pods more than 2 nodes, and their slowest pull is 2% longer than the others'."""
    words = Reader("".join(map(str, summary.build(sweep).blocks))).words()
    for said in (
        "18 pulls",
        "Downloads of 3 images together, whose own medians at a size are 10.1 s to 40.6 s, cold cache",
        "Pulls: cannot tell.",
        "Makespans: cannot tell.",
        "One cluster a size: every size was measured on one cluster only",
    ):
        assert said in " ".join(words.split())
    (decomposition,) = sweep.decompositions
    assert "no more than a twentieth apart" in makespans.answer(decomposition)


def test_the_first_screen_shows_the_findings_that_json_has(aws: Facts) -> None:
    words = " ".join(Reader("".join(map(str, summary.build(aws).blocks))).words().split())
    for finding in findings_of(aws):
        if finding.id is FindingId.PULL_SECONDS and finding.size is not None and finding.image is None:
            assert wording.seconds(float(finding.value or 0)) in words
        if finding.id in (FindingId.BOUND, FindingId.WRITE_RATE, FindingId.LOSS) and finding.subject == "all":
            assert finding.evidence.rstrip(".")[1:] in words


def test_what_is_unsure_is_on_the_first_screen(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", image_of(), 0, 20)
    made.pull("j", "p", image_of(), 5.0)
    made.audits.append(
        Audit(cluster="c-4", job="j", expected=4, events=1, pod_status=1, spooled=1, stored=1, recovered=0)
    )
    reject = Reject(cluster="c", source="events.json", position="12", problem="no JSON object on this line", raw="x")
    store = EmbeddedStore(tmp_path, create=True)
    store.write_now(Batch(rejects=(reject,)))
    store.close_now()
    made.write(tmp_path)
    words = " ".join(Reader("".join(map(str, summary.build(gather_facts(tmp_path)).blocks))).words().split())
    assert "3 of 4 pulls are not on record" in words
    assert "1 line of the input could not be read" in words
    assert "were on the nodes before is not on record" in words


def test_a_pull_that_took_no_time_leaves_out_the_log_scale(tmp_path: Path) -> None:
    made = HandMade()
    for pod, size, seconds in (("p0", 1_000_000_000, 0.0), ("p1", 2_000_000_000, 2.0)):
        made.pull("j", pod, image_of(9, size), seconds)
    made.write(tmp_path)
    names = [figure.name for figure in durations.build(gather_facts(tmp_path)).figures]
    assert names == ["durations-unknown-9-layers", "durations-by-bytes-unknown-9-layers"]


def traffic(images: int) -> HandMade:
    """Pulls of Deployments: the later an image's number, the more pull time, and the fewer bytes."""
    made = HandMade(cluster="prod")
    for number in range(images):
        name = f"registry.example/teams/payments/service-{number:03d}:v1"
        for pod in range(3):
            seconds, size = 1.0 + number, (1 + images - number) * 1_000_000
            made.pull("", f"s-{number}-{pod}", name, seconds, node=f"n{pod}", image_bytes=size)
    made.pulls = [msgspec.structs.replace(pull, job=None) for pull in made.pulls]
    return made


def test_of_many_images_those_with_the_most_pull_time_have_panels_by_bytes_and_the_others_are_named(
    tmp_path: Path,
) -> None:
    traffic(images=200).write(tmp_path)
    section = durations.build(gather_facts(tmp_path))
    (panels,) = section.figures
    assert [chart.title for chart in panels.charts()] == [f"…/service-{number}:v1" for number in range(199, 187, -1)]
    assert panels.charts()[0].whole_title == "registry.example/teams/payments/service-199:v1"
    words = Reader("".join(str(block) for block in section.blocks)).words()
    assert (
        "Shown are the 12 images with the most pull time of 200. Not shown: …/service-187:v1, …/service-186:v1,"
        in words
    )
    assert "and 180 more" in words
    assert "pulldriver export pulls" in words


def test_images_whose_short_names_are_alike_have_more_of_their_paths(tmp_path: Path) -> None:
    made = HandMade()
    names = ["a.example/x/tool:v1", "b.example/y/tool:v1", "b.example/y/other:v1"]
    for name in names:
        made.pull("j", f"p{name[0]}", name, 5.0)
    made.write(tmp_path)
    (group,) = sample_groups(gather_facts(tmp_path))
    assert {key.image: name for key, name in panel_names(group.images).items()} == {
        names[0]: "…/x/tool:v1",
        names[1]: "…/y/tool:v1",
        names[2]: "…/other:v1",
    }


def test_durations_and_makespans_are_drawn_against_nodes_with_their_intervals(sweep: Facts) -> None:
    section = by_nodes.build(sweep)
    (panels,) = section.figures
    assert [chart.title for chart in panels.charts()] == ["1 GB", "2 GB", "4 GB"]
    spec = panels.charts()[0].spec
    assert spec["encoding"]["x"]["scale"]["base"] == 2
    assert {(row["kind"], row["nodes"]) for row in spec["data"]["values"]} == {
        (kind, nodes) for kind in (by_nodes.PULL, by_nodes.MAKESPAN) for nodes in (2, 4)
    }


def test_one_cluster_size_is_not_drawn_against_nodes(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("j", "p", image_of(), 5.0)
    made.write(tmp_path)
    section = by_nodes.build(gather_facts(tmp_path))
    assert section.figures == ()
    assert "one cluster size" in "".join(map(str, section.blocks))


def test_images_that_compress_to_nothing_have_no_rate_of_compressed_bytes(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("j", "p", image_of(9, 4_000_000_000), 20.0, image_bytes=4_000_000)
    made.pull("k", "q", "registry.example/app:v1", 10.0, image_bytes=500_000_000)
    made.write(tmp_path)
    section = rates.build(gather_facts(tmp_path))
    assert [figure.name for figure in section.figures] == [
        "rate-image-unknown-other-layers",
        "rate-unpacked-unknown-9-layers",
    ]
    assert "1 image unpacks to 1,000 times the bytes" in "".join(map(str, section.blocks))


def medians(figure: Figure) -> list[float]:
    return [row["median"] for row in figure.spec["data"]["values"]]


def test_where_kubelets_count_unpacked_bytes_the_rate_shown_is_that_of_what_the_manifest_lists(tmp_path: Path) -> None:
    """200 MB come over the link in 10 s, and unpack to 1,000 MB, which CRI-O says: the link has 20 MB/s."""
    made = HandMade()
    made.pull("j", "p", "registry.example/app:v1", 10.0, image_bytes=1_000_000_000)
    made.write(tmp_path)
    layers = [("sha256:a", 150_000_000), ("sha256:b", 50_000_000)]
    write_layers(
        tmp_path,
        [
            Layer(repository="registry.example/app", tag="v1", position=place, digest=digest, layer_bytes=size)
            for place, (digest, size) in enumerate(layers)
        ],
    )
    facts = gather_facts(tmp_path)
    section = rates.build(facts)
    assert [figure.name for figure in section.figures] == ["rate-manifest-unknown-other-layers"]
    assert medians(section.figures[0]) == [20.0]
    assert "count 5.0 times the bytes that the manifest lists: unpacked ones" in "".join(map(str, section.blocks))
    assert "for 1 image are unpacked ones: not the rate of the link" in "".join(map(str, all_pulls.build(facts).blocks))


def test_a_size_that_agrees_with_the_manifest_is_the_links_and_told_once(tmp_path: Path) -> None:
    made = HandMade()
    made.pull("j", "p", "registry.example/app:v1", 10.0, image_bytes=200_004_000)
    made.write(tmp_path)
    write_layers(
        tmp_path, [Layer(repository="registry.example/app", tag="v1", position=0, digest="d", layer_bytes=200_000_000)]
    )
    facts = gather_facts(tmp_path)
    section = rates.build(facts)
    assert [figure.name for figure in section.figures] == ["rate-image-unknown-other-layers"]
    assert medians(section.figures[0]) == [20.0]
    assert "unpacked ones" not in "".join(map(str, [*section.blocks, *all_pulls.build(facts).blocks]))


@pytest.mark.parametrize("sizes", [(4,), (4, 8)])
def test_a_study_of_pulled_events_alone_has_a_report(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """Scheduled and started are known of no pod: all that is known of a job lies at one moment."""
    for size in sizes:
        made = HandMade(cluster=f"c-{size}", size=size)
        for moment in (Moment.PULLED, Moment.CREATED):
            made.mark("j", "p", moment, 5.0)
        made.pull("j", "p", image_of(), 3.2, finished=5.0)
        made.write(tmp_path)
    facts = gather_facts(tmp_path)
    sections = [build(facts) for build in SECTIONS]
    words = Reader("".join(str(block) for section in sections for block in section.blocks)).words()
    assert "Where the time goes" in [section.title for section in sections]
    assert f"{len(sizes)} pull" in words


def test_pulls_that_shared_a_download_are_counted_beside_the_durations(aws: Facts, sweep: Facts) -> None:
    words = [Reader("".join(map(str, durations.build(facts).blocks))).words() for facts in (aws, sweep)]
    assert "25 pulls began while another pod's pull of the same image was under way on the same node" in words[0]
    assert "under way" not in words[1]


def test_a_grown_run_is_explained_by_what_grew(tmp_path: Path) -> None:
    for size, created in ((4, 1.0), (256, 61.0)):
        made = HandMade(cluster=f"c-{size}", size=size)
        made.job("j", image_of(), 0, created + 20)
        times = {Moment.POD_CREATED: created, Moment.SCHEDULED: created + 1, Moment.PULLED: created + 19}
        made.life("j", "p", image_of(), times)
        made.write(tmp_path)
    (decomposition,) = gather_facts(tmp_path).decompositions
    assert makespans.answer(decomposition) == (
        "The makespan of the one image that every size ran is 21.0 s in the cluster of 4 nodes and 81.0 s in that of "
        "256, 60.0 s more. Whether they grow cannot be told from 2 clusters, since clusters differ by themselves. "
        "What got longer is job created → pod created (100.0%, 60.0 s more)."
    )


def test_failures_are_told_by_class_with_what_was_said(tmp_path: Path) -> None:
    made = HandMade()
    text = "failed to pull and unpack image: 429 Too Many Requests"
    made.pull("j", "p", image_of(), None, outcome=Outcome.FAILED, error=text, count=1, event_uid="u")
    made.pull("j", "p", image_of(), None, outcome=Outcome.FAILED, error=text, count=3, event_uid="u")
    made.pull("j", "p", image_of(), None, outcome=Outcome.BACKOFF, count=7)
    made.write(tmp_path)
    section = failures.build(gather_facts(tmp_path))
    words = Reader("".join(str(block) for block in section.blocks if not isinstance(block, Figure))).words()
    assert "3 failed attempts, 7 back-offs" in words
    assert "rate-limited" in words
    assert text in words


def test_the_audit_says_what_is_accounted_for_and_by_whom(tmp_path: Path) -> None:
    made = HandMade()
    made.job("j", image_of(), 0, 20)
    made.pull("j", "p", image_of(), 5.0)
    made.audits.append(
        Audit(cluster="c-4", job="j", expected=256, events=253, pod_status=256, spooled=253, stored=253, recovered=2)
    )
    made.write(tmp_path)
    words = Reader("".join(map(str, loss_audit.build(gather_facts(tmp_path)).blocks))).words()
    assert "255/256 accounted for, 2 recovered from pod status, 1 missing." in words


def test_gaps_and_rejects_are_shown(tmp_path: Path) -> None:
    gap = Gap(cluster="c", from_version="5", to_version="9", found_at=datetime(2026, 1, 1, tzinfo=UTC), why="410 Gone")
    reject = Reject(cluster="c", source="events.json", position="12", problem="no JSON object on this line", raw="x")
    store = EmbeddedStore(tmp_path, create=True)
    store.write_now(Batch(gaps=(gap,), rejects=(reject,)))
    store.close_now()
    words = Reader("".join(map(str, loss_audit.build(gather_facts(tmp_path)).blocks))).words()
    assert "410 Gone" in words
    assert "no JSON object on this line" in words


def test_the_write_rate_is_told_for_the_real_logs(aws: Facts) -> None:
    ((subject, words),) = after_pull.answers(aws)
    assert subject == "all"
    assert "bound by the write-back" in words
    assert "A gp2 volume of up to 170 GiB is limited to 134.2 MB/s" in words
    assert after_pull.of_aws(aws)


def test_images_found_present_are_counted_with_those_of_other_pods(aws: Facts, aws_directory: Path) -> None:
    store = EmbeddedStore(aws_directory, create=False)
    present = sum(1 for _ in store.pulls(outcome=Outcome.CACHED))
    store.close_now()
    assert present > 0
    assert f"{present} images found present" in Reader("".join(map(str, failures.build(aws).blocks))).words()


def test_gp2_volumes_are_not_thought_of_outside_aws(lossy: Facts) -> None:
    assert not after_pull.of_aws(lossy)


def test_the_names_of_clusters_and_machines_are_no_different_environments() -> None:
    environments = {
        size: {"provider.eks_cluster": f"eks-{size}-abcd", "configz.providerID": f"aws:///i-{size}", "kernels": "6.1"}
        for size in ("4", "8")
    }
    assert differences(environments) == {}


def test_environments_that_differ_are_warned_of(tmp_path: Path) -> None:
    for size, kernel in ((4, "5.10"), (8, "6.1")):
        made = HandMade(cluster=f"c-{size}", size=size, environment={"nodes": size, "kernels": [kernel]})
        made.job("j", image_of(), 0, 20)
        made.pull("j", f"p-{size}", image_of(), 5.0)
        made.write(tmp_path)
    words = Reader(text_of(gather_facts(tmp_path))).words()
    assert "The clusters compared here differ in kernels." in words


def test_images_of_nearly_one_size_have_places_of_their_own(tmp_path: Path) -> None:
    made = HandMade()
    for size in (1_176_249_324, 1_176_900_000):
        made.pull("j", f"p{size}", image_of(9, size), 5.0)
    made.write(tmp_path)
    (group,) = sample_groups(gather_facts(tmp_path))
    assert list(gigabytes(group.images).values()) == ["1.176", "1.177"]


def test_a_cluster_has_one_colour_in_every_figure_whoever_stands_beside_it(sweep: Facts) -> None:
    assert sweep.series.colours(["4"])["4"] == sweep.series.colours(["2", "4"])["4"]


def test_sizes_have_colours_of_their_own_however_many_there_are() -> None:
    for count in (1, 2, 7, 12):
        colours = size_colours(list(map(str, range(count))))
        assert len(set(colours)) == count


def test_a_study_of_no_records_has_no_provenance_to_invent() -> None:
    assert provenance(facts_of(StudyRecords(Study("empty"), []))) == "clusters none"
