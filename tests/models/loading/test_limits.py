"""Configs in checkpoints that ask for more memory than any model: one sentence, before anything is allocated."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import load_checkpoint, make_header, save_checkpoint
from detkit.config import apply_overrides
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.models.detector import DetectorConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.loading.checkpoints import from_checkpoint
from detkit.models.loading.limits import BuildLimit
from detkit.models.rcnn import RCNNConfig
from detkit.models.yolox import YOLOXConfig
from detkit.necks import FPNConfig

BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))
FCOS = FCOSConfig(backbone=BACKBONE, neck=FPNConfig(out_channels=8), head=FCOSHeadConfig(depth=1, norm=None))
REGION = FastRCNNConfig().region.replace(head=TwoFCConfig(hidden=8))
FAST = FastRCNNConfig(backbone=BACKBONE.replace(levels=("c4",)), region=REGION)
RCNN = RCNNConfig(backbone=BACKBONE.replace(levels=("c5",)), region=REGION.replace(pooling="align"), warp_size=64)
YOLOX = YOLOXConfig(backbone=BackboneConfig(name="csp_darknet_nano", weights=None))


def error_of(path: Path, config: DetectorConfig, classes: int = 2, **tensors: Any) -> str:
    """Return the error of a small checkpoint whose header has this config."""
    names = [f"class {index}" for index in range(classes)]
    save_checkpoint(path, {"w": torch.zeros(1), **tensors}, make_header(config.to_json(), names))
    started = time.perf_counter()
    with pytest.raises(ValueError, match="checkpoint") as error:
        from_checkpoint(load_checkpoint(path), str(path))
    assert time.perf_counter() - started < 60
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("config", "override"),
    [
        (FCOS, "neck.out_channels=1000000000"),
        (FCOS, "neck.out_channels=1000000"),
        (FCOS, "neck.out_channels=20000"),
        (FCOS, "head.depth=1000000000"),
        (FCOS, "head.depth=9000000"),
        (YOLOX, "head.channels=1000000000"),
        (YOLOX, "head.channels=50000"),
        (YOLOX, "neck.depth=9000000"),
        (FAST, "region.head.hidden=1000000000"),
        (FAST, "region.head.hidden=9000000"),
        (FAST, "region.samples_per_image=1000000000000"),
    ],
)
def test_layers_of_any_size_are_not_built(tmp_path: Path, config: DetectorConfig, override: str) -> None:
    message = error_of(tmp_path / "a.safetensors", apply_overrides(config, [override]))
    assert "expected at most" in message or "a far larger model" in message


@pytest.mark.parametrize(
    ("config", "override", "key"),
    [
        (RCNN, "warp_size=100000", "warp_size"),
        (FAST, "region.pool_size=100000", "pool_size"),
        (FAST, "region.sampling_ratio=100000", "sampling_ratio"),
        (FAST, "scales=1000000,1", "scales"),
        (FCOS, "preprocess.short_side=100000", "short_side"),
        (FCOS, "preprocess.long_side=100000", "long_side"),
    ],
)
def test_numbers_that_multiply_the_memory_of_a_detection(tmp_path: Path, config: DetectorConfig, override: str, key: str) -> None:
    message = error_of(tmp_path / "a.safetensors", apply_overrides(config, [override]))
    assert f"{key}: expected" in message


@pytest.mark.parametrize("side", [16_000, 10**6, 10**12])
def test_an_input_of_any_size_is_refused(tmp_path: Path, side: int) -> None:
    model = json.loads(YOLOX.to_json())
    model["preprocess"]["input_size"] = [side, side]
    save_checkpoint(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, make_header(json.dumps(model), ["a"]))
    with pytest.raises(ValueError, match="checkpoint a: .*pixels"):
        from_checkpoint(load_checkpoint(tmp_path / "a.safetensors"), "a")


def test_three_million_classes_are_refused_by_the_header(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"class_names: expected a list of at most 100,000 names, got a list of 3,000,000"):
        error_of(tmp_path / "a.safetensors", YOLOX, classes=3_000_000)


def test_many_classes_on_small_tensors(tmp_path: Path) -> None:
    config = apply_overrides(FCOS, ["neck.out_channels=1024"])
    assert "a far larger model" in error_of(tmp_path / "a.safetensors", config, classes=90_000)


CREATED = {
    "sides": lambda: torch.empty(10**5, 10**4),
    "a size": lambda: torch.zeros((10**5, 10**4)),
    "a value": lambda: torch.full((10**9,), 1.0),
    "by keyword": lambda: torch.rand(size=(10**9,)),
}


@pytest.mark.parametrize("create", CREATED.values(), ids=CREATED)
def test_an_allocation_is_stopped_before_it_is_made(create: Any) -> None:
    with pytest.raises(ValueError, match="the next tensor would have the shape"), BuildLimit({"w": torch.zeros(3)}, "a"):
        create()


@pytest.mark.parametrize("seed", [2**40])
def test_a_seed_may_be_any_number(tmp_path: Path, seed: int) -> None:
    config = FAST.replace(proposals=FAST.proposals.replace(seed=seed))
    detector = config.build(2)
    save_checkpoint(tmp_path / "a.safetensors", detector.state_dict(), make_header(config.to_json(), ["a", "b"]))
    loaded = from_checkpoint(load_checkpoint(tmp_path / "a.safetensors"), "a")
    assert loaded.config == config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FCOS.replace(head=FCOSHeadConfig(depth=1, norm="group"), neck=FPNConfig(out_channels=7)), "its config cannot be built"),
        (FAST.replace(scales=(0.5, -1.0)), "its config cannot be built: model.scales: expected factors above 0"),
        (FAST.replace(proposals=FAST.proposals.replace(max_proposals=10**400)), "max_proposals: expected at most"),
    ],
)
def test_a_config_that_cannot_be_built_names_the_checkpoint(tmp_path: Path, config: DetectorConfig, message: str) -> None:
    assert message in error_of(tmp_path / "a.safetensors", config)


def test_no_classes_name_the_checkpoint(tmp_path: Path) -> None:
    assert "num_classes: expected at least one class" in error_of(tmp_path / "a.safetensors", FCOS, classes=0)
