"""A training whose augmentation, image sizes and moving average change during it, with its real loader."""

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

from detkit.backbones import BackboneConfig
from detkit.checkpoint import load_state
from detkit.data import DataConfig, DetectionData, ImageRecord, SourceConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.loader import LoaderConfig
from detkit.data.writers import image_folder, write_labels
from detkit.experiment import Experiment, train
from detkit.heads.fcos import FCOSHeadConfig
from detkit.models.fcos import FCOSConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.config import EMAConfig, EMARestartConfig, TrainingConfig
from detkit.training.hooks import Hook
from detkit.training.multi_scale import MultiScaleConfig
from detkit.training.optim.groups import ParameterGroupConfig
from detkit.training.optim.optimizer import AdamWConfig
from detkit.training.optim.schedule import FlatCosineConfig

Make = Callable[..., Experiment]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that builds a small one-stage detector with a stretched square input, trained by DEIM's recipe."""
    random_numbers = np.random.default_rng(0)
    for split in ("train", "val"):
        folder, records = image_folder(tmp_path / "data", "coco", split), []
        folder.mkdir(parents=True)
        for number in range(4):
            path = folder / f"{split}_{number}.png"
            Image.fromarray(random_numbers.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(path)
            records.append(ImageRecord(path, number + 1, (40, 56), Targets.of(torch.tensor([[4.0, 4, 40, 30]]), torch.tensor([0]))))
        write_labels(DetectionData.of("toy", ["thing"], records), tmp_path / "data", "coco", split)
    source = SourceConfig(path=str(tmp_path / "data"), split="train")

    def build(output: str, **values: Any) -> Experiment:
        restart = EMARestartConfig(at=0.75, decay=0.8)
        training: dict[str, Any] = {
            "steps": 8,
            "evaluations": 4,
            "precision": "fp32",
            "ema": EMAConfig(decay=0.9, warmup_steps=4, restart=restart),
            "multi_scale": MultiScaleConfig(min_size=32, max_size=96, every_steps=1, base_size=64, between=(0.0, 0.75)),
            "clip_grad_norm": 0.1,
        }
        augmentation = AugmentationConfig(preset="deim")
        spans = {"photometric": (0.25, 0.75), "zoom_out": (0.25, 0.75), "crop": (0.25, 0.75), "mosaic": (0.25, 0.5), "mixup": (0.25, 0.5)}
        return Experiment(
            model=FCOSConfig(
                preprocess=PreprocessConfig(rule="fixed", input_size=(64, 64)),
                backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None, norm="train"),
                neck=FPNConfig(out_channels=32),
                head=FCOSHeadConfig(depth=1, norm=None),
            ),
            data=DataConfig(train=source, val=source.replace(split="val")),
            augmentation=augmentation.replace(**{name: getattr(augmentation, name).replace(between=span) for name, span in spans.items()}),
            loader=LoaderConfig(batch_size=2, workers=values.pop("workers", 0)),
            optimizer=AdamWConfig(lr=1e-3, groups=(ParameterGroupConfig(parameters="neck.backbone", lr_factor=0.1),)),
            schedule=FlatCosineConfig(warmup_steps=2, flat_until=0.5, cosine_until=0.75),
            training=TrainingConfig(**{**training, **values}),
            output=str(tmp_path / output),
        )

    return build


class Interrupt(Hook):
    """Sends SIGINT to this process after some steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_step(self, step: int, progress: float) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def same(a: Any, b: Any) -> bool:
    """Return whether two nested states are bit-identical."""
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)  # NaN on both sides


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one_with_other_workers(make: Make) -> None:
    whole = train(make("whole"), device="cpu", progress=False)
    log = (whole.folder / "log.txt").read_text()
    lines = [line.split(": ", 1)[1] for line in log.splitlines() if "of the training: augmentation" in line]
    assert lines == [
        "augmentation: no change but flips and the size",
        "augmentation: photometric, zoom_out, crop, mosaic, mixup",
        "augmentation: photometric, zoom_out, crop",
        "augmentation: no change but flips and the size",
    ]
    assert "EMA decay 0.8" in log
    first = train(make("cut", workers=1), device="cpu", progress=False, hooks=[Interrupt(3)])
    second = train(make("cut", workers=1), device="cpu", progress=False, resume=first.folder, hooks=[Interrupt(7)])
    assert (first.steps, second.steps) == (3, 7)
    last = train(make("cut"), device="cpu", progress=False, resume=first.folder)
    one, two = load_state(whole.folder / "last.state")["inside"], load_state(last.folder / "last.state")["inside"]
    for key in ("detector", "optimizer", "ema", "keeper", "random"):
        assert same(one[key], two[key]), key
    assert one["ema"]["restarted"]
