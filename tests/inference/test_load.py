from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.inference import choose_weights, load, newest_checkpoint
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.weights import better_models_hint, embedded

CONFIG = FasterRCNNConfig(
    backbone=BackboneConfig(name="resnet18", weights=None),
    neck=FPNConfig(out_channels=16),
    preprocess=PreprocessConfig(short_side=64, long_side=128),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a best checkpoint of a model with random weights, whose second class has no name."""
    folder = tmp_path_factory.mktemp("runs") / "first-1"
    torch.manual_seed(0)
    save_checkpoint(folder / "best.safetensors", CONFIG.build(3).state_dict(), make_header(CONFIG.to_json(), ["cat", None, "dog"]))
    return folder


def changed(run: Path, path: Path, **header: object) -> Path:
    from detkit.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run / "best.safetensors")
    save_checkpoint(path, checkpoint.tensors, {**checkpoint.header, **header})
    return path


def test_a_checkpoint_detects_without_its_config_file(run: Path) -> None:
    predictor = load(run / "best.safetensors", "cpu", "fp32")
    assert predictor.class_names == ("cat", None, "dog")
    assert predictor.preprocess == CONFIG.preprocess
    found = predictor(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    assert len(found) > 0
    assert set(found.labels.tolist()) <= {0, 2}
    torch.manual_seed(0)
    fresh = CONFIG.build(3)
    for name, tensor in load(run, "cpu", reference=True).detector.state_dict().items():
        torch.testing.assert_close(tensor, fresh.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize(("precision", "boxes", "scores", "least"), [("fp32", 1e-2, 1e-4, 0.95), ("bf16", 3.0, 0.05, 0.6)])
def test_the_fast_ways_find_the_same(run: Path, precision: str, boxes: float, scores: float, least: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = load(run, "cpu", reference=True)(image)
    found = load(run, "cpu", precision)(image)
    assert found.boxes.dtype == found.scores.dtype == torch.float32
    apart = (expected.boxes[:, None] - found.boxes[None]).abs().amax(-1)
    like = (apart < boxes) & ((expected.scores[:, None] - found.scores[None]).abs() < scores)
    assert len(expected) > 10
    assert float(like.any(1).float().mean()) > least


def test_a_runs_folder_means_its_best_checkpoint(run: Path, tmp_path: Path) -> None:
    assert load(run, "cpu", "fp32", min_score=0.25, classes=["dog"]).min_score == 0.25
    assert load(str(run), "cpu", "fp32").class_names == ("cat", None, "dog")
    with pytest.raises(FileNotFoundError, match="best.safetensors or last.safetensors"):
        load(tmp_path)


def test_the_newest_run_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.weights.carried._FILE", tmp_path / "none.safetensors")
    assert newest_checkpoint(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="there is no detector to use"):
        choose_weights(None, tmp_path)
    for age, name in enumerate(("b-1/last", "a-1/best", "a-1/last", "c-1/best")):
        path = tmp_path / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1e9 - age, 1e9 - age))
    assert newest_checkpoint(tmp_path) == tmp_path / "b-1" / "last.safetensors"
    os.utime(tmp_path / "a-1" / "best.safetensors", (2e9, 2e9))
    assert choose_weights(None, tmp_path) == (tmp_path / "a-1" / "best.safetensors", "the newest run's")
    assert choose_weights("x", tmp_path) == ("x", "as given")


def test_without_a_run_it_is_the_one_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "package" / "embedded.safetensors"
    monkeypatch.setattr("detkit.weights.carried._FILE", own)
    assert embedded() is None
    own.parent.mkdir()
    own.touch()
    assert choose_weights(None, tmp_path / "runs") == (own, "the one that detkit carries")
    newer = tmp_path / "runs" / "a-1" / "best.safetensors"
    newer.parent.mkdir(parents=True)
    newer.touch()
    assert choose_weights(None, tmp_path / "runs") == (newer, "the newest run's")
    assert re.search(r"[\d.]+ MiB\): detkit weights download (\w+), then --weights \1$", better_models_hint())


def test_other_models_and_tensors_are_told(run: Path, tmp_path: Path) -> None:
    path = changed(run, tmp_path / "a.safetensors", model='{"kind": "fastest_rcnn"}')
    with pytest.raises(ValueError, match=r"a.safetensors: a model of kind 'fastest_rcnn': did you mean 'faster_rcnn'"):
        load(path)
    path = changed(run, tmp_path / "b.safetensors", class_names=["cat"])
    with pytest.raises(
        ValueError, match=r"b.safetensors: its tensors do not fit its config: .*expected shape \(2, 1024\), got \(4, 1024\)"
    ):
        load(path)
    path = changed(run, tmp_path / "c.safetensors", model='{"kind": "faster_rcnn", "neck": {"kind": "fpn", "out_chanels": 16}}')
    with pytest.raises(
        ValueError, match="does not fit this version of detkit: unknown key 'neck.out_chanels': did you mean 'out_channels'"
    ):
        load(path)


def test_backbone_weights_are_no_detector() -> None:
    with pytest.raises(ValueError, match="weights resnet50: of a backbone, and a detector is needed"):
        load("resnet50")


def test_published_weights_that_are_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="detkit weights download fasterrcnn_resnet50_fpn"):
        load("fasterrcnn_resnet50_fpn")
