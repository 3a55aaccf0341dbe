"""Focal loss over the anchors or points of a dense head."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.ops.losses import sigmoid_focal
from detkit.ops.match import IGNORE, class_targets


class FocalConfig(Config):
    """Parameters of the focal loss; the defaults are those of RetinaNet (arXiv:1708.02002), section 4.1."""

    alpha: float = Field(0.25, ge=0, le=1)
    """Weight of a location's own class; all other classes, and background, have the weight 1 - alpha."""
    gamma: float = Field(2.0, ge=0)
    """Exponent that reduces the weight of easy examples; 0 gives plain cross entropy."""

    def loss(self, logits: Tensor, assignment: Tensor, labels: Tensor) -> Tensor:
        """Return the focal loss summed over the locations of an image that are assigned to an object or to background.

        Args:
            logits: ``(N, K)``, one sigmoid per class.
            assignment: ``(N,)`` as returned by ``detkit.ops.match``.
            labels: ``(M,)`` labels of the image's targets.
        """
        counted = assignment != IGNORE
        class_target = class_targets(assignment[counted], labels, logits.shape[1])
        return sigmoid_focal(logits[counted], class_target, self.alpha, self.gamma)
