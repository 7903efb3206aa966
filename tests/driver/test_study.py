"""study.toml: every key documented, every mistake named."""

import csv
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driver.commands.init_command import commented_study
from driver.errors import UsageError
from driver.planning.study import CacheMode, Order, Overrides, Profile, Study, decode_study, encode_study, load_study

DOCS = Path(__file__).parents[2] / "docs" / "study.md"
NO_OVERRIDES = Overrides()


def write(directory: Path, text: str) -> Path:
    path = directory / "study.toml"
    path.write_text(text)
    return path


def keys(value: Any) -> set[str]:
    if not isinstance(value, dict):
        return set()
    return set(value) | {key for inner in value.values() for key in keys(inner)}


def test_the_documented_block_is_the_study_seed_and_holds_every_key(tmp_path: Path) -> None:
    text = DOCS.read_text()
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert load_study(write(tmp_path, block[1]), NO_OVERRIDES) == load_study(None, NO_OVERRIDES)
    missing = [key for key in keys(msgspec.to_builtins(Study())) if not re.search(rf"\b{key}\b", text)]
    assert missing == []


@pytest.mark.parametrize("named", ["seed", "seed-38", "quick"])
def test_init_writes_each_built_in_study_with_a_comment_at_each_key(tmp_path: Path, named: str) -> None:
    study = load_study(named, NO_OVERRIDES)
    text = commented_study(study)
    assert load_study(write(tmp_path, text), NO_OVERRIDES) == study
    assert 'cache = "cold"              # "cold": caches are cleared' in text


def test_without_a_word_it_is_the_seeds_study_of_seven_sizes_and_32_images(study_data: Path) -> None:
    study = load_study(None, NO_OVERRIDES)
    assert study == load_study("seed", NO_OVERRIDES)
    assert study.sizes == (4, 8, 16, 32, 64, 128, 256)
    assert study.cluster.price.per_node_hour == 0.616
    with (study_data / "pulling-aws" / "container-similarity.csv").open() as file:
        compared = {name.removeprefix("containers/pulling/") for name in next(csv.reader(file))[1:]}
    assert (set(study.images.references), len(study.images.references)) == (compared, 32)


def test_seed_38_is_all_that_upstream_ran_and_quick_six_of_the_seeds(study_data: Path) -> None:
    seed, whole, quick = (load_study(name, NO_OVERRIDES).images.references for name in ("seed", "seed-38", "quick"))
    ran = msgspec.json.decode((study_data / "pulling-aws" / "unique-containers.json").read_bytes())
    assert (set(whole), len(whole)) == ({name for name in ran if "/container-chonks" in name}, 38)
    assert (len(quick), set(quick) - set(seed)) == (6, set())


def test_the_study_that_upstream_wrote_in_json_is_read(study_data: Path) -> None:
    study = load_study(study_data / "pulling-aws" / "study-run1.json", NO_OVERRIDES)
    assert len(study.images.references) == 6
    assert study.images.references[0].endswith("/container-chonks-run1:9-layers-size-1176249324-bytes")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xef\xbb\xbfname = 'mine'\r\n")
    assert load_study(path, NO_OVERRIDES).name == "mine"


