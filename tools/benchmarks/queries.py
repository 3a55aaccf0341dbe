"""D-FINE-N compared with YOLOX-S, and RT-DETRv2-R18 with transformers' eager model: detection and a training step."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.detection import LEARNING_RATE, autocast, own_step, random_targets
from benchmarks.peer import photographs
from benchmarks.timing import WITHOUT_BF16, Report, has_bf16, in_turn, products
from detkit.inference.device import pick_dtype
from detkit.inference.optimize import optimize
from detkit.models import presets
from detkit.models.detector import Detector
from detkit.ops.boxes import xyxy_to_cxcywh
from detkit.structures import Targets
from detkit.training.optim.precision import resolve_precision

CPU = torch.device("cpu")
SIDE = 640
CLASSES = 80
MAX_RATIO = 0.7
"""Largest time of D-FINE-N relative to YOLOX-S."""


def queries(rounds: int, comparison: str, batch_size: int) -> Report:
    """Run one comparison: ``yolox``, ``transformers`` or ``train``."""
    if comparison == "yolox":
        return _against_yolox(rounds)
    return _detect(rounds) if comparison == "transformers" else _train(rounds, batch_size)


def _against_yolox(rounds: int) -> Report:
    """Time both networks on one image in fp32, and in D-FINE the backbone, the encoder and the decoder apart."""
    image = photographs(1, SIDE, SIDE)
    torch.manual_seed(0)
    yolox, dfine = (optimize(config.build(CLASSES).eval(), torch.float32) for config in (presets.yolox_s(), presets.dfine_n()))
    sides: dict[str, Callable[[], Any]] = {"YOLOX-S": partial(yolox, image), "D-FINE-N": partial(dfine, image)}
    sides |= {f"D-FINE-N, {name}": side for name, side in _parts(dfine, image).items()}
    sides |= {f"YOLOX-S, {name}": side for name, side in _parts(yolox, image).items() if name == "backbone"}
    with torch.no_grad():
        seconds = in_turn(sides, rounds)
    title = f"D-FINE-N and YOLOX-S, one image of {SIDE}x{SIDE}, 80 classes, random weights, fp32"
    return Report(title, seconds, {"D-FINE-N": round(1 / MAX_RATIO, 2)}, [products()])


def _parts(detector: Any, images: list[Tensor]) -> Mapping[str, Callable[[], Any]]:
    with torch.no_grad():
        batch = detector.prepare(images)
        backbone_maps = detector.neck.backbone(batch.images)
        maps = detector.neck(batch.images)
    neck = copy.copy(detector.neck)
    neck._modules = {**detector.neck._modules, "backbone": _Given(detector.neck.backbone, backbone_maps)}
    return {
        "backbone": partial(detector.neck.backbone, batch.images),
        "encoder": partial(neck, batch.images),
        "decoder": partial(detector.head, maps, batch),
    }


class _Given(torch.nn.Module):
    """A backbone whose maps are known."""

    def __init__(self, backbone: Any, maps: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.channels, self.strides, self._maps = backbone.channels, backbone.strides, maps

    def forward(self, _: Tensor) -> tuple[Tensor, ...]:
        return self._maps


def _detect(rounds: int) -> Report:
    """Time RT-DETRv2-R18 of both libraries on one image."""
    images, own, peer = photographs(1, SIDE, SIDE), _own(), _peer().eval()
    pixels, default = torch.stack(images), pick_dtype("auto", CPU)
    sides: dict[str, Callable[[], Any]] = {
        "transformers fp32": partial(peer, pixels),
        "detkit fp32": partial(optimize(own, torch.float32), images),
    }
    if has_bf16():
        sides |= {"detkit bf16 (default)": partial(autocast, optimize(own, default), images, default)}
    with torch.no_grad():
        seconds = in_turn(sides, rounds)
    notes = [products(), *([] if has_bf16() else [WITHOUT_BF16])]
    targets = {"detkit fp32": 1.3, **({"detkit bf16 (default)": 2.0} if has_bf16() else {})}
    return Report(f"RT-DETRv2-R18, one image of {SIDE}x{SIDE}", seconds, targets, notes)


def _train(rounds: int, batch_size: int) -> Report:
    """Time a training step of RT-DETRv2-R18 (forward, matching, backward, optimizer) with denoising queries."""
    images, targets = photographs(batch_size, SIDE, SIDE), random_targets(batch_size, (SIDE, SIDE))
    targets = [Targets.of(rows.boxes, rows.labels % CLASSES) for rows in targets]
    precision, own = resolve_precision("auto", CPU), _own()
    sides = {
        "transformers fp32": _peer_step(_peer().train(), images, targets),
        "detkit fp32": own_step(copy.deepcopy(own), images, targets, "fp32"),
        **({f"detkit {precision} (default)": own_step(own, images, targets, precision)} if has_bf16() else {}),
    }
    speed_ups = {"detkit fp32": 1.1, **({f"detkit {precision} (default)": 1.5} if has_bf16() else {})}
    notes = [] if has_bf16() else [WITHOUT_BF16]
    return Report(f"a training step of RT-DETRv2-R18, {batch_size} images of {SIDE}x{SIDE}", in_turn(sides, rounds), speed_ups, notes)


def _own() -> Detector:
    torch.manual_seed(0)
    config = presets.rtdetr_v2_r18()
    detector: Detector = config.replace(backbone=config.backbone.replace(weights=None)).build(CLASSES).eval()
    return detector


def _peer() -> Any:
    """Build transformers' model of the same size with random weights."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    backbone = transformers.RTDetrResNetConfig(
        layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], out_features=["stage2", "stage3", "stage4"]
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        num_labels=CLASSES,
        freeze_backbone_batch_norms=False,
    )
    torch.manual_seed(0)
    return transformers.RTDetrV2ForObjectDetection(config)


def _peer_step(model: Any, images: list[Tensor], targets: list[Targets]) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], LEARNING_RATE, 0.9)
    pixels = torch.stack(images)
    labels = [{"class_labels": rows.labels, "boxes": xyxy_to_cxcywh(rows.boxes) / SIDE} for rows in targets]

    def step() -> None:
        model(pixels, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
