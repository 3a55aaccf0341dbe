from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detkit import zoo
from detkit.config import apply_overrides
from detkit.experiment import Experiment, smoke
from detkit.experiment.config import GradientStageConfig
from detkit.experiment.smoke import smoke_config

Tiny = Callable[..., Experiment]

TOO_LARGE = {
    "faster_rcnn_alternating_vgg16",
    *(f"yolox_{size}" for size in "mlx"),
    *(f"rtdetr_v2_{size}" for size in ("r34", "r50", "r101")),
    *(f"dfine_{size}" for size in "mlx"),
    *(f"deim_dfine_{size}" for size in "smlx"),
    *(f"deimv2_{size}" for size in ("atto", "femto", "pico")),
}
"""These take long on two cores; smaller configs of the same kind, which differ only in size, are tested."""
NARROWER = {"yolov1": "model.head.hidden=256,"}
"""Overrides of networks most of whose time goes into one layer: YOLOv1's first fully connected layer has 200 million weights."""


def test_smoke_of_a_tiny_config(tiny: Tiny, tmp_path: Path) -> None:
    result = smoke(tiny("kept", budget=100.0, accumulation_steps=4))
    assert result.trained.steps == 2
    assert result.trained.images_seen == 4
    assert (tmp_path / "kept" / "best.safetensors").is_file()
    assert result.image.startswith("sample_")


@pytest.mark.parametrize("name", zoo.names())
def test_every_config_can_be_made_small(name: str, tmp_path: Path) -> None:
    config = zoo.load(name)
    small = smoke_config(config, tmp_path)
    assert small.model.backbone.weights is None
    assert small.training.steps == 2
    assert type(small.model) is type(config.model)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in TOO_LARGE])
def test_smoke_of_every_config(name: str) -> None:
    config = apply_overrides(zoo.load(name), [NARROWER[name]] if name in NARROWER else [])
    has_gradient_stage = any(isinstance(stage, GradientStageConfig) for stage in config.stages)
    assert smoke(config).trained.steps == (2 if has_gradient_stage else 0)  # stages that fit layers make no steps
