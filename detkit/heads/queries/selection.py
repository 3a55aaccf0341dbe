"""Query selection: the cells of the maps that look most like an object become the queries of the decoder (RT-DETR, section 4.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detkit.heads.float32 import Float32Linear
from detkit.heads.queries.layers import Grids, Perceptron
from detkit.layers import ACTIVATIONS, ActivationName

_CELL_SIZE = 0.05
"""Side of the box of a cell on the finest level, as a fraction of the image; it doubles with each level."""
_MARGIN = 0.01
"""Cells whose center is nearer to the border, as a fraction of the image, are not used."""
PRIOR = 0.01
"""Initial probability of every class."""


def prior_bias(prior: float = PRIOR) -> float:
    """Return the bias at which a sigmoid gives ``prior``."""
    return -math.log((1 - prior) / prior)


@dataclass(frozen=True, eq=False)
class SelectedQueries:
    """The selected cells of each image, best first.

    Attributes:
        content: ``(B, N, channels)``.
        boxes: ``(B, N, 4)`` predicted boxes as center and size, fractions of the image.
        logits: ``(B, N, K)``.
    """

    content: Tensor
    boxes: Tensor
    logits: Tensor


class QuerySelection(nn.Module):
    """Predicts classes at every cell and a box at those selected; names of the parts as in the released code.

    Args:
        channels: Channels of the cells.
        num_classes: K.
        num_queries: Number of cells that are selected; all, if there are fewer.
        activation: Activation of the layers that predict boxes.
        projected: Whether a linear layer and a norm precede the predictions; the cells are used as they are in DEIMv2.
    """

    def __init__(
        self, channels: int, num_classes: int, num_queries: int, activation: ActivationName = "relu", *, projected: bool = True
    ) -> None:
        super().__init__()
        self.num_queries = num_queries
        self.enc_output = nn.Sequential()
        if projected:
            self.enc_output.add_module("proj", nn.Linear(channels, channels))
            self.enc_output.add_module("norm", nn.LayerNorm(channels))
        self.enc_score_head = Float32Linear(channels, num_classes)
        self.enc_bbox_head = Perceptron((channels, channels, channels, 4), ACTIVATIONS[activation], float32=True, zero=True)
        if projected:
            nn.init.xavier_uniform_(self.enc_output[0].weight)  # type: ignore[arg-type]
        nn.init.constant_(self.enc_score_head.bias, prior_bias())

    def forward(self, cells: Tensor, grids: Grids) -> SelectedQueries:
        """Select the cells with the highest probability of any class.

        Args:
            cells: ``(B, S, channels)`` cells of all levels.
            grids: Height and width of each level.
        """
        anchors, usable = cell_boxes(grids, cells.device)
        features = self.enc_output(torch.where(usable[:, None], cells, 0.0))
        logits = self.enc_score_head(features)
        selected = logits.amax(-1).topk(min(self.num_queries, logits.shape[1]), 1).indices[..., None]
        content = features.gather(1, selected.expand(-1, -1, features.shape[-1]))
        # The box of an unusable cell lies beyond the image, at its bottom right corner, as in the released code.
        anchor_logits = torch.where(usable[:, None], (anchors / (1 - anchors)).log(), _UNUSABLE)
        boxes = (self.enc_bbox_head(content) + anchor_logits[selected[..., 0]]).sigmoid()
        return SelectedQueries(content, boxes, logits.gather(1, selected.expand(-1, -1, logits.shape[-1])))


_UNUSABLE = 1e4
"""Logit that a sigmoid maps to 1; infinity, which the released code uses, gives no finite gradient."""


def cell_boxes(grids: Grids, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the boxes ``(S, 4)`` of the cells of all levels as center and size, fractions of the image, and ``(S,)`` which are usable."""
    levels = []
    for level, (height, width) in enumerate(grids):
        y, x = ((torch.arange(side, device=device) + 0.5) / side for side in (height, width))
        centers = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), -1).flatten(0, 1)
        levels.append(torch.cat((centers, torch.full_like(centers, _CELL_SIZE * 2.0**level)), 1))
    anchors = torch.cat(levels)
    return anchors, ((anchors > _MARGIN) & (anchors < 1 - _MARGIN)).all(1)
