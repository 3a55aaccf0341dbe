"""Layers that are fitted to features instead of learned with them: one linear SVM a class, and box regressors (R-CNN)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from detkit.config import Config
from detkit.heads.float32 import Float32Linear


class FittedConfig(Config):
    """Which layers are fitted by stages after the network has learned (R-CNN, arXiv:1311.2524, sections 2.3 and C)."""

    boxes_from: Literal["pooled", "hidden"] = "pooled"
    """What boxes are regressed from: the pooled region, as R-CNN (pool5) and SPPNet do, or the head's output, which has fewer numbers."""


class FittedLayers(nn.Module):
    """One linear SVM and one box regressor a class; an SVM's margin becomes a score through a sigmoid, which keeps the order.

    Until a layer was fitted it is passed over: the softmax's scores and the boxes as they come stand in its place. No gradient reaches it.

    Args:
        hidden: Numbers of a region behind the head.
        box_features: Numbers of a region that boxes are regressed from.
        num_classes: K.
        config: Which these are.
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
        """``(N, D)`` what boxes are regressed from."""
        return pooled.flatten(1) if self.config.boxes_from == "pooled" else hidden

    def forget(self, *, svm: bool, boxes: bool) -> list[str]:
        """Pass over what was fitted until it is fitted again; gives the names of what was: ``svm``, ``boxes``."""
        selection = {"svm": (svm, self.has_svm), "boxes": (boxes, self.has_boxes)}
        forgotten = [name for name, (asked, flag) in selection.items() if asked and bool(flag)]
        for name in forgotten:
            selection[name][1].fill_(False)
        return forgotten

    def forward(self, pooled: Tensor, hidden: Tensor, scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, K)`` scores and ``(N, K, 4)`` deltas, each the fitted layer's where there is one, else as it came."""
        if bool(self.has_svm):
            scores = self.svm(hidden).sigmoid()
        if bool(self.has_boxes):
            deltas = self.boxes(self.box_features(pooled, hidden)).unflatten(1, (-1, 4))
        return scores, deltas
