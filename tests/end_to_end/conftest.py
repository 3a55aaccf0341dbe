from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.data import DataConfig, DetectionData, ImageRecord, SourceConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.loader import LoaderConfig
from detkit.data.writers import image_folder, write_labels
from detkit.experiment import Experiment
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.heads.rpn import RPNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.validation import EvaluationConfig

SIZE = (64, 96)


def write_data(folder: Path, split: str, count: int) -> None:
    """Write images of one size with bright boxes of two classes; the second image has no objects."""
    random = np.random.default_rng(len(split))
    images = image_folder(folder, "coco", split)
    images.mkdir(parents=True)
    records = []
    for number in range(count):
        pixels = random.integers(0, 60, (*SIZE, 3), dtype=np.uint8)
        corners = [] if number == 1 else [(4 + 8 * number, 8, 34 + 8 * number, 40), (50, 20 + number, 84, 52 + number)]
        for label, (x1, y1, x2, y2) in enumerate(corners):
            pixels[y1:y2, x1:x2, label] = 250
        path = images / f"{split}_{number}.png"
        Image.fromarray(pixels).save(path)
        boxes = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
        records.append(ImageRecord(path, number + 1, SIZE, Targets.of(boxes, torch.arange(len(corners)))))
    write_labels(DetectionData.of("toy", ["red", "green"], records), folder, "coco", split)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    folder = tmp_path_factory.mktemp("toy")
    write_data(folder, "train", 5)
    write_data(folder, "val", 2)
    source = SourceConfig(path=str(folder), split="train")
    return DataConfig(train=source, val=source.replace(split="val"))


@pytest.fixture
def tiny(toy_data: DataConfig, tmp_path: Path) -> Callable[..., Experiment]:
    """Return a function that builds a Faster R-CNN whose steps and files are small."""

    def make(output: str = "run", workers: int = 0, **training: Any) -> Experiment:
        rpn = RPNConfig(train_pre_nms_top_k=50, train_max_proposals=50, pre_nms_top_k=50, max_proposals=50, samples_per_image=32)
        return Experiment(
            name="tiny",
            model=FasterRCNNConfig(
                preprocess=PreprocessConfig(short_side=64, long_side=96),
                backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None, norm="frozen"),
                neck=FPNConfig(out_channels=16),
                rpn=rpn,
                region=RegionConfig(head=TwoFCConfig(hidden=32), samples_per_image=16),
            ),
            data=toy_data,
            augmentation=AugmentationConfig(flip=0.5),
            loader=LoaderConfig(batch_size=2, workers=workers),
            optimizer=SGDConfig(lr=0.005, lr_scaling="none"),
            schedule=CosineConfig(warmup_steps=2),
            training=TrainingConfig(**{"precision": "fp32", "log_every": 1, "steps": 6, "evaluations": 2, **training}),
            evaluation=EvaluationConfig(drawn_images=1),
            output=str(tmp_path / output),
            seed=3,
        )

    return make


@pytest.fixture
def ema() -> EMAConfig:
    return EMAConfig(decay=0.9, warmup_steps=3)
