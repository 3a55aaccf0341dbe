"""Head that predicts at every cell of every level with shared weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import conv_like
from detkit.accelerate.sparse_gradient import SparseGradientConv
from detkit.heads.float32 import Float32Conv2d, Float32SparseGradientConv
from detkit.layers import ConvNormAct, NormName


class DenseHead(nn.Module):
    """Class logits and box deltas for every anchor; with one class and a shared tower it is the head of an RPN.

    Args:
        channels: Channels of every feature map.
        num_anchors: Anchors per cell.
        num_classes: Class logits per anchor.
        depth: Number of 3x3 convolutions before the last layers.
        shared: Whether both outputs share one tower and have 1x1 last layers (RPN); otherwise each has its own tower and a 3x3 last layer
            (RetinaNet).
        norm: Norm of the towers.
        prior: Initial probability of every class (RetinaNet, arXiv:1708.02002, section 3.3).
        bias: Whether the convolutions of the towers have a bias; None: only where no norm follows.
        quality: Tower that predicts one more logit per anchor for the quality of its box (FCOS's center-ness); None: no such logit.
    """

    def __init__(
        self,
        channels: int,
        num_anchors: int,
        num_classes: int = 1,
        *,
        depth: int = 1,
        shared: bool = True,
        norm: NormName | None = None,
        prior: float = 0.5,
        bias: bool | None = None,
        quality: Literal["boxes", "classes"] | None = None,
    ) -> None:
        super().__init__()
        self.num_anchors, self.num_classes, self.quality_from = num_anchors, num_classes, quality

        def tower() -> nn.Sequential:
            return nn.Sequential(*(ConvNormAct(channels, channels, norm=norm, bias=bias) for _ in range(depth)))

        def last_layer(columns: int) -> Float32Conv2d:
            return Float32Conv2d(channels, num_anchors * columns, 1 if shared else 3, padding=0 if shared else 1)

        self.tower, self.box_tower = tower(), None if shared else tower()
        self.logits, self.deltas = last_layer(num_classes), last_layer(4)
        self.quality = None if quality is None else last_layer(1)
        self.joint: nn.Module | None = None
        if shared:
            _use_sparse_gradients(self)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if self.logits.bias is not None:
            nn.init.constant_(self.logits.bias, math.log(prior / (1 - prior)))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return ``(B, N, num_classes)`` logits, ``(B, N, 4)`` deltas and, if present, ``(B, N)`` quality logits.

        All are float32, over the anchors of all levels, finest level first.
        """
        levels = [self._forward_level(level_map) for level_map in maps]
        return tuple(torch.cat(parts, 1) for parts in zip(*levels, strict=True))

    def join_last_layers(self) -> None:
        """Merge the two last layers of a shared tower into one, so that its map is read once; for inference only."""
        if self.box_tower is not None or self.quality is not None:
            return
        parts = (self.logits, self.deltas)
        joint = Float32Conv2d(self.logits.in_channels, sum(part.out_channels for part in parts), 1)
        joint.weight = nn.Parameter(torch.cat([part.weight.detach() for part in parts]))
        joint.bias = nn.Parameter(torch.cat([part.bias.detach() for part in parts if part.bias is not None]))
        self.joint = joint.requires_grad_(False)

    def _forward_level(self, level_map: Tensor) -> tuple[Tensor, ...]:
        classes = self.tower(level_map)
        if self.joint is not None:
            logits, deltas = self.joint(classes).split((self.logits.out_channels, self.deltas.out_channels), 1)
            return by_anchor(logits, self.num_classes), by_anchor(deltas, 4)
        # Convert the shared input of two last layers to float32 once.
        if self.box_tower is None:
            classes = boxes = classes.float()
        else:
            boxes = self.box_tower(level_map)
            boxes = boxes.float() if self.quality_from == "boxes" else boxes
        outputs = by_anchor(self.logits(classes), self.num_classes), by_anchor(self.deltas(boxes), 4)
        if self.quality is None:
            return outputs
        return *outputs, by_anchor(self.quality(boxes if self.quality_from == "boxes" else classes), 1)[..., 0]


def _use_sparse_gradients(head: nn.Module) -> None:
    """Use convolutions for sparse gradients: an RPN samples its anchors, so most cells of its maps get no gradient."""
    for parent in list(head.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                kind = Float32SparseGradientConv if isinstance(child, Float32Conv2d) else SparseGradientConv
                parent.add_module(name, conv_like(kind, child))


def common_channels(channels: Sequence[int], owner: str) -> int:
    """Return the number of channels that all levels share.

    Args:
        channels: Channels of each level.
        owner: The part that needs them to be equal; the error message names it.

    Raises:
        ValueError: If the levels differ in channels.
    """
    if len(set(channels)) != 1:
        raise ValueError(
            f"{owner}: expected the same channels on every level, got {tuple(channels)}; use model.neck.kind=fpn, or a single level"
        )
    return channels[0]


def by_anchor(output: Tensor, columns: int) -> Tensor:
    """Reshape ``(B, A * columns, H, W)`` to ``(B, H * W * A, columns)``.

    Rows are ordered cell by cell, as in :func:`detkit.ops.anchors.grid_anchors`.
    """
    return output.permute(0, 2, 3, 1).reshape(output.shape[0], -1, columns)
