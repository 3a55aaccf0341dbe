from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from detkit.accelerate.fused import can_fuse
from detkit.accelerate.mixed_precision import MixedPrecisionConv
from detkit.backbones import BackboneConfig
from detkit.heads.float32 import Float32Conv2d, Float32Linear
from detkit.heads.region.layers import TwoFCConfig
from detkit.heads.region.mask import MaskHeadConfig
from detkit.inference.optimize import optimize
from detkit.layers import FrozenBatchNorm
from detkit.models.detector import Detector
from detkit.models.mask_rcnn import MaskRCNNConfig
from detkit.models.presets.torchvision import fasterrcnn_mobilenet_v3_large_320_fpn, fasterrcnn_resnet50_fpn_v2, retinanet_resnet50_fpn
from detkit.necks import FPNConfig
from detkit.structures import Detections


def randomized(detector: Detector) -> Detector:
    """Randomize the norms, and scale up the last layers so that objects are run_detector."""
    generator = torch.Generator().manual_seed(0)
    for module in detector.modules():
        if hasattr(module, "running_var"):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
        if isinstance(module, (Float32Conv2d, Float32Linear)):
            module.weight.data.mul_(8.0)
    return detector.train()


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    config = fasterrcnn_mobilenet_v3_large_320_fpn()
    config = config.replace(backbone=config.backbone.replace(weights=None), rpn=config.rpn.replace(max_proposals=60))
    with torch.no_grad():
        return randomized(config.build(5))


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand((3, 120, 160), generator=generator), torch.rand((3, 97, 130), generator=generator)]


def run_detector(detector: Detector, images: list[Tensor], dtype: torch.dtype) -> tuple[list[Detections], Tensor]:
    was_training = detector.training
    detector.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        batch = detector.prepare(images)
        raw = detector.raw(batch)
        detections = detector.detect(raw, batch)
    detector.train(was_training)
    return detections, raw[0]


def test_float32_detections_differ_only_by_rounding(detector: Detector, images: list[Tensor]) -> None:
    expected, logits = run_detector(detector, images, torch.float32)
    actual, fast_logits = run_detector(optimize(detector, torch.float32), images, torch.float32)
    torch.testing.assert_close(fast_logits, logits, atol=1e-3, rtol=1e-3)
    assert all(len(rows) > 3 for rows in expected)
    for rows, expected_rows in zip(actual, expected, strict=True):
        torch.testing.assert_close(rows.scores, expected_rows.scores, atol=1e-4, rtol=0)
        torch.testing.assert_close(rows.boxes, expected_rows.boxes, atol=1e-2, rtol=0)
        assert torch.equal(rows.labels, expected_rows.labels)


def test_bfloat16_logits_are_close_and_float32(detector: Detector, images: list[Tensor]) -> None:
    _, logits = run_detector(detector, images, torch.float32)
    actual, fast_logits = run_detector(optimize(detector, torch.bfloat16), images, torch.bfloat16)
    assert fast_logits.dtype == actual[0].scores.dtype == torch.float32
    assert float((fast_logits - logits).abs().mean() / logits.std()) < 0.05


def test_input_detector_is_not_modified(detector: Detector) -> None:
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    fast = optimize(detector, torch.bfloat16)
    assert detector.training
    assert not fast.training
    assert all(torch.equal(tensor, before[name]) and tensor.dtype == before[name].dtype for name, tensor in detector.state_dict().items())
    assert any(parameter.requires_grad for parameter in detector.parameters())
    assert not any(parameter.requires_grad for parameter in fast.parameters())


def test_norms_are_folded_and_only_last_layers_stay_in_float32() -> None:
    fast = optimize(detector_with_norms(), torch.bfloat16)
    layers = [module for module in fast.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert not [module for module in fast.modules() if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm))]
    for layer in layers:
        assert layer.weight.dtype == (torch.float32 if isinstance(layer, (Float32Conv2d, Float32Linear)) else torch.bfloat16)
        assert layer.weight.ndim == 2 or layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_with_a_depthwise_backbone_only_linear_layers_run_in_half_precision(detector: Detector) -> None:
    fast = optimize(detector, torch.bfloat16)
    for layer in [module for module in fast.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]:
        halved = isinstance(layer, nn.Linear) and not isinstance(layer, Float32Linear)
        assert layer.weight.dtype == (torch.bfloat16 if halved else torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert {level.dtype for level in fast.neck(torch.zeros(1, 3, 64, 64))} == {torch.float32}


def test_float32_wrapper_forwards_attributes_of_the_backbone(detector: Detector) -> None:
    fast = optimize(detector, torch.bfloat16)
    assert fast.backbone.channels == detector.backbone.channels
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = fast.backbone.nothing_such


def test_norms_in_neck_and_heads_are_folded() -> None:
    fast = optimize(detector_with_norms(), torch.float32)
    assert not [module for module in fast.modules() if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm))]


@pytest.mark.skipif(not can_fuse(torch.bfloat16), reason="oneDNN does not accept bfloat16 on this CPU: these layers stay in float32")
def test_wide_classification_layers_multiply_in_bfloat16() -> None:
    with torch.device("meta"):
        wide, narrow = (retinanet_resnet50_fpn().build(classes) for classes in (20, 3))
    fast = optimize(wide.to_empty(device="cpu"), torch.bfloat16)
    assert isinstance(fast.head.dense.logits, MixedPrecisionConv)
    assert fast.head.dense.logits.exact
    assert type(fast.head.dense.deltas) is Float32Conv2d
    assert type(optimize(narrow.to_empty(device="cpu"), torch.bfloat16).head.dense.logits) is Float32Conv2d
    assert type(optimize(wide, torch.float32).head.dense.logits) is Float32Conv2d


def test_wide_last_layers_stay_in_float32_without_bfloat16_in_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.inference.optimize.can_fuse", lambda dtype=torch.float32: dtype != torch.bfloat16)
    with torch.device("meta"):
        wide = retinanet_resnet50_fpn().build(20)
    assert type(optimize(wide.to_empty(device="cpu"), torch.bfloat16).head.dense.logits) is Float32Conv2d


def detector_with_norms() -> Detector:
    config = fasterrcnn_resnet50_fpn_v2()
    with torch.device("meta"):
        detector = config.replace(backbone=config.backbone.replace(name="resnet18", weights=None)).build(3)
    return detector.to_empty(device="cpu")


@pytest.mark.parametrize("backbone", ["shufflenet_v2_x0_5", "resnet18"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_of_the_optimized_copy(backbone: str, dtype: torch.dtype) -> None:
    """The mask head has a transposed convolution, and a last layer with labels as a further input; one backbone is depthwise."""
    config = MaskRCNNConfig(
        backbone=BackboneConfig(name=backbone, weights=None), neck=FPNConfig(out_channels=16), mask=MaskHeadConfig(convs=1, width=16)
    )
    torch.manual_seed(0)
    region = config.region.replace(head=TwoFCConfig(hidden=16), min_score=0.0, max_detections=5)
    detector = config.replace(region=region, rpn=config.rpn.replace(max_proposals=10)).build(2).eval()
    fast = optimize(detector, dtype)
    images = [torch.rand(3, 64, 96)]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        batch = fast.prepare(images)
        rows, exact = fast.detect(fast.raw(batch), batch)[0], detector(images)[0]
    assert rows.mask_probabilities is not None
    assert exact.mask_probabilities is not None
    assert rows.mask_probabilities.dtype == torch.float32
    assert len(rows) == len(exact) > 0
    means = [part.mask_probabilities.mean() for part in (rows, exact)]
    torch.testing.assert_close(*means, atol=0.02, rtol=0)
