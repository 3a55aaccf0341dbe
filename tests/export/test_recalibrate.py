"""Exported files with other operating points: the network and everything else stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoint, OperatingPoints
from detkit.checkpoint.recalibrate import recalibrate
from detkit.cli.main import main
from detkit.export.files.recalibrate import recalibrate_exported
from detkit.inference import load, load_exported
from detkit.inference.sources import known_operating_points
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig

pytest.importorskip("onnx")
NAMES = ("cat", "dog")


def points(cat: float, dog: float) -> OperatingPoints:
    classes = {name: OperatingPoint(name, score, 0.9, 0.5, 0.64) for name, score in (("cat", cat), ("dog", dog))}
    return OperatingPoints("precision of at least 0.9 at IoU .5", "made", 12, OperatingPoint("all", cat, 0.7, 0.6, 0.65), classes)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint without operating points, with random weights and spread scores; exported as model.onnx next to it."""
    folder = tmp_path_factory.mktemp("model")
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=PreprocessConfig(short_side=64, long_side=96))
    config = config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))
    torch.manual_seed(0)
    detector = config.build(len(NAMES))
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
            if "logits" in name and parameter.ndim > 1:
                parameter.mul_(20)
    save_checkpoint(folder / "best.safetensors", detector.state_dict(), make_header(config.to_json(), list(NAMES), min_score=0.3))
    assert main(["export", str(folder / "best.safetensors"), "--output", str(folder / "model.onnx")]) == 0
    return folder / "best.safetensors"


def in_a_gap(scores: np.ndarray) -> float:
    """Return a number that is far from all scores, in the middle half of them."""
    middle = np.sort(scores)[len(scores) // 4 : -(len(scores) // 4)]
    widest = int(np.diff(middle).argmax())
    return float(middle[widest] + middle[widest + 1]) / 2


@pytest.mark.slow
def test_a_file_reports_what_its_checkpoint_reports(model: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    everything = load(model, "cpu", "fp32", min_score=0.0)(image)
    found = points(*(in_a_gap(everything.scores[everything.labels == label].numpy()) for label in (0, 1)))
    recalibrate(model, tmp_path / "new.safetensors", found)
    recalibrate_exported(model.with_name("model.onnx"), tmp_path / "new.onnx", found)
    assert known_operating_points(tmp_path / "new.onnx") == known_operating_points(tmp_path / "new.safetensors") == found
    expected = load(tmp_path / "new.safetensors", "cpu", "fp32", reference=True)(image)
    assert 0 < len(expected) < len(everything)
    for actual in (load(tmp_path / "new.onnx")(image).numpy(), load_exported(tmp_path / "new.onnx")(image)):
        assert actual.labels.tolist() == expected.labels.tolist()
        np.testing.assert_allclose(actual.boxes, expected.boxes.numpy(), atol=0.1)
    assert len(load_exported(tmp_path / "new.onnx", min_score=0.0)(image)) == len(everything)
    assert main(["export", str(tmp_path / "new.safetensors"), "--output", str(tmp_path / "again.onnx")]) == 0
    assert known_operating_points(tmp_path / "again.onnx") == found
    assert load_exported(tmp_path / "again.onnx")(image).labels.tolist() == expected.labels.tolist()


def test_other_files_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "there.onnx").touch()
    with pytest.raises(FileExistsError, match=r"there\.onnx: expected a new file"):
        recalibrate_exported(model.with_name("model.onnx"), tmp_path / "there.onnx", points(0.5, 0.5))
    with pytest.raises(ValueError, match=r"expected two \.onnx or two \.xml files"):
        recalibrate_exported(model, tmp_path / "new.onnx", points(0.5, 0.5))


def test_info_describes_the_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = replace(points(0.41, 0.3), unreached=("dog",), target="precision=0.9")
    recalibrate_exported(model.with_name("model.onnx"), tmp_path / "new.onnx", found)
    assert main(["info", str(tmp_path / "new.onnx")]) == 0
    out = capsys.readouterr().out
    assert "minimum scores: precision of at least 0.9 at IoU .5, found on made (12 images)" in out
    assert "cat     0.41      0.900   0.500  0.640" in out
    assert "OneStage, 2 classes: cat, dog" in out
    assert HEADER_FIELD not in out
