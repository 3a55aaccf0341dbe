from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detkit import zoo
from detkit.data import DataConfig
from detkit.experiment import Experiment, smoke
from detkit.experiment.config import GradientStageConfig
from detkit.experiment.smoke import smoke_config

Tiny = Callable[..., Experiment]

TOO_LARGE = {
    "faster_rcnn_alternating_vgg16",
    "rcnn_vgg16",
    "yolov1",
    "fast_rcnn_vgg16",
    *(f"yolox_{size}" for size in "smlx"),
    *(f"rtdetr_v2_{size}" for size in ("r34", "r50", "r101")),
    *(f"dfine_{size}" for size in "smlx"),
    *(f"deim_dfine_{size}" for size in "smlx"),
    *(f"deimv2_{size}" for size in ("atto", "femto", "pico")),
}
"""These take long on two cores; smaller configs of the same kind, which differ only in size, are tested."""
ALIKE = {
    "atss_r50_fpn": "atss_lite0_bccd",
    "detr_r50_dc5": "detr_r50",
    "dfine_lite0_bccd": "dfine_embedded_bccd",
    "embedded_lite0_coco": "embedded",
    "faster_rcnn_lite0_coco_sample": "faster_rcnn_lite0_bccd",
    "fcos_r50_fpn": "fcos_r50_fpn_paper",
    "fpn_r50": "fpn_mobilenet",
    "fpn_r50_v2": "fpn_mobilenet",
    "fpn_r50_voc": "fpn_mobilenet",
    "light_lite0_bccd": "light_lite0_bccd_taught",
    "mask_rcnn_r50_fpn": "mask_rcnn_lite0_coco_sample",
    "mask_rcnn_r50_fpn_v2": "mask_rcnn_lite0_coco_sample",
    "retinanet_r50_fpn": "retinanet_r50_fpn_paper",
    "rtdetr_v2_lite0_bccd": "rtdetr_v2_embedded_bccd",
    "rtdetr_v2_r18": "deim_rtdetr_v2_r18",
    "ssd512_vgg16": "ssd300_vgg16",
}
"""Configs, and for each a tested one of the same parts, from which it differs in data, lengths, sizes, or a setting that the contract tests
cover."""
TESTED = [name for name in zoo.names() if name not in TOO_LARGE | ALIKE.keys()]


@pytest.fixture(scope="module", autouse=True)
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Generate the images of the smoke tests once, and copy them for the others."""
    module, folders = importlib.import_module("detkit.experiment.smoke"), dict[Any, Path]()  # its package has a function of this name
    generate = module.make_sample

    def copied(folder: Path, images: int, **options: Any) -> DataConfig:
        key = (images, *sorted(options.items()))
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("sample")
            generate(folders[key], images, **options)
        shutil.copytree(folders[key], folder, dirs_exist_ok=True)
        return generate(folder, images, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "make_sample", copied)
        yield


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


def test_a_config_of_every_class_of_models_is_tested() -> None:
    assert {type(zoo.load(name).model) for name in TESTED} == {type(zoo.load(name).model) for name in zoo.names()}
    assert set(ALIKE.values()) <= set(TESTED)
    assert all(type(zoo.load(one).model) is type(zoo.load(other).model) for one, other in ALIKE.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
def test_smoke_of_every_config(name: str) -> None:
    config = zoo.load(name)
    has_gradient_stage = any(isinstance(stage, GradientStageConfig) for stage in config.stages)
    assert smoke(config).trained.steps == (2 if has_gradient_stage else 0)  # stages that fit layers make no steps
