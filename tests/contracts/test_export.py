"""Every config that ships with detkit can be exported, with random weights: the file's detections are those of the detector.

Small configs of most families always run, and those of the others with the slow tests. The whole list takes half an hour:
``DETKIT_EVERY_CONFIG=1 pytest -n 0 -m "" tests/contracts/test_export.py``. Its outcome is recorded in docs/results/export/registry.json.
With ``changed`` instead of ``1``, only the cases run that did not pass with the present code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from export_record import SWITCH, read, recorded, skip_unless_changed
from exported_regions import RandomBoxes
from exporting import noise_images, photographs
from torch import Tensor, nn

import detkit
from detkit import zoo
from detkit.export import ExportSettings, export_onnx
from detkit.export.agreement import Agreement, Tolerance
from detkit.export.graph import MAX_DETECTIONS
from detkit.inference import Predictor
from detkit.models.detector import DetectorConfig
from detkit.proposals import ProposalsConfig

pytest.importorskip("onnxruntime")
NAMES = ("a", "b", None, "c", "d")
RANDOM_WEIGHTS = Tolerance(score=0.05, box=0.5, matched=0.98)
"""Random layers enlarge the differences of rounding more than trained ones, and a box that NMS lost is compared with its neighbor."""
SHAPES = ((120, 200), (230, 100), (61, 60), (4000, 30), (64, 500))
FAST = ("fast_rcnn_lite0_bccd", "sppnet_lite0_bccd", "classify_bccd_crops", "light_lite0_bccd")
"""Small configs of families: given proposals with max pooling, with a pyramid, whole images, one stage.

