"""Weights that detect something, and the comparison of what they detect.

Random weights detect nothing. Conditioning makes them detect: norms take the statistics of the photographs, and the last
layers are scaled until every image has many detections with spread scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d, box_iou

from detkit.structures import Detections


@torch.no_grad()
def fit_norms(model: nn.Module, run: Callable[[], object]) -> None:
    """Give every batch norm the statistics of what passes through it in ``run``, well away from zero."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    run()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
        assert norm.running_var is not None
        norm.running_var.clamp_(min=1e-3)


def spread(layer: nn.Linear | nn.Conv2d, run: Callable[[], object], std: float) -> None:
    """Scale and shift a last layer so that each output has mean 0 and this spread over ``run``."""
    spread_all({layer: std}, run)


@torch.no_grad()
def spread_all(layers: Mapping[nn.Linear | nn.Conv2d, float], run: Callable[[], object]) -> None:
    """The same for several layers, none of which sees another's output, in one run."""
    seen: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}

    def look(module: nn.Module, _: object, output: Tensor) -> None:
        # Sequences have their channels last, maps and rows have them second.
        seen[module].append(output.flatten(0, 1) if output.ndim == 3 else output)

    handles = [layer.register_forward_hook(look) for layer in layers]
    run()
    for handle in handles:
        handle.remove()
    for layer, std in layers.items():
        values = torch.cat([output.transpose(0, 1).flatten(1) for output in seen[layer]], 1)
        factor = std / values.std(1).clamp(min=1e-6)
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_((layer.bias - values.mean(1)) * factor)


def freeze(model: nn.Module, eps: float) -> None:
    """Exchange every ``BatchNorm2d`` for torchvision's ``FrozenBatchNorm2d`` with the same numbers, as published models have."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, eps)
            frozen.load_state_dict(child.state_dict())
            setattr(model, name, frozen)
        else:
            freeze(child, eps)


def assert_conditioned(detections: Iterable[dict[str, Tensor]], least: int = 50) -> None:
    """The reference detects enough for agreement to mean something."""
    for found in detections:
        assert len(found["scores"]) >= least
        assert float(found["scores"].max() - found["scores"].min()) > 0.1
        assert len(found["labels"].unique()) > 5


def _ties_as(mine: Detections, theirs: dict[str, Tensor], boxes: float, scores: float) -> Detections:
    """Ours, with rows whose scores are within ``scores`` of each other in the order in which they agree with theirs."""
    order = list(range(len(mine)))
    for place in range(min(len(order), len(theirs["labels"]))):
        box, label, best = theirs["boxes"][place], theirs["labels"][place], mine.scores[order[place]]
        for other in range(place, len(order)):
            row = order[other]
            if best - mine.scores[row] >= scores:
                break
            if mine.labels[row] == label and (mine.boxes[row] - box).abs().max() < boxes:
                order.insert(place, order.pop(other))
                break
    return mine[order]


def assert_same_detections(
    ours: Sequence[Detections], reference: Sequence[dict[str, Tensor]], *, nms_iou: float, boxes: float = 1e-3, scores: float = 1e-5
) -> None:
    """The same boxes, scores and labels in the same order; a image may differ only where an IoU is within 1e-5 of the limit.

    Scores that agree no better than ``scores`` have no order: rows that close may have changed places.
    """
    for place, (found, theirs) in enumerate(zip(ours, reference, strict=True)):
        mine = _ties_as(found, theirs, boxes, scores)
        same = len(mine) == len(theirs["labels"]) and torch.equal(mine.labels, theirs["labels"])
        if not same and _on_the_edge(mine, theirs, nms_iou):
            continue
        assert same, f"image {place}: labels {mine.labels.tolist()}, expected {theirs['labels'].tolist()}"
        torch.testing.assert_close(mine.boxes, theirs["boxes"], atol=boxes, rtol=0)
        torch.testing.assert_close(mine.scores, theirs["scores"], atol=scores, rtol=0)


def _on_the_edge(mine: Detections, theirs: dict[str, Tensor], nms_iou: float) -> bool:
    boxes, labels = torch.cat((mine.boxes, theirs["boxes"])), torch.cat((mine.labels, theirs["labels"]))
    near = (box_iou(boxes, boxes) - nms_iou).abs() < 1e-5
    return bool((near & (labels[:, None] == labels)).any())
