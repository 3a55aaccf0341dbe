from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bright import image, predictor, saved

from detkit.checkpoint import make_header, save_checkpoint
from detkit.data import DataConfig, SourceConfig, load_data, read_source
from detkit.experiment.config import Experiment
from detkit.experiment.evaluation_run import evaluate, labeled_data, with_classes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a COCO folder with the splits train, val and test."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    for number, split in enumerate(("train", "val", "test"), 1):
        saved(tmp_path / "images", f"{number}.png", image())
        write_split(tmp_path, split, number)
    return tmp_path


def write_split(folder: Path, split: str, number: int) -> None:
    boxes = [(1, [10, 20, 20, 20]), (2, [40, 5, 20, 10])]
    content = {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 80, "height": 60}],
        "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "vert"}],
        "annotations": [{"id": n, "image_id": number, "category_id": n, "bbox": box} for n, box in boxes],
    }
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def checkpoint(folder: Path, config: DataConfig | None) -> Path:
    experiment = Experiment(data=config).to_json() if config is not None else ""
    path = folder / "best.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, make_header("{}", ("red", "green"), experiment=experiment))
    return path


def test_metrics_in_python(folder: Path) -> None:
    numbers = evaluate(predictor(60), folder / "annotations" / "instances_test.json", images=folder / "images", renames={"vert": "green"})
    assert numbers["AP"] == pytest.approx(1.0)
    assert [(row.name, row.category_id) for row in numbers.classes] == [("red", 1), ("green", 2)]
    data = read_source(SourceConfig(path=str(folder), split="val"))
    assert evaluate(predictor(60), with_classes(data, ("red",)))["AP50"] == pytest.approx(1.0)


def test_classes_must_be_those_of_the_detector(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"only in the data: 1 \[vert\]; rename classes with renames={'vert': NAME}"):
        evaluate(predictor(60), folder)
    with pytest.raises(ValueError, match="unknown evaluator 'fast'"):
        evaluate(predictor(60), folder, evaluator="fast")  # type: ignore[arg-type]


def ids(data: Any) -> list[Any]:
    return list(data.records.image_ids)


def test_the_validation_split_is_the_default(folder: Path) -> None:
    assert ids(labeled_data(None, folder)) == [2]
    assert ids(labeled_data(None, folder, split="test")) == [3]


def test_without_data_a_checkpoint_is_evaluated_on_its_validation_data(folder: Path) -> None:
    path = checkpoint(folder, DataConfig(train=SourceConfig(path=str(folder)), rename=("vert=green",)))
    for weights in (path, folder):  # a run's folder means its best checkpoint
        data = labeled_data(weights, None)
        assert (ids(data), data.class_names) == ([2], ("red", "green"))
    data = labeled_data(path, None, split="test")
    assert (ids(data), data.class_names) == ([3], ("red", "green"))
    assert evaluate(predictor(60), data)["AP"] == pytest.approx(1.0)


def test_a_checkpoint_without_recorded_data(folder: Path) -> None:
    for weights in (checkpoint(folder, None), None, "fasterrcnn_resnet50_fpn"):
        with pytest.raises(ValueError, match=r"no data given, and .* records no validation data; pass labeled images as data \(--data\)"):
            labeled_data(weights, None)


def test_difficult_objects_are_ignored_or_ordinary(folder: Path) -> None:
    labels = folder / "annotations" / "instances_val.json"
    content = json.loads(labels.read_text())
    content["annotations"][0]["difficult"] = 1
    labels.write_text(json.dumps(content))
    own = checkpoint(folder, DataConfig(train=SourceConfig(path=str(folder), difficult="object")))
    for options, expected in (
        ({}, [True, False]),
        ({"difficult": "ignore"}, [True, False]),
        ({"difficult": "object"}, [False, False]),
    ):
        assert labeled_data(own, folder, **options).records.is_crowd.tolist() == expected
        assert labeled_data(own, folder, **options).records.is_difficult.tolist() == [True, False]
    assert not labeled_data(own, None).records.is_crowd.any()
    assert labeled_data(own, None, difficult="ignore").records.is_crowd.tolist() == [True, False]


@pytest.mark.parametrize("seed", [0, 5])
def test_the_validation_part_of_a_training(tmp_path: Path, seed: int) -> None:
    for number in range(12):
        saved(tmp_path, f"{number}.png", image())
    content = {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 80, "height": 60} for number in range(12)],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [{"id": n + 1, "image_id": n, "category_id": 1, "bbox": [10, 20, 20, 20]} for n in range(12)],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    config = DataConfig(train=SourceConfig(path=str(path)), val_fraction=0.4, seed=seed)
    rest, held_out = load_data(config)
    assert 0 < len(held_out) < 12
    # The seed is that of the run; without a run it is 0.
    for weights in (checkpoint(tmp_path, config), *((None, checkpoint(tmp_path, None)) if seed == 0 else ())):
        assert ids(labeled_data(weights, path, val_fraction=0.4)) == ids(held_out)
        assert ids(labeled_data(weights, path, val_fraction=0.4, trained_on=True)) == ids(rest)
