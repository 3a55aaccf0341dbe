"""Classes that are told apart by what their names say: cosines with embeddings of phrases in a last layer's place (arXiv:2104.13921)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.heads.float32 import Float32Linear

PROMPTS = ("{}", "a photo of {}.", "a close-up photo of {}.", "a cropped photo of {}.", "a blurry photo of {}.", "{} in the scene.")
"""What phrases such as "a cat" stand in."""
BACKGROUND = ("the background", "nothing in particular", "an empty surface", "a plain texture", "a part of something", "several things")
"""What a proposal may show that is none of the classes."""


class TextClassesConfig(Config):
    """How regions are compared with embeddings of phrases, one a class, which the checkpoint carries."""

    shorthand: ClassVar[str | None] = "embeddings"

    dimensions: int = Field(512, ge=1)
    """Of the embeddings: 512 of CLIP's ViT-B/32, ViT-B/16 and ResNet-101, 1024 of its ResNet-50, 640 of its ResNet-50x4."""
    embeddings: str | None = None
    """A checkpoint with embeddings of the classes, from which training takes them by name; ``detkit weights import FILE --model clip_rcnn
    --classes ... --output FILE.safetensors`` makes one. None: those that ``weights`` brings."""
    projection: bool = True
    """Whether a layer that learns brings what the head gives to the embeddings' dimensions; none is wanted where the network is CLIP's."""
    temperature: float = Field(0.01, ge=0.01)
    """What cosines are divided by; CLIP learned 0.01, which is as far as it lets itself go."""
    templates: tuple[str, ...] = Field(PROMPTS, min_length=1)
    """What each phrase stood in, at ``{}``, when it was embedded: the embedding is the mean over these, of length 1."""
    background: tuple[str, ...] = BACKGROUND
    """Phrases for what is none of the classes: what the softmax gives to all of them together is background's. None, ``()``: one
    embedding for background that learns."""

    @field_validator("templates")
    @classmethod
    def _have_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [template for template in templates if template.count("{}") != 1]
        if wrong:
            raise ValueError(f"expected one {{}} in each template, where the phrase goes; got {wrong[0]!r}")
        return templates


class TextLogits(nn.Module):
    """Logits that are cosines of a region with embeddings of phrases over a temperature; background is the last.

    Attributes:
        embeddings: ``(K, D)`` of the classes, of length 1; random until they are filled.
        background: ``(N, D)`` of what is none of them; it learns where the config names no phrases.
        scale: One over the temperature.

    Args:
        in_features: Numbers a region has.
        num_classes: K.
        config: The numbers.

    Raises:
        ValueError: there is no projection, and regions have not the embeddings' dimensions.
    """

    embeddings: Tensor
    background: Tensor
    scale: Tensor

    def __init__(self, in_features: int, num_classes: int, config: TextClassesConfig) -> None:
        super().__init__()
        if not config.projection and in_features != config.dimensions:
            raise ValueError(
                f"region.text: embeddings have {config.dimensions} dimensions and regions {in_features}; set region.text.projection=true, "
                f"or region.text.dimensions={in_features}"
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
        """``(N, in_features)`` to ``(N, K + 1)`` float32."""
        with torch.autocast(regions.device.type, enabled=False):
            seen = functional.normalize(self.projection(regions.float()), dim=-1)
            against = torch.cat((self.embeddings, functional.normalize(self.background, dim=-1)))
            logits = self.scale * functional.linear(seen, against)
        classes = self.out_features - 1
        # The softmax of this gives to background what the softmax over all phrases gives to its phrases together.
        return torch.cat((logits[:, :classes], logits[:, classes:].logsumexp(1, keepdim=True)), 1)
