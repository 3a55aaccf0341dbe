"""Detectors compared with torchvision's: same weights, inputs, threads and limits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.peer import PEERS, photographs
from benchmarks.timing import WITHOUT_BF16, Report, has_bf16, in_turn, products
from detkit.inference.device import pick_dtype
from detkit.inference.optimize import optimize
from detkit.models.detector import Detector
from detkit.structures import Masks, Targets
from detkit.structures.masks import Crop
from detkit.training.optim.precision import MixedPrecision, resolve_precision

CPU = torch.device("cpu")
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
LEARNING_RATE = 1e-5
TARGETS = {"faster_rcnn": (1.4, 4.0), "mask_rcnn": (1.4, 4.0)}
ONE_STAGE_TARGETS = (1.0, 3.0)


def detect(rounds: int, size: tuple[int, int], model: str = "faster_rcnn") -> Report:
    """Time one image: torchvision eager, torchvision with bf16 and channels-last, detkit in fp32 and by default."""
    pair = PEERS[model]
    size = pair.size or size
    images = photographs(1, *size)
    peer = pair.build_reference(images)
    own = pair.build_own(peer)
    half = copy.deepcopy(peer).to(memory_format=torch.channels_last)
    default = pick_dtype("auto", CPU)
    sides: dict[str, Callable[[], Any]] = {
        "torchvision fp32": partial(peer, images),
        **({"torchvision bf16 channels-last": partial(autocast, half, images, torch.bfloat16)} if has_bf16() else {}),
        "detkit fp32": partial(optimize(own, torch.float32), images),
        f"detkit {NAMES[default]} (default)": partial(autocast, optimize(own, default), images, default),
    }
    with torch.no_grad():
        counts = {name: _count(side()) for name, side in sides.items()}
        seconds = in_turn(sides, rounds)
    listing = ", ".join(f"{name} {count}" for name, count in counts.items())
    ratios = TARGETS.get(model, ONE_STAGE_TARGETS)
    notes = [f"detections: {listing}", *([f"proposals: {_proposals(own, images)}"] if hasattr(own, "rpn") else []), products()]
    targets = dict(zip(("detkit fp32", "detkit bf16 (default)"), ratios, strict=True))
    targets = {name: target for name, target in targets.items() if name in sides}
    return Report(f"{pair.title}, one image of {size[0]}x{size[1]}", seconds, targets, notes)


def train(rounds: int, size: tuple[int, int], batch_size: int, model: str = "faster_rcnn") -> Report:
    """Time a training step (forward, backward, SGD), with torchvision's frozen layers and samplers."""
    images = photographs(batch_size, *size)
    targets = random_targets(batch_size, size)
    pair = PEERS[model]
    peer = pair.build_reference(images[:1])
    own = pair.build_own(peer)
    precision = resolve_precision("auto", CPU)
    body = peer.backbone.body  # type: ignore[union-attr]
    for part in (body.conv1, body.layer1):  # type: ignore[union-attr]
        part.requires_grad_(False)  # type: ignore[union-attr]
    half = copy.deepcopy(peer).to(memory_format=torch.channels_last)
    sides = {
        "torchvision fp32": _peer_step(peer.train(), images, targets, torch.float32),
        **({"torchvision bf16 channels-last": _peer_step(half.train(), images, targets, torch.bfloat16)} if has_bf16() else {}),
        "detkit fp32": own_step(copy.deepcopy(own), images, targets, "fp32"),
        f"detkit {precision} (default)": own_step(own, images, targets, precision),
    }
    return Report(
        f"a training step of {pair.title}, {batch_size} images of {size[0]}x{size[1]}",
        in_turn(sides, rounds, warm_up=2),
        {"detkit bf16 (default)": 3.0} if precision == "bf16" else {},
        [] if has_bf16() else [WITHOUT_BF16],
    )


def autocast(model: nn.Module, images: list[Tensor], dtype: torch.dtype) -> Any:
    """Call a model on the CPU under autocast, unless the type is float32."""
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        return model(images)


def _count(detections: Any) -> int:
    return len(detections[0]["scores"]) if isinstance(detections[0], dict) else len(detections[0])


@torch.no_grad()
def _proposals(own: Any, images: list[Tensor]) -> int:
    batch = own.prepare(images)
    logits, deltas, *maps = own.raw(batch)
    return len(own.rpn.propose(logits, deltas, own.rpn.anchors_for(maps, batch), batch, training=False)[0])


def random_targets(count: int, size: tuple[int, int]) -> list[Targets]:
    """Return eight random objects of 90 classes, ellipses, for each of ``count`` images."""
    generator = torch.Generator().manual_seed(1)
    height, width = size
    rows = []
    for _ in range(count):
        sides = torch.exp(torch.rand((8, 2), generator=generator) * 2.5 + 3).clamp(max=min(size) / 2)
        corners = torch.rand((8, 2), generator=generator) * (torch.tensor([width, height]) - sides)
        boxes = torch.cat([corners, corners + sides], 1)
        rows.append(Targets.of(boxes, torch.randint(90, (8,), generator=generator)).replace(masks=_ellipses(boxes)))
    return rows


def _ellipses(boxes: Tensor) -> Masks:
    """Return the ellipses in boxes."""
    crops: list[Crop] = []
    for x1, y1, x2, y2 in boxes.round().int().tolist():
        y, x = np.ogrid[-1 : 1 : (y2 - y1) * 1j, -1 : 1 : (x2 - x1) * 1j]
        crops.append((x * x + y * y <= 1, x1, y1))
    return Masks.of(crops)


def _peer_step(model: nn.Module, images: list[Tensor], targets: list[Targets], dtype: torch.dtype) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], LEARNING_RATE, 0.9)
    rows = [{"boxes": target.boxes, "labels": target.labels + 1} for target in targets]
    if hasattr(model.roi_heads, "mask_head"):
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        for row, target, size in zip(rows, targets, sizes, strict=True):
            row["masks"] = torch.from_numpy(target.masks.arrays(size)).to(torch.uint8)  # type: ignore[union-attr]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            losses = model(images, rows)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def own_step(detector: Detector, images: list[Tensor], targets: list[Targets], precision: Any) -> Callable[[], None]:
    """Return a training step of one of our detectors."""
    detector.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], LEARNING_RATE, 0.9)
    mixed = MixedPrecision(precision, CPU)

    def step() -> None:
        with mixed.context():
            losses = detector(images, targets, None, list(range(len(images))))
        assert isinstance(losses, dict)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()

    return step
