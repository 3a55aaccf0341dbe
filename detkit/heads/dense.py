"""A head that predicts at every cell of every level with the same weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from detkit.heads.float32 import Float32Conv2d, Float32FewCellsConv
from detkit.layers import ConvNormAct, FewCellsConv, NormName, like


class DenseHead(nn.Module):
    """Class logits and box deltas for every anchor of every cell; with one class and one shared tower it is an RPN's.

    Args:
        channels: Channels of every map.
        num_anchors: Anchors a cell.
        num_classes: Class logits an anchor.
        depth: 3x3 convolutions before the last layers.
        shared: One tower for both outputs and 1x1 last layers (RPN), or a tower each and 3x3 last layers (RetinaNet).
        norm: The towers' norm.
        prior: Probability that an untrained head gives every class (RetinaNet, arXiv:1708.02002, section 3.3).
        bias: Whether the towers' convolutions have one; None: where no norm follows.
        quality: The tower of one logit more for every anchor, on how good its box is (FCOS's center-ness); None: there is none.
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

        def last(columns: int) -> Float32Conv2d:
            return Float32Conv2d(channels, num_anchors * columns, 1 if shared else 3, padding=0 if shared else 1)

        self.tower, self.box_tower = tower(), None if shared else tower()
        self.logits, self.deltas = last(num_classes), last(4)
        self.quality = None if quality is None else last(1)
        self.joint: nn.Module | None = None
        if shared:
            _expect_few_cells(self)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if self.logits.bias is not None:
            nn.init.constant_(self.logits.bias, math.log(prior / (1 - prior)))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """``(B, N, num_classes)`` logits, ``(B, N, 4)`` deltas and, where there is one, ``(B, N)`` the quality's logits.

        All are float32, over the anchors of all levels, finest level first.
        """
        levels = [self._on_one(level_map) for level_map in maps]
        return tuple(torch.cat(parts, 1) for parts in zip(*levels, strict=True))

    def join_last_layers(self) -> None:
        """Make one layer of the two that read a shared tower, so that its map is read once: for detection alone."""
        if self.box_tower is not None or self.quality is not None:
            return
        parts = (self.logits, self.deltas)
        joint = Float32Conv2d(self.logits.in_channels, sum(part.out_channels for part in parts), 1)
        joint.weight = nn.Parameter(torch.cat([part.weight.detach() for part in parts]))
        joint.bias = nn.Parameter(torch.cat([part.bias.detach() for part in parts if part.bias is not None]))
        self.joint = joint.requires_grad_(False)

    def _on_one(self, level_map: Tensor) -> tuple[Tensor, ...]:
        classes = self.tower(level_map)
        if self.joint is not None:
            logits, deltas = self.joint(classes).split((self.logits.out_channels, self.deltas.out_channels), 1)
            return by_anchor(logits, self.num_classes), by_anchor(deltas, 4)
        # What two last layers read becomes float32 once.
        if self.box_tower is None:
            classes = boxes = classes.float()
        else:
            boxes = self.box_tower(level_map)
            boxes = boxes.float() if self.quality_from == "boxes" else boxes
        found = by_anchor(self.logits(classes), self.num_classes), by_anchor(self.deltas(boxes), 4)
        if self.quality is None:
            return found
        return *found, by_anchor(self.quality(boxes if self.quality_from == "boxes" else classes), 1).squeeze(-1)


def _expect_few_cells(head: nn.Module) -> None:
    """An RPN learns from a sample of its anchors, so most cells of its maps get no gradient."""
    for parent in list(head.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                parent.add_module(name, like(Float32FewCellsConv if isinstance(child, Float32Conv2d) else FewCellsConv, child))


def by_anchor(output: Tensor, columns: int) -> Tensor:
    """``(B, A * columns, H, W)`` as ``(B, H * W * A, columns)``: cell by cell, as :func:`detkit.ops.anchors.grid_anchors`."""
    return output.permute(0, 2, 3, 1).reshape(output.shape[0], -1, columns)
