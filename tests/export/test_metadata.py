"""Metadata that an exported file keeps of its checkpoint besides the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoint, OperatingPoints
from detkit.cli.main import main
from detkit.inference.exported.metadata import FORMAT, METADATA_KEY
from detkit.inference.sources import known_classes, known_operating_points, suggested_min_score
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig

onnx = pytest.importorskip("onnx")
NAMES = ("cat", "dog")
POINTS = OperatingPoints(
    "best F1 at IoU .5", "made", 12, OperatingPoint("all", 0.21, 0.7, 0.6, 0.65), {"dog": OperatingPoint("dog", 0.4, 0.9, 0.5, 0.64)}
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported detector whose checkpoint has operating points."""
    folder = tmp_path_factory.mktemp("exported")
    preprocess = PreprocessConfig(short_side=64, long_side=96)
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=preprocess)
    config = config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))
    torch.manual_seed(0)
    header = make_header(config.to_json(), list(NAMES), **{HEADER_FIELD: POINTS.to_dict()})
    save_checkpoint(folder / "best.safetensors", config.build(len(NAMES)).state_dict(), header)
    assert main(["export", str(folder / "best.safetensors"), "--output", str(folder / "model.onnx")]) == 0
    return folder / "model.onnx"


def changed(file: Path, copy: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy an exported file with other metadata."""
    model = onnx.load(str(file))
    (entry,) = (row for row in model.metadata_props if row.key == METADATA_KEY)
    metadata = json.loads(entry.value)
    change(metadata)
    entry.value = json.dumps(metadata)
    copy.write_bytes(model.SerializeToString())
    return copy


@pytest.mark.slow
def test_the_operating_points_of_the_checkpoint_are_kept(exported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert known_operating_points(exported) == POINTS
    assert suggested_min_score(exported) == POINTS.overall.score
    assert known_classes(exported) == NAMES
    assert main(["detect", "--model", str(exported), "--no-draw"]) == 0
    lines = (
        "minimum scores by class: 0.4 to 0.4 (best F1 at IoU .5, on 12 images of made); change them with --min-score\n"
        "1 class has no score of its own and uses that of all classes, 0.21: cat\n"
    )
    assert lines in capsys.readouterr().out


def test_files_of_the_first_version_have_none(exported: Path, tmp_path: Path) -> None:
    def of_version_1(metadata: dict[str, Any]) -> None:
        metadata["format"] = 1
        del metadata["operating_points"]

    old = changed(exported, tmp_path / "old.onnx", of_version_1)
    assert known_operating_points(old) is None
    assert suggested_min_score(old) == POINTS.overall.score
    newer = changed(exported, tmp_path / "newer.onnx", lambda metadata: metadata.update(format=FORMAT + 1))
    with pytest.raises(ValueError, match=r"newer\.onnx: written by detkit .* in a newer format; update detkit"):
        known_operating_points(newer)


@pytest.mark.parametrize("points", ["[1]", "{", '{"rule": "x"}'])
def test_damaged_points_are_an_error_that_names_the_file(exported: Path, tmp_path: Path, points: str) -> None:
    bad = changed(exported, tmp_path / "bad.onnx", lambda metadata: metadata.update(operating_points=points))
    with pytest.raises(ValueError, match=r"bad\.onnx: operating_points"):
        known_operating_points(bad)


def test_info_states_how_many_images_a_file_takes(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(exported)]) == 0
    assert "in fp32; takes any number of images per call, images of any size, padded to multiples of 32" in capsys.readouterr().out
