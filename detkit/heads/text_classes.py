"""Classes defined by phrases: cosines with text embeddings replace the last layer (arXiv:2104.13921)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.heads.float32 import Float32Linear

PROMPTS = ("{}", "a photo of {}.", "a close-up photo of {}.", "a cropped photo of {}.", "a blurry photo of {}.", "{} in the scene.")
"""Prompt templates into which phrases such as "a cat" are inserted."""
MAX_SCALE = 100.0
"""Upper limit of the factor on the cosines that CLIP learns, which its released models reach (arXiv:2103.00020, section 2.5)."""
BACKGROUND = ("the background", "nothing in particular", "an empty surface", "a plain texture", "a part of something", "several things")
"""Phrases for proposals that show none of the classes."""


class TextClassesConfig(Config):
    """How regions are compared with text embeddings, one per class; the checkpoint carries the embeddings."""

    shorthand: ClassVar[str | None] = "embeddings"

    dimensions: int = Field(512, ge=1)
    """Dimensions of the embeddings: 512 for CLIP's ViT-B/32, ViT-B/16 and ResNet-101, 1024 for its ResNet-50, 640 for its ResNet-50x4."""
    embeddings: str | None = None
    """Checkpoint with embeddings of the classes, which training looks up by class name; ``detkit models import FILE --model clip_rcnn
    --classes ... --output FILE.safetensors`` makes one. None: the embeddings in ``weights``."""
    projection: bool = True
    """Whether a trained layer projects the output of the head to the dimensions of the embeddings; not needed where the network is that of
    CLIP."""
    temperature: float = Field(0.01, ge=0.01)
    """Divisor of the cosines; CLIP learned 0.01, the lower limit of its range."""
    templates: tuple[str, ...] = Field(PROMPTS, min_length=1)
    """Prompt templates for each phrase, which replaces ``{}``: the embedding is the mean over all templates, normalized to length 1."""
    background: tuple[str, ...] = BACKGROUND
    """Phrases for background: the probability of background is the sum of theirs. Empty, ``()``: one trained embedding for background."""

    @field_validator("templates")
    @classmethod
    def _check_placeholders(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return check_templates(templates)


def check_templates(templates: tuple[str, ...]) -> tuple[str, ...]:
    """Return prompt templates.

    Raises:
        ValueError: If one of them has not exactly one placeholder for the phrase.
    """
    invalid = [template for template in templates if template.count("{}") != 1]
    if invalid:
        raise ValueError(f"expected exactly one {{}} in each template, for the phrase; got {invalid[0]!r}")
    return templates


class CosineLogits(nn.Module):
    """Logits of whole images: cosines of their embeddings with those of the classes, times a scale (arXiv:2103.00020, section 3.1.2).

    Attributes:
        embeddings: ``(K, D)`` class embeddings of length 1; random until they are loaded.
        scale: Factor on the cosines.

    Args:
        num_classes: K.
        dimensions: D.
    """

    embeddings: Tensor
    scale: Tensor

    def __init__(self, num_classes: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", functional.normalize(torch.randn(num_classes, dimensions), dim=1))
        self.register_buffer("scale", torch.tensor(MAX_SCALE))

    def forward(self, images: Tensor) -> Tensor:
        """Map embeddings ``(B, D)`` of any length to ``(B, K)`` float32 logits."""
        with torch.autocast(images.device.type, enabled=False):
            return self.scale * functional.linear(functional.normalize(images.float(), dim=-1), self.embeddings)


class TextLogits(nn.Module):
    """Logits of regions: cosines with text embeddings divided by a temperature; background is last.

    Attributes:
        embeddings: ``(K, D)`` class embeddings of length 1; random until they are loaded.
        background: ``(N, D)`` embeddings of background; trained if the config has no phrases for it.
        scale: 1 / temperature.

    Args:
        in_features: Features per region.
        num_classes: K.
        config: How regions are compared with the embeddings.

    Raises:
        ValueError: If there is no projection and the regions do not have the dimensions of the embeddings.
    """

    embeddings: Tensor
    background: Tensor
    scale: Tensor

    def __init__(self, in_features: int, num_classes: int, config: TextClassesConfig) -> None:
        super().__init__()
        if not config.projection and in_features != config.dimensions:
            raise ValueError(
                f"region.text.dimensions: expected the {in_features} features of a region, as there is no projection, "
                f"got {config.dimensions}; set region.text.projection=true or region.text.dimensions={in_features}"
            )
        self.in_features, self.out_features, self.config = in_features, num_classes + 1, config
        self.projection: nn.Module = Float32Linear(in_features, config.dimensions) if config.projection else nn.Identity()
        self.register_buffer("embeddings", functional.normalize(torch.randn(num_classes, config.dimensions), dim=1))
        background = functional.normalize(torch.randn(max(1, len(config.background)), config.dimensions), dim=1)
        if config.background:
            self.register_buffer("background", background)
        else:
            self.background = nn.Parameter(background)
        self.register_buffer("scale", torch.tensor(1 / config.temperature))

    def forward(self, regions: Tensor) -> Tensor:
        """Map ``(N, in_features)`` to ``(N, K + 1)`` float32 logits."""
        with torch.autocast(regions.device.type, enabled=False):
            projected = functional.normalize(self.projection(regions.float()), dim=-1)
            phrases = torch.cat((self.embeddings, functional.normalize(self.background, dim=-1)))
            logits = self.scale * functional.linear(projected, phrases)
        classes = self.out_features - 1
        # Logsumexp: background gets the sum of the probabilities that a softmax over all phrases gives to its phrases.
        return torch.cat((logits[:, :classes], logits[:, classes:].logsumexp(1, keepdim=True)), 1)
