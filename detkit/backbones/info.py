"""The form of a catalog entry: levels, normalization, size and origin of a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Numbers = tuple[float, float, float]

IMAGENET_MEAN: Numbers = (0.485, 0.456, 0.406)
IMAGENET_STD: Numbers = (0.229, 0.224, 0.225)
HALVES: Numbers = (0.5, 0.5, 0.5)

CENTERED = (0.0, 0.0, 0.0, 0.0, 0.0)
"""Cell offsets from ``c1`` to ``c5`` where every strided kernel has an odd side."""
BLOCKS = (0.5, 1.5, 3.5, 7.5, 15.5)
"""Cell offsets from ``c1`` to ``c5`` where a cell covers a whole block of pixels, as after 2x2 pooling or patch embedding."""


@dataclass(frozen=True)
class Level:
    """One feature map of a backbone.

    Attributes:
        name: Such as ``c4``, the last map of stride 16.
        channels: Of the map.
        stride: In pixels.
        offset: Pixels by which the center of cell (0, 0) is to the right of the first pixel's center, and below it.
    """

    name: str
    channels: int
    stride: int
    offset: float = 0.0


@dataclass(frozen=True)
class BackboneInfo:
    """Static information on a backbone, available before it is built.

    Attributes:
        name: In the registry.
        family: The architecture of which it is one size.
        year: Of the paper.
        paper: Address of the paper.
        levels: Every feature map it can return, in execution order.
        default_levels: Names of the levels it returns by default.
        input_size: Side in pixels of the square training images. Any size works unless the docstring of its factory states otherwise.
        mean: Of its input, RGB in [0, 1].
        std: Of its input, RGB in [0, 1].
        parameters: Of the published classifier, including its head; of the network itself where there is no classifier.
        gflops: Of the same network at ``input_size``, in 10^9 multiply-adds of convolutions and matrix products, counted by us.
        source: The library that supplies it. ``detkit`` supplies the ones that no library has, without weights.
        supports_dilation: Whether its factory takes ``dilated_c4`` and ``dilated_c5``.
        grayscale: Whether it was published for one-channel images.
        idea: What was new about the family, in one sentence.
        factory: ``module:function`` that builds it.
    """

    name: str
    family: str
    year: int
    paper: str
    levels: tuple[Level, ...]
    default_levels: tuple[str, ...]
    parameters: int
    gflops: float
    source: str
    input_size: int = 224
    mean: Numbers = IMAGENET_MEAN
    std: Numbers = IMAGENET_STD
    supports_dilation: bool = False
    grayscale: bool = False
    idea: str = ""
    factory: str = ""

    @property
    def is_plain_transformer(self) -> bool:
        """Whether it is a vision transformer with a single map of patches, such as ViT and timm's class of that name."""
        return "backbones.vision_transformer:" in self.factory or (not self.factory and self.family == "VisionTransformer")

    def select_levels(self, names: tuple[str, ...] | None) -> tuple[Level, ...]:
        """Return the levels of these names (None: the default levels), finest first.

        Raises:
            ValueError: If a name is unknown, or no names were given.
        """
        selected = self.default_levels if names is None else names
        known = tuple(level.name for level in self.levels)
        unknown = [name for name in selected if name not in known]
        if unknown or not selected:
            raise ValueError(f"backbone {self.name}: expected levels out of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
        return tuple(level for level in self.levels if level.name in selected)


@dataclass(frozen=True)
class Family:
    """Information that all sizes of an architecture share.

    Attributes:
        name: Of the architecture.
        year: Of the paper.
        paper: Address of the paper.
        idea: What was new, in one sentence.
        module: The module of this package that builds it.
        source: The library that supplies it.
        offsets: Of the cells from ``c1`` to ``c5``; see :class:`Level`.
    """

    name: str
    year: int
    paper: str
    idea: str
    module: str = "torchvision_models"
    source: str = "torchvision"
    offsets: tuple[float, ...] = CENTERED

    def member(self, name: str, channels: tuple[int, ...], parameters: int, gflops: float, **more: Any) -> BackboneInfo:
        """Return the entry of one size.

        Args:
            name: Of the size.
            channels: Of its maps, one number per map; the last map is ``c5``.
            parameters: See :class:`BackboneInfo`.
            gflops: See :class:`BackboneInfo`.
            more: Other fields, such as ``input_size``.
        """
        powers = range(6 - len(channels), 6)
        fields: dict[str, Any] = {
            "levels": tuple(Level(f"c{k}", c, 2**k, self.offsets[k - 1]) for k, c in zip(powers, channels, strict=True)),
            "default_levels": tuple(f"c{k}" for k in powers if k >= 2),
            "factory": f"detkit.backbones.{self.module}:{name}",
            **more,
        }
        return BackboneInfo(
            name=name,
            family=self.name,
            year=self.year,
            paper=self.paper,
            idea=self.idea,
            source=self.source,
            parameters=parameters,
            gflops=gflops,
            **fields,
        )
