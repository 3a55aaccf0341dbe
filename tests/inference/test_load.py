from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.inference import choose_model, load, newest_checkpoint
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.weights import better_models_hint, embedded_path

CONFIG = FasterRCNNConfig(
    backbone=BackboneConfig(name="resnet18", weights=None),
    neck=FPNConfig(out_channels=16),
    preprocess=PreprocessConfig(short_side=64, long_side=128),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a best checkpoint of a model with random weights, whose second class has no name."""
    folder = tmp_path_factory.mktemp("runs") / "first-1"
    torch.manual_seed(0)
    save_checkpoint(folder / "best.safetensors", CONFIG.build(3).state_dict(), make_header(CONFIG.to_json(), ["cat", None, "dog"]))
    return folder


def with_header(run: Path, path: Path, **header: object) -> Path:
    from detkit.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run / "best.safetensors")
    save_checkpoint(path, checkpoint.tensors, {**checkpoint.header, **header})
    return path


def test_checkpoint_needs_no_config_file(run: Path) -> None:
    predictor = load(run / "best.safetensors", "cpu", "fp32")
    assert predictor.class_names == ("cat", None, "dog")
    assert predictor.preprocess == CONFIG.preprocess
    detections = predictor(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    assert len(detections) > 0
    assert set(detections.labels.tolist()) <= {0, 2}
    torch.manual_seed(0)
    original = CONFIG.build(3)
    for name, tensor in load(run, "cpu", reference=True).detector.state_dict().items():
        torch.testing.assert_close(tensor, original.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize(("precision", "boxes", "scores", "min_matched"), [("fp32", 1e-2, 1e-4, 0.95), ("bf16", 3.0, 0.05, 0.6)])
def test_fast_precisions_give_the_same_detections(run: Path, precision: str, boxes: float, scores: float, min_matched: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = load(run, "cpu", reference=True)(image)
    detections = load(run, "cpu", precision)(image)
    assert detections.boxes.dtype == detections.scores.dtype == torch.float32
    distances = (expected.boxes[:, None] - detections.boxes[None]).abs().amax(-1)
    matches = (distances < boxes) & ((expected.scores[:, None] - detections.scores[None]).abs() < scores)
    assert len(expected) > 10
    assert float(matches.any(1).float().mean()) > min_matched


def test_run_folder_loads_its_best_checkpoint(run: Path, tmp_path: Path) -> None:
    assert load(run, "cpu", "fp32", min_score=0.25, classes=["dog"]).min_score == 0.25
    assert load(str(run), "cpu", "fp32").class_names == ("cat", None, "dog")
    with pytest.raises(FileNotFoundError, match="best.safetensors or last.safetensors"):
        load(tmp_path)


def test_latest_run(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="no run under .* has a checkpoint"):
        choose_model(None, tmp_path, latest=True)
    for age, name in enumerate(("b-1/last", "a-1/best", "a-1/last", "c-1/best")):
        path = tmp_path / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1e9 - age, 1e9 - age))
    assert newest_checkpoint(tmp_path) == tmp_path / "b-1" / "last.safetensors"
    os.utime(tmp_path / "a-1" / "best.safetensors", (2e9, 2e9))
    assert choose_model(None, tmp_path, latest=True) == (tmp_path / "a-1" / "best.safetensors", "the newest run")
    assert choose_model("x", tmp_path, latest=True) == ("x", "as given")


def test_default_is_the_detector_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = tmp_path / "package" / "embedded.safetensors"
    monkeypatch.setattr("detkit.weights.embedded._FILE", embedded)
    assert embedded_path() is None
    with pytest.raises(FileNotFoundError, match="weights embedded: this installation of detkit has no embedded detector"):
        choose_model()
    embedded.parent.mkdir()
    embedded.touch()
    newer = tmp_path / "runs" / "a-1" / "best.safetensors"
    newer.parent.mkdir(parents=True)
    newer.touch()
    assert choose_model(None, tmp_path / "runs") == (embedded, "the detector inside the package")
    assert choose_model("embedded", tmp_path / "runs") == (embedded, "the detector inside the package")
    assert re.search(r"[\d.]+ MiB\): detkit models download (\w+), then --model \1$", better_models_hint())


def test_checkpoints_that_do_not_match(run: Path, tmp_path: Path) -> None:
    path = with_header(run, tmp_path / "a.safetensors", model='{"kind": "fastest_rcnn"}')
    with pytest.raises(ValueError, match=r"a.safetensors: unknown model kind 'fastest_rcnn': did you mean 'faster_rcnn'"):
        load(path)
    path = with_header(run, tmp_path / "b.safetensors", class_names=["cat"])
    with pytest.raises(
        ValueError, match=r"b.safetensors: its tensors do not match its config: .*expected shape \(2, 1024\), got \(4, 1024\)"
    ):
        load(path)
    path = with_header(run, tmp_path / "c.safetensors", model='{"kind": "faster_rcnn", "neck": {"kind": "fpn", "out_chanels": 16}}')
    with pytest.raises(
        ValueError, match="does not match this version of detkit: unknown key 'neck.out_chanels': did you mean 'out_channels'"
    ):
        load(path)


def test_backbone_weights_are_not_a_detector() -> None:
    with pytest.raises(ValueError, match="weights resnet50: expected a detector, got a backbone"):
        load("resnet50")


def test_published_weights_that_are_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="detkit models download fasterrcnn_resnet50_fpn"):
        load("fasterrcnn_resnet50_fpn")
