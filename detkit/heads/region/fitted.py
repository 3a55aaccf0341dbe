"""Layers fitted to features after training: one linear SVM per class, and box regressors (R-CNN)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.float32 import Float32Linear


class FittedConfig(Config):
    """Layers that stages fit after the network is trained (R-CNN, arXiv:1311.2524, sections 2.3 and C)."""

    boxes_from: Literal["pooled", "hidden"] = "pooled"
    """Features that boxes are regressed from: ``pooled``, the pooled region, as in R-CNN (pool5) and SPPNet, or ``hidden``, the smaller
    output of the head."""


class FittedLayers(nn.Module):
    """One linear SVM and one box regressor per class; a sigmoid turns an SVM's margin into a score and keeps the order.

    A layer that is not fitted yet is skipped: the scores of the softmax and the given boxes are used instead. No gradient reaches these
    layers.

    Args:
        hidden: Features per region after the head.
        box_features: Features per region that boxes are regressed from.
        num_classes: K.
        config: Which features the boxes are regressed from.
    """

    has_svm: Tensor
    has_boxes: Tensor

    def __init__(self, hidden: int, box_features: int, num_classes: int, config: FittedConfig) -> None:
        super().__init__()
        self.config = config
        self.svm, self.boxes = Float32Linear(hidden, num_classes), Float32Linear(box_features, num_classes * 4)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        self.requires_grad_(False)
        self.register_buffer("has_svm", torch.zeros((), dtype=torch.bool))
        self.register_buffer("has_boxes", torch.zeros((), dtype=torch.bool))

    def box_features(self, pooled: Tensor, hidden: Tensor) -> Tensor:
        """Return the ``(N, D)`` features that boxes are regressed from."""
        return pooled.flatten(1) if self.config.boxes_from == "pooled" else hidden

    def mark_unfitted(self, *, svm: bool, boxes: bool) -> list[str]:
        """Skip fitted layers until they are fitted again.

        Returns:
            The names of the layers that were fitted: ``svm``, ``boxes``.
        """
        flags = {"svm": (svm, self.has_svm), "boxes": (boxes, self.has_boxes)}
        unfitted = [name for name, (requested, flag) in flags.items() if requested and bool(flag)]
        for name in unfitted:
            flags[name][1].fill_(False)
        return unfitted

    def forward(self, pooled: Tensor, hidden: Tensor, scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(N, K)`` scores and ``(N, K, 4)`` deltas, from the fitted layers where they are fitted, otherwise unchanged."""
        if bool(self.has_svm):
            scores = self.svm(hidden).sigmoid()
        if bool(self.has_boxes):
            deltas = self.boxes(self.box_features(pooled, hidden)).unflatten(1, (-1, 4))
        return scores, deltas