By default, ``tests/export`` has two stages in ``test_region_graph``, and warped proposals in ``test_proposal_graphs``.
"""
SLOW = (
    "deimv2_atto",
    "detr_lite0_bccd",
    "embedded_bccd",
    "faster_rcnn_lite0_bccd",
    "mask_rcnn_lite0_coco_sample",
    "rtdetr_v2_embedded_bccd",
    "ssd_lite0_bccd",
)
"""Small configs of the other families."""
EVERY = pytest.mark.skipif(not os.environ.get(SWITCH), reason=f"takes half an hour: set {SWITCH}=1")
PHOTOGRAPHS = ("fpn_r50", "fast_rcnn_r50_fpn", "fcos_r50_fpn", "ssd300_vgg16", "detr_r50", "dfine_s", "yolox_s", "sppnet_zf")
"""Configs that run on photographs, small and at the sizes of their papers."""
AT_FULL_SIZE, ON_16_PHOTOGRAPHS = "at the size of the paper", "on 16 photographs"


def distinct_configs() -> dict[str, DetectorConfig]:
    """Return the first config of each network; several differ only in their training."""
    by_network: dict[str, str] = {}
    configs = {name: small(zoo.load(name).model) for name in zoo.names()}
    for name in sorted(configs, key=lambda name: (name not in FAST, name)):
        by_network.setdefault(configs[name].to_json(), name)
    return {name: configs[name] for name in by_network.values()}


def small(config: Any) -> DetectorConfig:
    """Return a config without weights, and for small images where their size is free."""
    preprocess = config.preprocess
    if preprocess.input_size is None:
        preprocess = preprocess.replace(short_side=96, long_side=192)
    elif not has_fixed_size(config):
        preprocess = preprocess.replace(input_size=(160, 192))
    smaller = {"warp_size": 64, "context_pixels": 5} if config.kind == "rcnn" else {}
    return config.replace(backbone=config.backbone.replace(weights=None), preprocess=preprocess, **smaller)  # type: ignore[no-any-return]


def has_fixed_size(config: Any) -> bool:
    """Return whether a network takes images of one size only; others are resized to one size, of any number of pixels."""
    return config.whole_images or getattr(config, "has_fixed_size", False)


def predictor_of(config: Any, images: Sequence[Any]) -> Predictor:
    """Return a predictor with random weights whose activations stay in range on these images, and whose scores are spread."""
    torch.manual_seed(0)
    detector = config.build(len(NAMES)).eval()
    detector.hide_unnamed_classes(NAMES)
    for name, parameter in detector.named_parameters():
        if name.endswith("bias") and parameter.min() < -3:  # of a class head that begins with low scores
            parameter.data.zero_()
    proposer = ProposalsConfig(max_proposals=60).build(RandomBoxes())
    predictor = Predictor(detector, config.preprocess, NAMES, "cpu", "fp32", reference=True, proposer=proposer)
    # Where images are of one size, statistics of one alone would give others scores of exactly 1, of which any may be kept.
    together = Predictor(detector, config.preprocess, NAMES, "cpu", "fp32", reference=True, proposer=proposer, batch_size=len(images))
    for register in (_normalize_all, _scale_all):
        hooks = register(detector)
        together(list(images))
        for hook in hooks:
            hook.remove()
    return predictor


def _normalize_all(network: nn.Module) -> list[Any]:
    return [_normalize(layer) for layer in network.modules() if isinstance(getattr(layer, "running_mean", None), Tensor)]


def _scale_all(network: nn.Module) -> list[Any]:
    """Scale the last layers: ``logits`` give scores, ``deltas`` boxes, and ``last`` of YOLOv1 both."""
    kinds = {"logits": _spread, "score_head": _spread, "deltas": _limit, "head.last": partial(_spread, deviation=0.3)}
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [scale(layer) for part, scale in kinds.items() for name, layer in layers if part in name]


def _normalize(norm: nn.Module) -> Any:
    """Set the statistics of a norm to those of its inputs, as training does."""

    def hook(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        layer.running_mean.copy_(values.mean(1))
        layer.running_var.copy_(values.var(1) + 1e-3)

    return norm.register_forward_pre_hook(hook)


def _spread(layer: nn.Module, deviation: float = 1.0) -> Any:
    """Scale a last layer so that its logits have this standard deviation around 0."""

    def hook(layer: Any, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        if logits.numel() > 1:
            factor = float(deviation / logits.std().clamp(min=1e-6))
            layer.weight.data.mul_(factor)
            logits = logits * factor
            if layer.bias is not None:
                layer.bias.data.mul_(factor).sub_(logits.mean())
                logits = logits - logits.mean()
        return logits

    return layer.register_forward_hook(hook)


def _limit(layer: nn.Module) -> Any:
    """Scale a last layer so that its outputs are at most 2.

    They are exponents of sides: with 6, boxes would be 16,000 pixels wide, and rounding would move them by whole pixels.
    """

    def hook(layer: Any, inputs: tuple[Tensor, ...], deltas: Tensor) -> Tensor:
        factor = float(2 / deltas.abs().max().clamp(min=2)) if deltas.numel() else 1.0
        layer.weight.data.mul_(factor)
        if layer.bias is not None:
            layer.bias.data.mul_(factor)
        return deltas * factor

    return layer.register_forward_hook(hook)


CONFIGS = distinct_configs()


def marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    return () if name in FAST else (pytest.mark.slow,) if name in SLOW else (pytest.mark.slow, EVERY)


@pytest.mark.oracle("PyTorch", "exported file of every config in onnxruntime, random weights", tolerance="scores 2e-3")
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in CONFIGS])
def test_detections_of_the_file_are_those_of_the_detector(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    images = noise_images(*(SHAPES[3:] if has_fixed_size(config) else SHAPES))
    skip_unless_changed(name, config)
    facts: dict[str, Any] = {}
    with recorded(name, config, facts):
        predictor = predictor_of(config, images if config.preprocess.input_size is not None else images[:3])
        facts["network"] = predictor.detector
        check_file(predictor, tmp_path / "model.onnx", images, facts)
        exported = detkit.load(tmp_path / "model.onnx", batch_size=2, proposer=predictor.proposer)
        limit = predictor.max_detections or MAX_DETECTIONS
        assert exported.max_detections == (None if config.whole_images or config.segments else limit)
        check_batches(predictor, exported, images)
        if os.environ.get(SWITCH):
            check_in_openvino(predictor, tmp_path / "model.onnx", images, facts)


def check_file(predictor: Predictor, path: Path, images: Sequence[Any], facts: dict[str, Any]) -> None:
    """Export a detector and check that the detections of the file agree."""
    agreement = replace(export_onnx(predictor, path, images, ExportSettings(accept=True)), tolerance=RANDOM_WEIGHTS)
    facts["onnxruntime"] = facts_of(agreement)
    assert agreement.holds, str(agreement)
    assert agreement.detections > len(images), "too few detections to compare"


def check_in_openvino(predictor: Predictor, path: Path, images: Sequence[Any], facts: dict[str, Any]) -> None:
    """Check that the detections of an exported file agree in OpenVINO."""
    pytest.importorskip("openvino")
    from detkit.export.files.openvino import convert_and_compare

    agreement = convert_and_compare(predictor, path, path.with_suffix(".xml"), images, ExportSettings(accept=True))
    facts["openvino"] = facts_of(agreement)
    agreement = replace(agreement, tolerance=RANDOM_WEIGHTS)
    assert agreement.holds, f"OpenVINO: {agreement}"


def facts_of(agreement: Agreement) -> dict[str, Any]:
    """Return the numbers of an agreement for the record."""
    numbers = {"score": agreement.score, "box": agreement.box, "mask": agreement.mask}
    rounded = {key: float(f"{value:.2g}") for key, value in numbers.items() if value is not None}
    return {"images": agreement.images, "matched": agreement.matched, "detections": agreement.detections, **rounded}


def check_batches(predictor: Predictor, exported: Predictor, images: Sequence[Any]) -> None:
    """Check the detections of a file on a batch of two images, and on one pixel."""
    limit = predictor.max_detections or MAX_DETECTIONS
    # One pixel gives equal scores everywhere, of which one or the other box is kept, but the same scores.
    shown = [*images[:1] * 2, *noise_images((1, 1))]
    for expected, actual in zip(predictor(shown), exported(shown), strict=True):
        expected = expected[:limit]
        assert abs(len(expected) - len(actual)) <= max(1, 0.01 * len(expected)), "more differ than scores at a threshold"
        count = min(len(expected), len(actual), 5)
        torch.testing.assert_close(expected.scores[:count], actual.scores[:count], atol=2e-3, rtol=0)
        assert 2 not in actual.labels, "a class without a name is never reported"


def test_the_fast_configs_are_of_different_networks() -> None:
    assert {*FAST, *SLOW} <= set(CONFIGS)


def test_no_recorded_case_failed_or_is_gone() -> None:
    cases = read()["cases"]
    names = {*CONFIGS, *(f"{name} {where}" for name in PHOTOGRAPHS for where in (AT_FULL_SIZE, ON_16_PHOTOGRAPHS))}
    assert {name: row["outcome"] for name, row in cases.items() if row["outcome"] != "passed"} == {}
    assert cases
    assert set(cases) <= names, "remove the rows of configs that are gone"


@EVERY
@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_on_photographs_at_the_size_of_the_paper(name: str, tmp_path: Path) -> None:
    from skimage import data

    shown = [np.ascontiguousarray(image) for image in (data.chelsea(), data.astronaut(), data.rocket())]
    given: Any = zoo.load(name).model
    config = given.replace(backbone=given.backbone.replace(weights=None))
    case = f"{name} {AT_FULL_SIZE}"
    skip_unless_changed(case, config)
    facts: dict[str, Any] = {}
    with recorded(case, config, facts):
        predictor = predictor_of(config, shown[:1])
        facts["network"] = predictor.detector
        check_file(predictor, tmp_path / "model.onnx", shown, facts)


@EVERY
@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_on_16_photographs_of_6_shapes(name: str, tmp_path: Path) -> None:
    """In both formats, in batches, on one pixel, and on 4,000 pixels."""
    config, images = small(zoo.load(name).model), photographs()
    case = f"{name} {ON_16_PHOTOGRAPHS}"
    skip_unless_changed(case, config)
    facts: dict[str, Any] = {}
    with recorded(case, config, facts):
        predictor = predictor_of(config, images[:6])
        facts["network"] = predictor.detector
        large = cv2.resize(images[0], (4000, 3000), interpolation=cv2.INTER_CUBIC)
        check_file(predictor, tmp_path / "model.onnx", [*images, large], facts)
        check_in_openvino(predictor, tmp_path / "model.onnx", [*images, large], facts)
        for path in (tmp_path / "model.onnx", tmp_path / "model.xml"):
            exported = detkit.load(path, batch_size=2, proposer=predictor.proposer)
            check_batches(predictor, exported, images)
