"""A head that predicts at every cell of every level with the same weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detkit.heads.float32 import Float32Conv2d
from detkit.layers import ConvNormAct, NormName


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
    ) -> None:
        super().__init__()
        self.num_anchors, self.num_classes = num_anchors, num_classes
        self.tower = _tower(channels, depth, norm)
        self.box_tower = None if shared else _tower(channels, depth, norm)
        kernel = 1 if shared else 3
        self.logits = Float32Conv2d(channels, num_anchors * num_classes, kernel, padding=kernel // 2)
        self.deltas = Float32Conv2d(channels, num_anchors * 4, kernel, padding=kernel // 2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if self.logits.bias is not None:
            nn.init.constant_(self.logits.bias, math.log(prior / (1 - prior)))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """``(B, N, num_classes)`` logits and ``(B, N, 4)`` deltas, float32, over the anchors of all levels, finest level first."""
        logits, deltas = [], []
        for level_map in maps:
            x = self.tower(level_map)
            logits.append(by_anchor(self.logits(x), self.num_classes))
            deltas.append(by_anchor(self.deltas(x if self.box_tower is None else self.box_tower(level_map)), 4))
        return torch.cat(logits, 1), torch.cat(deltas, 1)


def by_anchor(output: Tensor, columns: int) -> Tensor:
    """``(B, A * columns, H, W)`` as ``(B, H * W * A, columns)``: cell by cell, as :func:`detkit.ops.anchors.grid_anchors`."""
    return output.permute(0, 2, 3, 1).reshape(len(output), -1, columns)


def _tower(channels: int, depth: int, norm: NormName | None) -> nn.Sequential:
    return nn.Sequential(*(ConvNormAct(channels, channels, norm=norm) for _ in range(depth)))