def test_the_command_line_goes_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[cluster]\nsizes = [2, 3]\n[run]\nrepeats = 5\nseed = 9\ncache = "warm"\n')
    asked = Overrides(sizes="4..8", repeats=2, order=Order.RANDOM)
    study = load_study(path, asked)
    assert (study.sizes, study.run.repeats, study.run.order) == ((4, 8), 2, Order.RANDOM)
    assert (study.run.seed, study.run.cache) == (9, CacheMode.WARM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[job]\ntimeout = 3", "unknown key 'timeout' in [job]"),
        ("nmae = 'x'", "unknown key 'nmae': did you mean 'name'? there is name, cluster, images,"),
        ("[job]\ncomand = ['x']", "unknown key 'comand' in [job]: did you mean 'command'?"),
        ("[[eks.prices]]", "a table, got a list in [eks.prices]"),
        ("[run]\nrepeats = 0", "in [run.repeats]"),
        ("[run]\norder = 'best'", "'best' in [run.order]: there is sequential, interleaved, random"),
        ("[run]\ncache = 'Cold'", "'Cold' in [run.cache]: did you mean 'cold'?"),
        ("[run]\nrepeats = 'two'", "a whole number, got text in [run.repeats]"),
        ("[job]\nhold_seconds = 'never'", "'never' in [job.hold_seconds]: there is auto"),
        ('{"tags": ["a"]}', "a study in JSON has the keys tags and uri, not tags"),
        ('{"tags": ["a"], "uri": "b"', "not JSON"),
        ("[cluster]\nsizes = '4...8'", "4..256 (doubling)"),
        ("[cluster]\nsizes = [4, 4]", "size 4 stands there twice"),
        ("[cluster]\nsizes = []", "no size is given"),
        ("[images]\ntags = []", "no image is given"),
        ("[images]\ntags = ['a', 'a']", "twice"),
        ("name = 'Not A Name'", "not lower case letters, digits and - alone in [name]"),
        ("[sim]\nprofile = 'azure'", "'azure' in [sim.profile]"),
        ("[sim.model]\nvolumes = {}", "[sim] model: the model has no group 'volumes': did you mean 'volume'?"),
        ("[kwok.model.volume]\nwrite_byte_per_second = 1", "did you mean 'write_bytes_per_second'?"),
        ("[sim.model.volume]\nwrite_bytes_per_second = 0", "write_bytes_per_second 0: above 0"),
        ("[sim.model.calibration]\nprofile = 'eks'", "[sim] model: calibration: Object missing required field"),
        ("[sim]\nmodel = 'absent.json'", "[sim] model = 'absent.json': No such file"),
        ("[job]\nimage_pull_policy = 'Sometimes'", "IfNotPresent or Always"),
        ("[job.pod]\naffinity = {}", "job.pod must leave affinity to the driver"),
        ("[job.container]\nimage = 'x'", "job.container must leave image to the driver"),
        (f"[cluster]\nnamespace = '{'n' * 64}'", "in [cluster.namespace]"),
        ("[limits]\njob_seconds = 0", "in [limits.job_seconds]"),
        ("name = ", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_study(write(tmp_path, text), NO_OVERRIDES)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: No such file"):
        load_study(tmp_path / "absent.toml", NO_OVERRIDES)


def test_a_file_of_the_model_is_kept_by_what_it_says_wherever_it_lies(tmp_path: Path) -> None:
    slow = {"volume": {"write_bytes_per_second": 264e6}}
    (tmp_path / "slow.json").write_bytes(msgspec.json.encode(slow))
    by_option = load_study(None, Overrides(model=tmp_path / "slow.json"))
    by_file = load_study(write(tmp_path, "[sim]\nmodel = 'slow.json'"), NO_OVERRIDES)
    assert (by_option.sim.model, by_option.kwok.model, by_file.sim.model) == (slow, slow, slow)


def test_where_a_model_comes_from_is_kept_with_the_study_and_changes_no_parameter(tmp_path: Path) -> None:
    calibration = {"profile": "eks", "study": "s", "records": [], "fitted": {}, "unidentified": {}}
    known = {"volume": {"sigma": 0.02}, "calibration": calibration}
    (tmp_path / "model.json").write_bytes(msgspec.json.encode(known))
    plan = load_study(None, Overrides(model=tmp_path / "model.json")).sim
    assert plan.model == known
    assert plan.changes == {"volume": {"sigma": 0.02}}


def test_a_profile_of_the_command_line_goes_over_that_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[sim]\nprofile = 'eks'\n[kwok]\nprofile = 'eks'")
    study = load_study(path, Overrides(profile=Profile.GKE))
    assert (study.sim.profile, study.kwok.profile) == ("gke", "gke")
    untouched = load_study(path, NO_OVERRIDES)
    assert (untouched.sim.profile, untouched.kwok.profile) == ("eks", "eks")


def test_the_seed_of_the_command_line_is_of_the_order_and_of_what_is_simulated() -> None:
    study = load_study(None, Overrides(seed=7))
    assert (study.run.seed, study.sim.seed, study.kwok.seed) == (7, 7, 7)


def test_zero_repeats_on_the_command_line_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="--repeats 0"):
        load_study(None, Overrides(repeats=0))


def test_the_ledger_gives_back_the_study_that_it_was_given(tmp_path: Path) -> None:
    path = write(tmp_path, "[[job.tolerations]]\nkey = 'gpu'\n[[sim.faults]]\nfault = 'compact'\n")
    study = load_study(path, NO_OVERRIDES)
    assert decode_study(encode_study(study)) == study


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[images]\nmore = ["docker.io/Library/nginx"]', "image 'docker.io/Library/nginx' is no reference"),
        ('[images]\nmore = ["nginx:a b"]', "image 'nginx:a b' is no reference"),
        ('[job.labels]\nteam = "a b"', "job.labels team = 'a b' is no label"),
        ('[job.node_selector]\n"a/b/c" = "x"', "job.node_selector a/b/c = 'x' is no label"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_before_anything_is_made(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(table)
    with pytest.raises(UsageError, match=said):
        load_study(path, Overrides())


def test_references_and_labels_of_every_form_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    digest = "sha256:" + "a" * 64
    more = ["busybox", "localhost:5000/a/b__c-d:V1.0", f"Registry.example.com/x@{digest}", "[::1]:5000/a"]
    path.write_text(f'[images]\nmore = {more}\n[job.labels]\n"example.com/Team" = "A_b.c"\nempty = ""\n')
    assert load_study(path, Overrides()).images.more == tuple(more)
