"""Manifests and the layer table."""

import gzip
import json
from pathlib import Path

import pytest

from pullstudy.analysis.errors import ManifestsError, TagsError
from pullstudy.analysis.reading.layers import Layer, read_layers, read_tags, shared_by_all, write_layers
from pullstudy.analysis.reading.manifests import (
    STUDY_REPOSITORY,
    import_manifests,
    looks_like_manifests,
    read_manifests,
)
from pullstudy.store.embedded.store import NotAStudyError


def manifests_file(path: Path, tags: dict[str, list[tuple[str, int]]], **more: object) -> Path:
    manifests = {
        tag: {
            "schemaVersion": 2,
            "layers": [{"digest": digest, "size": size, "mediaType": "layer"} for digest, size in layers],
        }
        for tag, layers in tags.items()
    }
    configs = {tag: {"architecture": "arm64", "os": "linux", "variant": "v8"} for tag in tags}
    path.write_text(json.dumps({"manifests": manifests, "configs": configs, **more}))
    return path


def test_layers_come_in_the_order_of_the_manifest_with_the_platform_of_the_config(tmp_path: Path) -> None:
    layers = read_manifests(manifests_file(tmp_path / "m.json", {"one": [("sha256:b", 7), ("sha256:a", 3)]}))
    assert [(layer.position, layer.digest, layer.layer_bytes) for layer in layers] == [
        (0, "sha256:b", 7),
        (1, "sha256:a", 3),
    ]
    assert (layers[0].platform, layers[0].os, layers[0].arch) == ("linux/arm64/v8", "linux", "arm64")
    assert layers[0].image == f"{STUDY_REPOSITORY}:one"


def test_the_repository_is_the_files_own_word_before_the_callers(tmp_path: Path) -> None:
    path = manifests_file(tmp_path / "m.json", {"one": [("sha256:a", 1)]})
    assert read_manifests(path, "there/it")[0].repository == "there/it"
    path = manifests_file(tmp_path / "m.json", {"one": [("sha256:a", 1)]}, uri="file/says")
    assert read_manifests(path, "there/it")[0].repository == "file/says"


def test_a_tag_that_moved_has_only_its_new_layers(tmp_path: Path) -> None:
    study = tmp_path / "study"
    first = {"one": [("sha256:a", 1), ("sha256:b", 2)], "two": [("sha256:a", 1)]}
    import_manifests(manifests_file(tmp_path / "m.json", first), study)
    assert import_manifests(manifests_file(tmp_path / "m.json", {"one": [("sha256:c", 3)]}), study) == 1
    assert sorted((layer.tag, layer.digest) for layer in read_layers(study)) == [
        ("one", "sha256:c"),
        ("two", "sha256:a"),
    ]


def test_a_file_packed_with_gzip_holds_the_same_layers_and_a_cut_one_none(study_data: Path, tmp_path: Path) -> None:
    plain = study_data / "pulling-aws" / "manifests-config-layers.json"
    packed = tmp_path / "manifests.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    assert read_manifests(packed) == read_manifests(plain)
    packed.write_bytes(packed.read_bytes()[:1000])
    with pytest.raises(ManifestsError, match="ended before the end-of-stream marker"):
        read_manifests(packed)


def test_importing_twice_changes_nothing(aws_directory: Path, study_data: Path) -> None:
    before = read_layers(aws_directory)
    import_manifests(study_data / "pulling-aws" / "manifests-config-layers.json", aws_directory)
    assert read_layers(aws_directory) == before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"items": []}', '{"manifests": {"a": 1}}', "\xff"])
def test_a_file_that_is_no_manifests_is_named_with_what_is_expected(tmp_path: Path, content: str) -> None:
    path = tmp_path / "no.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ManifestsError, match=r"no\.json: no image manifests .*; give a JSON file"):
        read_manifests(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ManifestsError, match="No such file"):
        read_manifests(tmp_path / "absent.json")


def test_manifests_are_told_from_events() -> None:
    assert looks_like_manifests({"manifests": {}, "tags": []})
    assert not looks_like_manifests({"kind": "EventList", "items": []})
    assert not looks_like_manifests([])


def test_one_image_alone_shares_nothing() -> None:
    layer = Layer(repository="r", tag="t", position=0, digest="sha256:a", layer_bytes=1)
    assert shared_by_all([layer]) == frozenset()


def test_layers_of_a_directory_without_a_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStudyError):
        read_layers(tmp_path)


def test_writing_no_layers_makes_the_study_and_leaves_it_empty(tmp_path: Path) -> None:
    assert write_layers(tmp_path, []) == 0
    assert read_layers(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        ",r/x:one,r/x:two\nr/x:one,1,0\nr/x:two,0,1\n",
        "uri,full\nr/x,r/x:one\nr/x,r/x:two\nr/x,r/x:one\n",
        '[\n    "r/x:one",\n    "r/x:two"\n]\n',
        '["r/x:one", "r/x:two", "r/x:one", 7]',
        '{"r/x:one": {}, "r/x:two": {}}',
        "r/x:one\nr/x:two\n",
        "\ufeffimage\nr/x:one\nr/x:two\n",
    ],
)
def test_tags_are_read_from_a_header_a_column_or_a_list(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(text)
    assert read_tags(path) == ["one", "two"]


def test_a_file_that_names_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    for text in ("a,b\n1,2\n", "", "[]", "{", "[1, 2]"):
        path.write_text(text)
        with pytest.raises(TagsError, match="give a list, a CSV or a JSON file that names images"):
            read_tags(path)
