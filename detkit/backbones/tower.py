"""A whole network that computes one embedding of an image: CLIP's image towers (arXiv:2103.00020, section 2.4)."""

from __future__ import annotations

from typing import Any

from timm.models import byobnet, vision_transformer
from torch import Tensor

from detkit.backbones.backbone import Tensors
from detkit.backbones.config import BackboneConfig
from detkit.backbones.full_network import FullNetwork
from detkit.backbones.registry import backbone_info

_VISUAL = "visual."
_CONVERTERS = {"visual.class_embedding": vision_transformer, "visual.attnpool.positional_embedding": byobnet}
"""For each kind of tower, a tensor that only that kind has in OpenAI's files, and the timm module that converts its names."""


class ImageTower(FullNetwork):
    """A published network whose last layer computes an embedding; its only "map" has a single cell.

    The networks are timm's, like the backbones of the same names, so that a detector made from a tower needs no other library. Their
    last layer is CLIP's projection, which is loaded and frozen with the last stage.

    Args:
        config: The network and its norm policy.
        dimensions: Of the embedding.
    """

    def __init__(self, config: BackboneConfig, dimensions: int) -> None:
        super().__init__(config, dimensions, auxiliary=False)
        if self.num_heads > 1:
            raise ValueError(f"backbone {config.name}: expected one head, because a tower computes one embedding, got {self.num_heads}")
        self.level_names, self.channels, self.strides = ("embedding",), (dimensions,), (backbone_info(config.name).input_size,)
        self.new_prefixes = ()
        self._parts = self._assign_stages()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding ``(B, dimensions, 1, 1)`` of normalized images."""
        (embedding,) = super().forward(images)
        return (embedding[..., None, None],)

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors of this tower from a whole CLIP model under OpenAI's names, or from a file of the tower alone.

        Raises:
            ValueError: If the CLIP model has a tower of another kind.
        """
        if not any(name.startswith(_VISUAL) for name in tensors):
            head_names, self.head_names = self.head_names, ()
            try:
                return super().rename_published(tensors)
            finally:
                self.head_names = head_names
        library: Any = next((module for mark, module in _CONVERTERS.items() if mark in tensors), None)
        if library is None:
            raise ValueError("expected a CLIP image tower as released by OpenAI, a ViT or a ResNet; got another network")
        converted: dict[str, Tensor] = library.checkpoint_filter_fn(dict(tensors), self.network)
        return {f"network.{name}": tensor for name, tensor in converted.items()}
