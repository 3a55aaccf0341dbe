"""A detector that sees one channel takes color and gray images alike: in training, detection and an exported file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.export import export_onnx
from detkit.inference import Predictor, load
from detkit.models.loading.transfer import transfer
from detkit.models.retinanet import RetinaNetConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets

CONFIG = RetinaNetConfig(
    backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None, grayscale=True, levels=("c3", "c4", "c5")),
    neck=FPNConfig(out_channels=32, extra_levels="p6p7"),
    preprocess=PreprocessConfig(short_side=96, long_side=192),
)
CONFIG = CONFIG.replace(head=CONFIG.head.replace(depth=1))


def predictor(reference: bool) -> Predictor:
    torch.manual_seed(0)
    detector = CONFIG.build(2).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if "logits" in name:
                parameter.mul_(20) if parameter.ndim > 1 else parameter.zero_()
    return Predictor(detector, CONFIG.preprocess, ("a", "b"), "cpu", "fp32", reference=reference)


def test_training_learns_from_color_images() -> None:
    detector = CONFIG.build(2).train()
    target = Targets.of(torch.tensor([[10.0, 10.0, 60.0, 50.0]]), torch.tensor([1]))
    losses = detector([torch.rand(3, 96, 128)], [target])
    sum(losses.values()).backward()
    gradient = detector.backbone.get_parameter("conv1.0.weight").grad
    assert gradient is not None
    assert gradient.shape == (24, 1, 3, 3)
    assert gradient.any()


@pytest.mark.parametrize("reference", [True, False])
def test_gray_and_color_arrays_of_one_image_have_the_same_detections(reference: bool) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (96, 128), dtype=np.uint8)
    detect = predictor(reference)
    first, second = detect(gray), detect(np.repeat(gray[..., None], 3, 2))
    assert len(first)
    torch.testing.assert_close(first.boxes, second.boxes)
    torch.testing.assert_close(first.scores, second.scores)


def test_a_detector_of_color_images_is_transferred() -> None:
    color = CONFIG.replace(backbone=CONFIG.backbone.replace(grayscale=False)).build(2)
    gray = CONFIG.build(2)
    report = transfer(gray, ("a", "b"), color.state_dict(), ("a", "b"))
    assert not report.reset
    name = "conv1.0.weight"
    torch.testing.assert_close(gray.backbone.get_parameter(name), color.backbone.get_parameter(name).sum(1, keepdim=True))


@pytest.mark.slow
def test_the_exported_file_takes_color_images(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    original = predictor(True)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    assert export_onnx(original, tmp_path / "gray.onnx", [image]).holds
    expected, exported = original(image), load(tmp_path / "gray.onnx")(image)
    assert len(expected)
    torch.testing.assert_close(exported.boxes, expected.boxes, rtol=1e-3, atol=1e-2)
