"""CLIP's contrastive loss: which image belongs to which text (arXiv:2103.00020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""The most that CLIP multiplies cosines by (arXiv:2103.00020, section 2.5)."""


class Contrast(nn.Module):
    """CLIP's loss: of a batch of images and texts, which belong together (arXiv:2103.00020, figure 3).

    The mean of two cross entropies of cosines times a learned scale: that of each image among the texts, and that of each text among
    the images. The scale begins at 1 / 0.07 and is held at 100. The others are those of this process's batch alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def scale(self) -> Tensor:
        """What cosines are multiplied by; a step of the optimizer that overshot is taken back here, so that it can turn round."""
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
        return self.log_scale.exp()

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """The loss of embeddings ``(N, D)`` each, of any lengths, of which rows belong together.

        Raises:
            ValueError: there are not as many of one as of the other.
        """
        if images.shape != texts.shape:
            raise ValueError(f"contrast: expected a text for each image, got embeddings {tuple(images.shape)} and {tuple(texts.shape)}")
        first, second = (functional.normalize(rows.float(), dim=-1) for rows in (images, texts))
        logits = self.scale() * first @ second.T
        wanted = torch.arange(len(logits), device=logits.device)
        return (functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted)) / 2
