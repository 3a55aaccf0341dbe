"""A whole network in a backbone's place that says one embedding of a image: CLIP's image towers (arXiv:2103.00020, section 2.4)."""

from __future__ import annotations

from typing import Any

from timm.models import byobnet, vision_transformer
from torch import Tensor

from detkit.backbones.backbone import Tensors
from detkit.backbones.config import BackboneConfig
from detkit.backbones.facts import facts_of
from detkit.backbones.whole import WholeNetwork

_VISUAL = "visual."
_CONVERTERS = {"visual.class_embedding": vision_transformer, "visual.attnpool.positional_embedding": byobnet}
"""A tensor that only one kind of tower has in OpenAI's files, and timm's module that knows their names."""


class ImageTower(WholeNetwork):
    """A published network whose last layer gives an embedding; its one "map" has a single cell.

    The networks are timm's, as the backbones of the same names are, so that a detector made with a tower needs no other library. Their
    last layer is CLIP's projection, and is loaded and frozen with the last stage.

    Args:
        config: Which network, and what its norms do.
        dimensions: Of the embedding.
    """

    def __init__(self, config: BackboneConfig, dimensions: int) -> None:
        super().__init__(config, dimensions, auxiliary=False)
        if self.heads > 1:
            raise ValueError(f"backbone {config.name}: it has {self.heads} heads, and a tower gives one embedding; choose one without")
        self.level_names, self.channels, self.strides = ("embedding",), (dimensions,), (facts_of(config.name).input_size,)
        self.fresh = ()
        self._parts = self._parted(config.name)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, dimensions, 1, 1)`` of normalized images."""
        (found,) = super().forward(images)
        return (found[..., None, None],)

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """The tensors of this tower out of a whole CLIP under OpenAI's names, or of a file of the tower alone.

        Raises:
            ValueError: a whole CLIP has a tower of another kind.
        """
        if not any(name.startswith(_VISUAL) for name in tensors):
            heads, self.head_names = self.head_names, ()
            try:
                return super().published_names(tensors)
            finally:
                self.head_names = heads
        library: Any = next((module for mark, module in _CONVERTERS.items() if mark in tensors), None)
        if library is None:
            raise ValueError("expected an image tower of CLIP's as OpenAI released them, a ViT or a ResNet; got another")
        found: dict[str, Tensor] = library.checkpoint_filter_fn(dict(tensors), self.network)
        return {f"network.{name}": tensor for name, tensor in found.items()}
