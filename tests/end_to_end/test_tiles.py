"""Training on tiles of whole images: exact resume, validation on tiles, and an evaluation that repeats it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.checkpoint import load_checkpoint
from detkit.data import DataConfig, DetectionData, ImageRecord, SourceConfig
from detkit.data.tiles import TileConfig
from detkit.data.writers import image_folder, write_labels
from detkit.experiment import Experiment, SmokeResult, evaluate, smoke, train
from detkit.experiment.config import SVMStageConfig
from detkit.experiment.evaluation_run import detect_labeled
from detkit.experiment.first_batches import first_batches
from detkit.heads.anchors import AnchorConfig
from detkit.inference import load
from detkit.models.classifier import ClassifierConfig
from detkit.structures import Targets
from detkit.training.hooks import Hook
from detkit.training.kept_detections import KeptDetections

Tiny = Callable[..., Experiment]
TILES = TileConfig(size=48)


def on_tiles(config: Experiment, tiles: TileConfig = TILES) -> Experiment:
    return config.replace(data=config.data.replace(tiles=tiles))


class InterruptAfter(Hook):
    """Sends SIGINT to this process after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, step: int, progress: float) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_on_tiles_resumes_exactly_and_is_evaluated_on_tiles(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"steps": 4, "evaluations": 1}
    whole = train(on_tiles(tiny("whole", **options)), device="cpu", progress=False)
    assert "tiles of 48 pixels: 5 of 5 images are larger; 30 samples per epoch, at least 70 % with objects" in caplog.messages
    first = train(on_tiles(tiny("cut", **options)), device="cpu", progress=False, hooks=[InterruptAfter(2)])
    assert first.interrupted
    again = train(on_tiles(tiny("cut", **options)), device="cpu", resume=first.folder, progress=False)
    one, two = (load_checkpoint(result.folder / "last.safetensors").tensors for result in (whole, again))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"these cannot change: data\.tiles\.size = 40 \(the run has 48\)"):
        train(on_tiles(tiny("cut", **options), TileConfig(size=40)), device="cpu", resume=first.folder, progress=False)
    kept = KeptDetections.read(whole.folder / "detections_best.npz")
    repeated = detect_labeled(whole.folder, None, device="cpu").table()
    assert len(kept.scores) == len(repeated[:, 5]) > 0
    np.testing.assert_allclose(np.sort(kept.scores), np.sort(repeated[:, 5]), atol=1e-5)
    assert dict(evaluate(whole.folder, device="cpu").values) == pytest.approx(whole.numbers, nan_ok=True)


def test_the_first_batches_are_tiles(tiny: Tiny) -> None:
    (inputs,) = first_batches(on_tiles(tiny(), TileConfig(size=48, whole=0.0)), 1, "cpu")
    assert inputs.sizes == ((64, 64), (64, 64))


def test_models_that_cannot_be_trained_on_tiles_are_refused(tiny: Tiny) -> None:
    config = on_tiles(tiny())
    with pytest.raises(ValueError, match=r"data\.tiles: a classifier is trained on whole images"):
        train(config.replace(model=ClassifierConfig()), device="cpu", progress=False)
    with pytest.raises(ValueError, match=r"data\.tiles: the stage 'svm' is fitted to features of whole images"):
        train(config.replace(stages=(*config.stages, SVMStageConfig())), device="cpu", progress=False)


@pytest.mark.slow
def test_a_smoke_test_uses_tiles(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(smoke(on_tiles(tiny(), TileConfig(size=640))), SmokeResult)
    assert any(message.startswith("tiles of 128 pixels: 8 of 8 images are larger") for message in caplog.messages)


@pytest.mark.slow
def test_tiles_find_tiny_objects_of_a_large_image(tiny: Tiny, tmp_path: Path) -> None:
    """Objects of 14 pixels, which are 3 pixels at the input of the whole image and 14 at that of a tile."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 60, (320, 480, 3), dtype=np.uint8)
    corners = [(20 + 80 * column, 15 + 70 * row) for row in range(4) for column in range(5)]
    for number, (x, y) in enumerate(corners):
        pixels[y : y + 14, x : x + 14, number % 2] = 250
    path = image_folder(tmp_path / "data", "coco", "train") / "large.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(path)
    boxes = torch.tensor([(x, y, x + 14, y + 14) for x, y in corners], dtype=torch.float32)
    record = ImageRecord(path, 1, (320, 480), Targets.of(boxes, torch.arange(20) % 2))
    write_labels(DetectionData.of("large", ["red", "green"], [record]), tmp_path / "data", "coco", "train")
    source = SourceConfig(path=str(tmp_path / "data"), split="train")
    config = tiny(steps=300, evaluations=1)
    rpn = config.model.rpn.replace(anchors=AnchorConfig(sizes=((12.0,), (16.0,), (32.0,), (64.0,), (128.0,))))
    config = config.replace(
        data=DataConfig(train=source, val=source, tiles=TileConfig(size=64, whole=0.0), check="off"),
        model=config.model.replace(rpn=rpn),
        optimizer=config.optimizer.replace(lr=0.02),
    )
    run = train(config, device="cpu", progress=False)
    assert run.numbers["AP50"] > 0.8
    assert evaluate(load(run.folder, "cpu"), DetectionData.of("large", ["red", "green"], [record]))["AP50"] < 0.2
