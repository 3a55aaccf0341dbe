"""Conditioning of random weights so that they produce detections, and comparison of detections.

Random weights detect nothing. Conditioning sets norms to the statistics of the photographs, and scales the last layers until every
image has many detections with widely spread scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d, box_iou

from detkit.structures import Detections


@torch.no_grad()
def fit_norms(model: nn.Module, run: Callable[[], object]) -> None:
    """Set every batch norm to the statistics of its input during ``run``, with variances well above zero."""
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
    """Scale and shift a last layer so that each output has mean 0 and this standard deviation over ``run``."""
    spread_all({layer: std}, run)


@torch.no_grad()
def spread_all(layers: Mapping[nn.Linear | nn.Conv2d, float], run: Callable[[], object]) -> None:
    """Apply :func:`spread` to several layers in one run; none of them may receive the output of another."""
    outputs: dict[nn.Module, list[Tensor]] = {layer: [] for layer in layers}

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        # Channels are the last dimension of sequences, and the second of maps and rows.
        outputs[module].append(output.flatten(0, 1) if output.ndim == 3 else output)

    handles = [layer.register_forward_hook(record) for layer in layers]
    run()
    for handle in handles:
        handle.remove()
    for layer, std in layers.items():
        values = torch.cat([output.transpose(0, 1).flatten(1) for output in outputs[layer]], 1)
        factor = std / values.std(1).clamp(min=1e-6)
        layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.copy_((layer.bias - values.mean(1)) * factor)


def freeze(model: nn.Module, eps: float) -> None:
    """Replace every ``BatchNorm2d`` by torchvision's ``FrozenBatchNorm2d`` with the same values, as in published models."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, eps)
            frozen.load_state_dict(child.state_dict())
            setattr(model, name, frozen)
        else:
            freeze(child, eps)


def assert_conditioned(detections: Iterable[dict[str, Tensor]], min_count: int = 50) -> None:
    """Check that the reference detects enough for a comparison to be meaningful."""
    for rows in detections:
        assert len(rows["scores"]) >= min_count
        assert float(rows["scores"].max() - rows["scores"].min()) > 0.1
        assert len(rows["labels"].unique()) > 5


def _order_ties(detections: Detections, reference: dict[str, Tensor], boxes: float, scores: float) -> Detections:
    """Return the detections with rows whose scores differ by less than ``scores`` in the order of the reference."""
    order = list(range(len(detections)))
    for index in range(min(len(order), len(reference["labels"]))):
        box, label, best = reference["boxes"][index], reference["labels"][index], detections.scores[order[index]]
        for other in range(index, len(order)):
            row = order[other]
            if best - detections.scores[row] >= scores:
                break
            if detections.labels[row] == label and (detections.boxes[row] - box).abs().max() < boxes:
                order.insert(index, order.pop(other))
                break
    return detections[order]


def assert_same_detections(
    detections: Sequence[Detections], reference: Sequence[dict[str, Tensor]], *, nms_iou: float, boxes: float = 1e-3, scores: float = 1e-5
) -> None:
    """Check for equal boxes, scores and labels in equal order; an image may differ only if an IoU is within 1e-5 of the threshold.

    Rows whose scores differ by less than ``scores`` may be in any order.
    """
    for index, (rows, expected) in enumerate(zip(detections, reference, strict=True)):
        ordered = _order_ties(rows, expected, boxes, scores)
        same = len(ordered) == len(expected["labels"]) and torch.equal(ordered.labels, expected["labels"])
        if not same and _has_iou_at_threshold(ordered, expected, nms_iou):
            continue
        assert same, f"image {index}: labels {ordered.labels.tolist()}, expected {expected['labels'].tolist()}"
        torch.testing.assert_close(ordered.boxes, expected["boxes"], atol=boxes, rtol=0)
        torch.testing.assert_close(ordered.scores, expected["scores"], atol=scores, rtol=0)


def _has_iou_at_threshold(detections: Detections, reference: dict[str, Tensor], nms_iou: float) -> bool:
    boxes, labels = torch.cat((detections.boxes, reference["boxes"])), torch.cat((detections.labels, reference["labels"]))
    near = (box_iou(boxes, boxes) - nms_iou).abs() < 1e-5
    return bool((near & (labels[:, None] == labels)).any())
