"""Loading of training and validation data with the same classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.config import Config, apply_overrides
from detkit.data import (
    DataConfig,
    DetectionData,
    ImageRecord,
    SourceConfig,
    class_lines,
    load_data,
    make_sample,
    read_source,
    split_by_image,
)
from detkit.data.splits import MOST_LINES, crowded_line
from detkit.structures import Targets


class Settings(Config):
    data: DataConfig = DataConfig()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("data")
    for kind in ("coco", "voc", "yolo"):
        make_sample(base / kind, images=8, val_images=3, kind=kind, short_side=64)  # type: ignore[arg-type]
    return {kind: base / kind for kind in ("coco", "voc", "yolo")}


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_folder_uses_its_own_splits(kind: str, folders: dict[str, Path]) -> None:
    config = apply_overrides(Settings(), [f"data={folders[kind]}"]).data
    assert config == DataConfig(train=SourceConfig(path=str(folders[kind])))
    train, val = load_data(config)
    assert (len(train), len(val)) == (8, 3)
    assert train.class_names == val.class_names
    assert train.report.summary() == val.report.summary() == []


def test_single_file_is_split_by_image(folders: dict[str, Path]) -> None:
    path = folders["coco"] / "annotations" / "instances_train.json"
    train, val = load_data(DataConfig(train=str(path)))  # type: ignore[arg-type]
    assert len(train) + len(val) == 8
    assert not set(train.records.paths) & set(val.records.paths)
    half, rest = load_data(DataConfig(train=SourceConfig(path=str(folders["voc"])), val_fraction=0.5))
    assert len(half) + len(rest) == 8
    assert "kept for validation" in half.name


def test_config_round_trip_and_overrides() -> None:
    overrides = ["data=a", "data.train.images=b", "data.val=c", "data.val.split=test", "data.rename=tvmonitor=tv", "data.classes=tv,cat"]
    config = apply_overrides(Settings(), overrides)
    assert config.data.val == SourceConfig(path="c", split="test")
    assert config.data.classes == ("tv", "cat")
    assert Settings.from_json(config.to_json()) == config
    assert apply_overrides(config, ["data.val=none"]).data.val is None


def test_split_depends_on_id_and_seed_only(folders: dict[str, Path]) -> None:
    data = read_source(SourceConfig(path=str(folders["coco"]), split="train"))
    many = data.take(list(range(8)) * 40)
    ids = tuple(range(320))
    from dataclasses import replace

    many = replace(many, records=replace(many.records, image_ids=ids))
    kept, held_out = split_by_image(many, 0.25, seed=1)
    assert 60 <= len(held_out) <= 100
    assert sorted(kept.records.image_ids + held_out.records.image_ids) == list(ids)
    fewer = many.take(range(0, 320, 3))
    again = set(split_by_image(fewer, 0.25, seed=1)[1].records.image_ids)
    assert again == set(held_out.records.image_ids) & set(fewer.records.image_ids)
    assert set(split_by_image(many, 0.25, seed=2)[1].records.image_ids) != set(held_out.records.image_ids)


def test_both_sides_of_a_split_get_an_image(folders: dict[str, Path]) -> None:
    data = read_source(SourceConfig(path=str(folders["coco"]), split="train")).take([0, 1])
    for fraction in (1e-9, 0.999999999):
        assert [len(side) for side in split_by_image(data, fraction)] == [1, 1]
    with pytest.raises(ValueError, match="1 image cannot be split"):
        split_by_image(data.take([0]), 0.5)


def with_classes(folder: Path, path: Path, names: dict[str, str]) -> Path:
    """Write the validation labels of a sample with other class names."""
    content = json.loads((folder / "annotations" / "instances_val.json").read_text())
    content["categories"] = [{"id": entry["id"], "name": names.get(entry["name"], entry["name"])} for entry in content["categories"]]
    path.write_text(json.dumps(content))
    return path


def test_validation_classes_follow_the_training_order(folders: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads((folders["coco"] / "annotations" / "instances_val.json").read_text())
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    for entry in content["categories"]:
        entry["id"] = 100 - entry["id"]
    for entry in content["annotations"]:
        entry["category_id"] = 100 - entry["category_id"]
    (tmp_path / "val.json").write_text(json.dumps(content))
    val_source = SourceConfig(path=str(tmp_path / "val.json"), images=str(folders["coco"] / "images" / "val"))
    train, val = load_data(DataConfig(train=SourceConfig(path=str(folders["coco"])), val=val_source))
    plain = load_data(DataConfig(train=SourceConfig(path=str(folders["coco"]))))[1]
    assert val.class_names == train.class_names == tuple(names.values())
    assert val.category_ids == tuple(100 - number for number in names)
    assert val.records.labels.tolist() == plain.records.labels.tolist()


def test_mismatch_lists_both_sides_and_rename_fixes_it(folders: dict[str, Path], tmp_path: Path) -> None:
    path = with_classes(folders["coco"], tmp_path / "val.json", {"cat": "Katze"})
    val = SourceConfig(path=str(path), images=str(folders["coco"] / "images" / "val"))
    config = DataConfig(train=SourceConfig(path=str(folders["coco"])), val=val)
    with pytest.raises(ValueError, match="the classes differ") as caught:
        load_data(config)
    assert "5 [Katze, coin, cup, rocket, wheel]; expected 5 [cat, coin, cup, rocket, wheel]" in str(caught.value)
    train, mapped = load_data(config.replace(rename=("Katze=cat",)))
    assert mapped.class_names == train.class_names
    with pytest.raises(ValueError, match=r"data\.rename: the data has no class 'Katse': did you mean 'Katze'"):
        load_data(config.replace(rename=("Katse=cat",)))


def test_selecting_ordering_and_renaming_classes(folders: dict[str, Path]) -> None:
    source = SourceConfig(path=str(folders["yolo"]))
    train, val = load_data(DataConfig(train=source, classes=("round", "cat"), rename=("coin=round", "wheel=round")))
    assert train.class_names == val.class_names == ("round", "cat")
    everything = read_source(source.replace(split="train"))
    counts = {name: int((everything.records.labels == label).sum()) for label, name in enumerate(everything.class_names)}
    rounds = counts["coin"] + counts["wheel"]
    assert (train.records.labels == 0).sum() == rounds
    assert train.report.totals() == {"class_not_selected": len(everything.records.boxes) - rounds - counts["cat"]}
    assert class_lines(train)[0] == f"  0 round  id 1  {rounds:,} boxes"


def test_missing_class(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"data\.classes: .* has no class 'cots': did you mean 'cat'|no class 'cots'"):
        load_data(DataConfig(train=SourceConfig(path=str(folders["coco"])), classes=("cots",)))


def test_real_data_by_folder(shared: Path) -> None:
    train, val = load_data(DataConfig(train=str(shared / "data" / "bccd")))  # type: ignore[arg-type]
    assert (len(train), len(val)) == (205, 87)
    one, other = load_data(DataConfig(train=str(shared / "data" / "coco_sample"), val_fraction=0.2))  # type: ignore[arg-type]
    assert len(one) + len(other) == 335
    assert 45 <= len(other) <= 90
    assert isinstance(one, DetectionData)


def many_classes(count: int, boxes: dict[int, int]) -> DetectionData:
    labels = np.array([label for label, number in boxes.items() for _ in range(number)], np.int64)
    rows = Targets.of(torch.tensor([[0.0, 0, 5, 5]]).repeat(len(labels), 1), torch.from_numpy(labels))
    return DetectionData.of("made", [f"c{number}" for number in range(count)], [ImageRecord(Path("a.jpg"), 1, (10, 10), rows)])


def test_of_many_classes_the_most_frequent_are_listed() -> None:
    data = many_classes(20_000, {19_999: 5, 7: 3, **dict.fromkeys(range(100, 160), 1)})
    lines = class_lines(data)
    assert len(lines) == MOST_LINES
    assert lines[0].split() == ["7", "c7", "id", "8", "3", "boxes"]
    assert lines[-2].split() == ["19999", "c19999", "id", "20000", "5", "boxes"]
    assert lines[-1] == "    and 19,961 more classes with 23 boxes; 19,938 of all 20,000 classes have none"
    assert len(class_lines(many_classes(MOST_LINES, {0: 1}))) == MOST_LINES


def test_images_with_more_objects_than_are_detected_are_counted() -> None:
    data = many_classes(3, {0: 4, 2: 3})
    assert crowded_line(data, 7) is None
    assert crowded_line(data, 5) == (
        "made: 1 of 1 images have more than 5 objects (at most 7), and no more than 5 are detected in an image: "
        "2 of 7 objects cannot be found; raise max_detections"
    )
    columns = {**data.records.columns, "is_crowd": np.arange(7) < 2}
    regions = replace(data, records=replace(data.records, columns=columns))
    assert crowded_line(regions, 5) is None, "ignore regions are no objects"
    assert "1 of 5 objects cannot be found" in str(crowded_line(regions, 4))
