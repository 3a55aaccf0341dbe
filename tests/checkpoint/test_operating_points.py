from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.checkpoint import average, load_checkpoint, make_header, pack, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, Evidence, OperatingPoint, OperatingPoints

NAN = float("nan")
FOUND = (
    OperatingPoint("all", 0.142, 0.5, 0.75, 0.6),
    OperatingPoint("cat", 0.3, 1.0, 0.5, 2 / 3),
    OperatingPoint("dog", NAN, NAN, NAN, NAN),
    OperatingPoint("all", 0.2, 0.1, 0.2, 0.3),  # a class of this name
)


def points() -> OperatingPoints:
    found = OperatingPoints.of(FOUND, "aquarium val", 63)
    assert found is not None
    return found


def test_points_are_restored_from_json() -> None:
    restored = OperatingPoints.from_dict(json.loads(json.dumps(points().to_dict())))
    assert restored == points()
    assert restored.overall.score == 0.142
    assert {name: point.score for name, point in restored.classes.items()} == {"cat": 0.3, "all": 0.2}


def test_without_a_correct_detection_there_are_none() -> None:
    assert OperatingPoints.of((FOUND[2], FOUND[2]), "data", 1) is None


def test_fields_of_later_versions_are_passed_over() -> None:
    values = points().to_dict()
    later = {**values, "calibration": [1], "overall": {**values["overall"], "cost": 3}}
    assert OperatingPoints.from_dict(later) == points()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rule": 7}, "rule"),
        ({"images": -1}, "images"),
        ({"overall": None}, "overall"),
        ({"overall": {"score": 2.0, "precision": 0.1, "recall": 0.1, "f1": 0.1}}, "all: score"),
        ({"classes": [1]}, "classes"),
        ({"classes": {"cat": {"score": "high"}}}, "classes.cat"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        OperatingPoints.from_dict({**points().to_dict(), **change}, "checkpoint a")


def test_packing_keeps_them_and_an_average_does_not(tmp_path: Path) -> None:
    header = make_header('{"kind": "yolox"}', ["cat", "dog", "all"], **{HEADER_FIELD: points().to_dict()})
    for name in ("a", "b"):
        save_checkpoint(tmp_path / f"{name}.safetensors", {"w": torch.ones(2, 2)}, header)
    assert load_checkpoint(tmp_path / "a.safetensors").operating_points == points()
    pack(tmp_path / "a.safetensors", tmp_path / "packed.safetensors")
    assert load_checkpoint(tmp_path / "packed.safetensors").operating_points == points()
    average([tmp_path / "a.safetensors", tmp_path / "b.safetensors"], tmp_path / "mean.safetensors")
    assert load_checkpoint(tmp_path / "mean.safetensors").operating_points is None


def test_calibrated_points_keep_their_evidence() -> None:
    evidence = Evidence(40, 0.05, {"precision": (0.8, 0.97), "recall": (0.4, 0.6)})
    found = OperatingPoints.of((FOUND[0], FOUND[1]), "aquarium", 63)
    assert found is not None
    calibrated = replace(
        found,
        classes={"cat": replace(FOUND[1], evidence=evidence)},
        target="precision=0.9",
        split="val",
        unreached=("dog",),
        overall_reached=False,
    )
    assert OperatingPoints.from_dict(json.loads(json.dumps(calibrated.to_dict()))) == calibrated
    old = {key: value for key, value in found.to_dict().items() if key in {"rule", "data", "images", "overall", "classes"}}
    assert OperatingPoints.from_dict(old) == found, "files of earlier versions have no target"


def test_classes_without_a_score_of_their_own_use_that_of_all() -> None:
    assert [points().score_of(name) for name in ("cat", "dog", None)] == [0.3, 0.142, 0.142]
    assert points().without_own(("cat", None, "dog", "bird")) == ("dog", "bird")
