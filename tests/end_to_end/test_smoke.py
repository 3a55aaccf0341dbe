from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detkit.experiment import Experiment, smoke
from detkit.experiment.config import GradientStageConfig
from detkit.experiment.smoke import smoke_config

Tiny = Callable[..., Experiment]

TOO_LARGE = {"faster_rcnn_alternating_vgg16", "yolox_m", "yolox_l", "yolox_x"}
"""These take long on two cores, and ``yolox_s`` and ``faster_rcnn_alternating_lite0_bccd``, which differ in their size, go through."""


def test_smoke_goes_all_the_way(tiny: Tiny, tmp_path: Path) -> None:
    tried = smoke(tiny("kept", budget=100.0, accumulation_steps=4))
    assert tried.trained.steps == 2
    assert tried.trained.images_seen == 4
    assert (tmp_path / "kept" / "best.safetensors").is_file()
    assert tried.image.startswith("sample_")


def configs() -> list[Path]:
    return sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", configs(), ids=lambda path: path.stem)
def test_every_config_can_be_made_small(path: Path, tmp_path: Path) -> None:
    from detkit.config import load_config

    config = load_config(path, Experiment)
    small = smoke_config(config, tmp_path)
    assert small.model.backbone.weights is None
    assert small.training.steps == 2
    assert type(small.model) is type(config.model)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in configs() if path.stem not in TOO_LARGE], ids=lambda path: path.stem)
def test_every_config_goes_through(path: Path) -> None:
    from detkit.config import load_config

    config = load_config(path, Experiment)
    learns = any(isinstance(stage, GradientStageConfig) for stage in config.stages)
    assert smoke(config).trained.steps == (2 if learns else 0)  # stages that fit layers make no steps
