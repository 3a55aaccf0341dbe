"""Parameters that the heads with a tower for classes and one for boxes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.heads.dense import DenseHead, common_channels
from detkit.heads.one_stage import OneStageHeadConfig
from detkit.layers import NormName
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


class DenseHeadConfig(OneStageHeadConfig):
    """Towers, assignment and class loss of a head that predicts at every cell of every level with shared weights."""

    depth: int = Field(4, ge=1)
    """Number of 3x3 convolutions in each tower."""
    norm: NormName | None = None
    """Norm of the towers."""
    prior: float = Field(0.01, gt=0, lt=1)
    """Initial probability of every class."""
    atss_top_k: int | None = Field(None, ge=1)
    """Anchors of each level, nearest to the center of an object, that are candidates for it in ATSS (arXiv:1912.02424), which then replaces
    the assignment of the head; 9 in the paper; none: the assignment of the head."""
    focal: FocalConfig = FocalConfig()
    """Loss of the classes."""

    def towers(
        self,
        channels: Sequence[int],
        num_anchors: int,
        num_classes: int,
        *,
        bias: bool | None = None,
        quality: Literal["boxes", "classes"] | None = None,
    ) -> DenseHead:
        """Build the towers and their last layers; ``bias`` and ``quality``: see :class:`DenseHead`.

        Raises:
            ValueError: If the levels differ in channels.
        """
        width = common_channels(channels, "model.head")
        return DenseHead(
            width,
            num_anchors,
            num_classes,
            depth=self.depth,
            shared=False,
            norm=self.norm,
            prior=self.prior,
            bias=bias,
            quality=quality,
        )
