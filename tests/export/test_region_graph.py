"""Exported detectors with a second stage, as tensors and in onnxruntime, against the original detectors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from exported_regions import check_outputs, padded
from exporting import noise_images

import detkit
from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.export import compare, export_onnx
from detkit.export.graphs import graph_of
from detkit.export.proposals import positive_scores, propose
from detkit.export.region_graph import FasterRCNNDetections, MaskRCNNDetections
from detkit.heads.region.layers import ConvFCConfig, TwoFCConfig
from detkit.heads.region.mask import MaskHeadConfig
from detkit.inference import Predictor
from detkit.inference.light import load_exported
from detkit.models import presets
from detkit.models.detector import DetectorConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.mask_rcnn import MaskRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig

NAMES = ("a", None, "c", "d")
SMALL = PreprocessConfig(short_side=96, long_side=192)
SHAPES = ((120, 200), (230, 100), (61, 60), (1, 1), (4000, 30), (96, 160))


def faster_rcnn() -> DetectorConfig:
    config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=SMALL, neck=FPNConfig(out_channels=32))
    rpn = config.rpn.replace(pre_nms_top_k=60, max_proposals=50)
    return config.replace(rpn=rpn, region=config.region.replace(head=TwoFCConfig(hidden=32), pool_size=3))


def every_proposal() -> DetectorConfig:
    """Fewer anchors than the limits, and a threshold on the proposals."""
    config: Any = faster_rcnn()
    rpn = config.rpn.replace(pre_nms_top_k=1000, max_proposals=1000, min_score=0.5)
    return config.replace(rpn=rpn, region=config.region.replace(pre_nms_top_k=40))  # type: ignore[no-any-return]


def faster_rcnn_c4() -> DetectorConfig:
    """One map, convolutions on the pooled regions, and as many samples as a cell has map cells."""
    config, c4 = faster_rcnn(), presets.fasterrcnn_resnet50_c4()
    region = config.region.replace(head=ConvFCConfig(convs=2, width=16, hidden=32), pool_size=3, sampling_ratio=0, class_agnostic=True)
    backbone = config.backbone.replace(levels=("c4",), norm="frozen")
    neck, rpn = c4.neck.replace(out_channels=32), config.rpn.replace(anchors=c4.rpn.anchors)
    return config.replace(backbone=backbone, neck=neck, rpn=rpn, region=region)  # type: ignore[no-any-return]


def mask_rcnn() -> DetectorConfig:
    boxes: Any = faster_rcnn()
    parts = {name: getattr(boxes, name) for name in ("backbone", "preprocess", "neck", "rpn", "region")}
    return MaskRCNNConfig(mask=MaskHeadConfig(pool_size=5, convs=2, width=16, norm="batch")).replace(**parts)


def mask_rcnn_c4() -> DetectorConfig:
    boxes: Any = faster_rcnn_c4()
    parts = {name: getattr(boxes, name) for name in ("backbone", "preprocess", "neck", "rpn", "region")}
    return MaskRCNNConfig(mask=MaskHeadConfig(pool_size=3, convs=1, width=8, sampling_ratio=0)).replace(**parts)


CONFIGS = {"fpn": faster_rcnn, "all proposals": every_proposal, "c4": faster_rcnn_c4}


def predictor_of(config: DetectorConfig, names: tuple[str | None, ...] = NAMES) -> Predictor:
    """Return a predictor with spread scores without ties, so that it has detections everywhere."""
    torch.manual_seed(0)
    detector = config.build(len(names)).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if parameter.ndim > 1 and name.endswith("logits.weight"):
                parameter.mul_(20)
    detector.hide_unnamed_classes(names)
    return Predictor(detector, config.preprocess, names, "cpu", "fp32", reference=True)


@torch.no_grad()
@pytest.mark.parametrize("make", [mask_rcnn, mask_rcnn_c4])
def test_masks_equal_those_of_the_detector(make: Callable[[], DetectorConfig]) -> None:
    predictor = predictor_of(make())
    prepared, images, sizes = padded(predictor, noise_images(*SHAPES))
    detector: Any = predictor.detector
    *boxes, masks = MaskRCNNDetections(detector)(images, sizes)
    expected = detector(prepared)
    assert check_outputs(expected, tuple(boxes)) > 30
    assert masks.shape[1] == int(boxes[-1].max()), "no more masks than the most detections of an image"
    for rows, grids in zip(expected, masks, strict=True):
        torch.testing.assert_close(grids[: len(rows)], rows.mask_probabilities, atol=1e-4, rtol=0)


def test_a_file_with_masks(tmp_path: Path) -> None:
    """Written, compared, and run without PyTorch: its masks are those of the predictor, also on an image without objects."""
    pytest.importorskip("onnxruntime")
    predictor = predictor_of(mask_rcnn())
    images = noise_images(*SHAPES)
    path = tmp_path / "masks.onnx"
    agreement = export_onnx(predictor, path, images)
    assert agreement.mask is not None
    assert agreement.mask < 1e-4
    assert "masks by up to" in str(agreement)
    exported = load_exported(path)
    for own, other in zip(predictor(images), exported(images), strict=True):
        assert own.masks is not None
        assert other.masks is not None
        assert other.mask_probabilities is not None
        np.testing.assert_allclose(other.mask_probabilities, own.numpy().mask_probabilities, atol=1e-3)  # type: ignore[arg-type]
        assert np.abs(other.masks.areas - own.masks.areas).max(initial=0) <= 0.02 * own.masks.areas.max(initial=1)
    nothing = load_exported(path, min_score=1.0)(images[0])
    assert nothing.masks is not None
    assert len(nothing) == len(nothing.masks) == 0
    with torch.no_grad():
        cast("Any", predictor.detector).mask.network.logits.bias.add_(1.0)
    changed = compare(predictor, path, images)
    assert not changed.holds, "other masks than the detector's are noticed"
    assert changed.box < 0.1


@torch.no_grad()
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_detections_equal_those_of_the_detector(name: str, fold: bool) -> None:
    predictor = predictor_of(CONFIGS[name]())
    prepared, images, sizes = padded(predictor, noise_images(*SHAPES))
    detector: Any = predictor.detector
    outputs = FasterRCNNDetections(detector, fold=fold)(images, sizes)
    assert check_outputs(detector(prepared), outputs) > 30


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_proposals_equal_those_of_the_detector(name: str) -> None:
    predictor = predictor_of(CONFIGS[name]())
    prepared, _, sizes = padded(predictor, noise_images(*SHAPES))
    detector: Any = predictor.detector
    batch = detector.prepare(prepared)
    raw = detector.raw(batch)
    selected = propose(detector.rpn, raw[0], raw[1], detector.rpn.anchors_for(raw[2:], batch), sizes)
    for index, rows in enumerate(detector.propose(raw, batch, training=False)):
        count = int(selected.counts[index])
        assert count == len(rows)
        torch.testing.assert_close(selected.boxes[index, :count], rows.boxes, atol=0, rtol=0)


def test_positive_scores_keep_the_order_of_high_and_low_logits() -> None:
    logits = torch.tensor([-90.0, -20.1, -20.0, -1e-3, 0.0, 1e-3, 20.0, 20.1, 90.0])
    scores = positive_scores(logits)
    assert bool((scores[1:] > scores[:-1]).all())
    assert bool((scores > 0).all())
    assert len(logits.sigmoid().unique()) < len(logits)
    assert positive_scores(torch.tensor(-float("inf"))) == 0


@torch.no_grad()
def test_no_objects() -> None:
    predictor = predictor_of(faster_rcnn())
    detector: Any = predictor.detector
    detector.region.predictor.logits.bias[-1] = 1e4
    prepared, images, sizes = padded(predictor, noise_images(*SHAPES[:2]))
    assert check_outputs(detector(prepared), graph_of(detector)(images, sizes)) == 0


@pytest.mark.parametrize("name", ["fpn", pytest.param("all proposals", marks=pytest.mark.slow), pytest.param("c4", marks=pytest.mark.slow)])
def test_in_onnxruntime_for_any_number_of_images_of_any_shape(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    predictor, shown = predictor_of(CONFIGS[name]()), noise_images(*SHAPES)
    agreement = export_onnx(predictor, tmp_path / "model.onnx", shown)
    assert agreement.matched == agreement.detections > 30
    exported = detkit.load(tmp_path / "model.onnx", batch_size=3)
    for expected, actual in zip(predictor(shown[:2] * 2), exported(shown[:2] * 2), strict=True):
        assert len(expected) == len(actual) > 0
        torch.testing.assert_close(expected.scores, actual.scores, atol=1e-4, rtol=0)
        assert 1 not in actual.labels, "a class without a name is never reported"


@pytest.mark.slow
def test_export_in_a_process_of_its_own(tmp_path: Path) -> None:
    """torchvision's first import calls an operator, which must not be traced: other tests have imported it already."""
    config = faster_rcnn()
    predictor = predictor_of(config)
    save_checkpoint(tmp_path / "best.safetensors", predictor.detector.state_dict(), make_header(config.to_json(), NAMES))
    words = ["export", str(tmp_path / "best.safetensors"), "--output", str(tmp_path / "m.onnx")]
    done = subprocess.run([sys.executable, "-m", "detkit", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "detections agree" in done.stdout
