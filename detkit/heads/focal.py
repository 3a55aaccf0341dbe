"""Learning classes from every place at once: the focal loss over what each place answers for."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.ops.losses import sigmoid_focal
from detkit.ops.match import IGNORE, class_targets


class FocalConfig(Config):
    """The numbers of the focal loss; the defaults are those of RetinaNet (arXiv:1708.02002), section 4.1."""

    alpha: float = Field(0.25, ge=0, le=1)
    """Weight of a place's own class; all other classes, and background, weigh 1 - alpha."""
    gamma: float = Field(2.0, ge=0)
    """How much less counts what is nearly right; 0 is plain cross entropy."""

    def loss(self, logits: Tensor, assignment: Tensor, labels: Tensor) -> Tensor:
        """Sum over an image's places that answer for an object or for background.

        Args:
            logits: ``(N, K)``, a sigmoid for each class.
            assignment: ``(N,)`` of ``ops.match``.
            labels: ``(M,)`` of the image's targets.
        """
        learned = assignment != IGNORE
        wanted = class_targets(assignment[learned], labels, logits.shape[1])
        return sigmoid_focal(logits[learned], wanted, self.alpha, self.gamma)
