"""Losses of semantic segmentation: cross entropy of every pixel, and the Dice loss of every class."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from detkit.config import Config
from detkit.layers.distributed import loss_normalizer
from detkit.structures.label_maps import IGNORED

_SMOOTH = 1.0
"""Number of pixels added to both sides of the Dice ratio, so that a class of few pixels does not dominate."""


class PixelLossConfig(Config):
    """Losses of semantic segmentation; pixels whose class is unknown are ignored by both."""

    cross_entropy_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy, the mean over the pixels."""
    dice_weight: float = Field(default=0.0, ge=0)
    """Weight of the Dice loss (arXiv:1606.04797), the mean over the classes of the batch; usually 1 with a cross entropy of 1. It counts
    every class alike, so that small objects are learned earlier; 0: no Dice loss."""


def pixel_losses(logits: Tensor, labels: Tensor, config: PixelLossConfig) -> dict[str, Tensor]:
    """Return the weighted losses ``cross_entropy`` and ``dice``; those of weight 0 are left out.

    Args:
        logits: ``(B, C, H, W)``.
        labels: ``(B, H, W)`` int64, 0 to C - 1, or :data:`~detkit.structures.label_maps.IGNORED`.
        config: Weights of the losses.
    """
    logits = logits.float()
    losses = {}
    if config.cross_entropy_weight:
        losses["cross_entropy"] = config.cross_entropy_weight * cross_entropy(logits, labels)
    if config.dice_weight:
        losses["dice"] = config.dice_weight * dice_loss(logits, labels)
    return losses


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy averaged over the pixels of known class of all processes; 0 if there are none."""
    total = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    return total / loss_normalizer((labels != IGNORED).sum().float())


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of ``1 - 2 |P G| / (|P| + |G|)`` over the classes that any pixel of the batch has; 0 if there are none.

    ``P`` are the probabilities and ``G`` the true pixels of a class in the whole batch (arXiv:1606.04797, equation 1, without squares).
    """
    known = labels != IGNORED
    probabilities = logits.softmax(1) * known[:, None]
    truth = functional.one_hot(torch.where(known, labels, 0), logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    common, predicted, true = (part.sum((0, 2, 3)) for part in (probabilities * truth, probabilities, truth))
    ratios = (2 * common + _SMOOTH) / (predicted + true + _SMOOTH)
    present = true > 0
    return ((1 - ratios) * present).sum() / present.sum().clamp(min=1)
