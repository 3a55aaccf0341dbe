"""Detectors against torchvision's: the same weights, input, threads and limits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peer import PEERS, photographs
from benchmarks.timing import Report, in_turn, products
from detkit.inference.device import pick_dtype
from detkit.inference.optimize import optimize
from detkit.models.detector import Detector
from detkit.structures import Targets
from detkit.training.precision import MixedPrecision, resolve_precision

CPU = torch.device("cpu")
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
RATE = 1e-5
TARGETS = {"faster_rcnn": (1.4, 4.0)}
ONE_STAGE_TARGETS = (1.0, 3.0)


def detect(rounds: int, size: tuple[int, int], model: str = "faster_rcnn") -> Report:
    """Seconds a image of this size: torchvision eager, torchvision under bf16 and channels-last, ours in fp32 and by default."""
    known = PEERS[model]
    size = known.size or size
    images = photographs(1, *size)
    peer = known.model(images)
    ours = known.ours(peer)
    half = copy.deepcopy(peer).to(memory_format=torch.channels_last)
    default = pick_dtype("auto", CPU)
    sides: dict[str, Callable[[], Any]] = {
        "torchvision fp32": partial(peer, images),
        "torchvision bf16 channels-last": partial(_autocast, half, images, torch.bfloat16),
        "detkit fp32": partial(optimize(ours, torch.float32), images),
        f"detkit {NAMES[default]} (default)": partial(_autocast, optimize(ours, default), images, default),
    }
    with torch.no_grad():
        counts = {name: _count(side()) for name, side in sides.items()}
        seconds = in_turn(sides, rounds)
    found = ", ".join(f"{name} {count}" for name, count in counts.items())
    wanted = TARGETS.get(model, ONE_STAGE_TARGETS)
    notes = [f"detections: {found}", *([f"proposals: {_proposals(ours, images)}"] if hasattr(ours, "rpn") else []), products()]
    targets = dict(zip(("detkit fp32", f"detkit {NAMES[default]} (default)"), wanted, strict=True))
    return Report(f"{known.title}, one image of {size[0]}x{size[1]}", seconds, targets, notes)


def train(rounds: int, size: tuple[int, int], batch_size: int) -> Report:
    """Seconds a step (forward, backward, SGD) on a batch of this size, with torchvision's frozen layers and samplers."""
    images = photographs(batch_size, *size)
    targets = _targets(batch_size, size)
    known = PEERS["faster_rcnn"]
    peer = known.model(images[:1])
    ours = known.ours(peer)
    precision = resolve_precision("auto", CPU)
    body = peer.backbone.body  # type: ignore[union-attr]
    for part in (body.conv1, body.layer1):  # type: ignore[union-attr]
        part.requires_grad_(False)  # type: ignore[union-attr]
    half = copy.deepcopy(peer).to(memory_format=torch.channels_last)
    sides = {
        "torchvision fp32": _their_step(peer.train(), images, targets, torch.float32),
        "torchvision bf16 channels-last": _their_step(half.train(), images, targets, torch.bfloat16),
        "detkit fp32": _our_step(copy.deepcopy(ours), images, targets, "fp32"),
        f"detkit {precision} (default)": _our_step(ours, images, targets, precision),
    }
    return Report(
        f"a training step of Faster R-CNN R50-FPN, {batch_size} images of {size[0]}x{size[1]}",
        in_turn(sides, rounds, warm_up=2),
        {f"detkit {precision} (default)": 3.0},
    )


def _autocast(model: nn.Module, images: list[Tensor], dtype: torch.dtype) -> Any:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        return model(images)


def _count(found: Any) -> int:
    return len(found[0]["scores"]) if isinstance(found[0], dict) else len(found[0])


@torch.no_grad()
def _proposals(ours: Any, images: list[Tensor]) -> int:
    batch = ours.prepare(images)
    logits, deltas, *maps = ours.raw(batch)
    return len(ours.rpn.propose(logits, deltas, ours.rpn.anchors_on(maps, batch), batch, training=False)[0])


def _targets(count: int, size: tuple[int, int]) -> list[Targets]:
    generator = torch.Generator().manual_seed(1)
    height, width = size
    rows = []
    for _ in range(count):
        sides = torch.exp(torch.rand((8, 2), generator=generator) * 2.5 + 3).clamp(max=min(size) / 2)
        corners = torch.rand((8, 2), generator=generator) * (torch.tensor([width, height]) - sides)
        rows.append(Targets.of(torch.cat([corners, corners + sides], 1), torch.randint(90, (8,), generator=generator)))
    return rows


def _their_step(model: nn.Module, images: list[Tensor], targets: list[Targets], dtype: torch.dtype) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], RATE, 0.9)
    rows = [{"boxes": target.boxes, "labels": target.labels + 1} for target in targets]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            losses = model(images, rows)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _our_step(detector: Detector, images: list[Tensor], targets: list[Targets], precision: Any) -> Callable[[], None]:
    detector.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], RATE, 0.9)
    mixed = MixedPrecision(precision, CPU)

    def step() -> None:
        with mixed.context():
            losses = detector(images, targets, None, list(range(len(images))))
        assert isinstance(losses, dict)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad()

    return step
