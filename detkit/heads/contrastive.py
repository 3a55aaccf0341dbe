"""CLIP's contrastive loss between images and texts (arXiv:2103.00020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Upper limit of CLIP's logit scale (arXiv:2103.00020, section 2.5)."""


class ContrastiveLoss(nn.Module):
    """CLIP's contrastive loss over a batch of matching images and texts (arXiv:2103.00020, figure 3).

    It is the mean of two cross entropies of scaled cosines: that of each image over the texts, and that of each text over the images. The
    scale is learned, starts at 1 / 0.07 and is limited to 100. Negatives come only from the batch of this process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def scale(self) -> Tensor:
        """Return the factor on the cosines.

        A value that an optimizer step moved beyond the limit is clamped here, so that it can fall again.
        """
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
        return self.log_scale.exp()

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return the loss of two sets of ``(N, D)`` embeddings of any length, whose rows correspond.

        Raises:
            ValueError: If the two shapes differ.
        """
        if images.shape != texts.shape:
            raise ValueError(
                f"contrastive loss: expected one text per image, got embeddings {tuple(images.shape)} and {tuple(texts.shape)}"
            )
        first, second = (functional.normalize(rows.float(), dim=-1) for rows in (images, texts))
        logits = self.scale() * first @ second.T
        labels = torch.arange(len(logits), device=logits.device)
        return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2
