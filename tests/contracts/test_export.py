"""Every config that ships with detkit can be exported, with random weights: the file's detections are those of the detector.

Small configs of most families always run, and those of the others with the slow tests. The whole list takes an hour:
``DETKIT_EVERY_CONFIG=1 pytest -m "" tests/contracts/test_export.py``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_regions import RandomBoxes
from exporting import noise_images
from torch import Tensor, nn

import detkit
from detkit import zoo
from detkit.export import ExportSettings, export_onnx
from detkit.export.agreement import Tolerance
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
EVERY = pytest.mark.skipif(not os.environ.get("DETKIT_EVERY_CONFIG"), reason="takes an hour: set DETKIT_EVERY_CONFIG=1")
PHOTOGRAPHS = ("fpn_r50", "fast_rcnn_r50_fpn", "fcos_r50_fpn", "ssd300_vgg16", "detr_r50", "dfine_s", "yolox_s", "sppnet_zf")
"""Configs that run on photographs at the sizes of their papers."""


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
    smaller = {"warp_size": 64, "context_pixels": 5} if config.kind == "rcnn" else {}
    return config.replace(backbone=config.backbone.replace(weights=None), preprocess=preprocess, **smaller)  # type: ignore[no-any-return]


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
    layers = dict(detector.named_modules())
    norms = [layer for layer in layers.values() if isinstance(getattr(layer, "running_mean", None), Tensor)]
    last = [
        layer for name, layer in layers.items() if ("logits" in name or "score_head" in name) and isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    for kind, chosen in ((_normalize, norms), (_spread, last)):
        hooks = [kind(layer) for layer in chosen]
        together(list(images))
        for hook in hooks:
            hook.remove()
    return predictor


def _normalize(norm: nn.Module) -> Any:
    """Set the statistics of a norm to those of its inputs, as training does."""

    def hook(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        layer.running_mean.copy_(values.mean(1))
        layer.running_var.copy_(values.var(1) + 1e-3)

    return norm.register_forward_pre_hook(hook)


def _spread(layer: nn.Module) -> Any:
    """Scale a last layer so that its logits have a standard deviation of 1 around 0."""

    def hook(layer: Any, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        if logits.numel() > 1:
            factor = float(1 / logits.std().clamp(min=1e-6))
            layer.weight.data.mul_(factor)
            logits = logits * factor
            if layer.bias is not None:
                layer.bias.data.mul_(factor).sub_(logits.mean())
                logits = logits - logits.mean()
        return logits

    return layer.register_forward_hook(hook)


CONFIGS = distinct_configs()


def marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    return () if name in FAST else (pytest.mark.slow,) if name in SLOW else (pytest.mark.slow, EVERY)


@pytest.mark.oracle("PyTorch", "exported file of every config in onnxruntime, random weights", tolerance="scores 2e-3")
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in CONFIGS])
def test_detections_of_the_file_are_those_of_the_detector(name: str, tmp_path: Path) -> None:
    images = noise_images(*SHAPES)
    has_fixed_size = CONFIGS[name].preprocess.input_size is not None
    predictor = predictor_of(CONFIGS[name], images if has_fixed_size else images[:3])
    agreement = replace(export_onnx(predictor, tmp_path / "model.onnx", images, ExportSettings(accept=True)), tolerance=RANDOM_WEIGHTS)
    assert agreement.holds, str(agreement)
    assert agreement.detections > len(images), "too few detections to compare"
    exported = detkit.load(tmp_path / "model.onnx", batch_size=3, proposer=predictor.proposer)
    limit = predictor.max_detections or MAX_DETECTIONS
    assert exported.max_detections == (None if CONFIGS[name].whole_images else limit)
    # One pixel gives equal scores everywhere, of which one or the other box is kept, but the same scores.
    shown = [*images[:1] * 3, *noise_images((1, 1))]
    for expected, actual in zip(predictor(shown), exported(shown), strict=True):
        expected = expected[:limit]
        assert abs(len(expected) - len(actual)) <= max(1, 0.01 * len(expected)), "more differ than scores at a threshold"
        count = min(len(expected), len(actual), 5)
        torch.testing.assert_close(expected.scores[:count], actual.scores[:count], atol=2e-3, rtol=0)
        assert 2 not in actual.labels, "a class without a name is never reported"


def test_the_fast_configs_are_of_different_networks() -> None:
    assert {*FAST, *SLOW} <= set(CONFIGS)


@EVERY
@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_on_photographs_at_the_size_of_the_paper(name: str, tmp_path: Path) -> None:
    from skimage import data

    photographs = [np.ascontiguousarray(image) for image in (data.chelsea(), data.astronaut(), data.rocket())]
    config = zoo.load(name).model
    given: Any = config.replace(backbone=config.backbone.replace(weights=None))
    predictor = predictor_of(given, photographs[:1])
    settings = ExportSettings(accept=True)
    agreement = replace(export_onnx(predictor, tmp_path / "model.onnx", photographs, settings), tolerance=RANDOM_WEIGHTS)
    assert agreement.holds, str(agreement)
    assert agreement.detections > 10
