"""The form in which facts about backbones are written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Numbers = tuple[float, float, float]

IMAGENET_MEAN: Numbers = (0.485, 0.456, 0.406)
IMAGENET_STD: Numbers = (0.229, 0.224, 0.225)
HALVES: Numbers = (0.5, 0.5, 0.5)

CENTERED = (0.0, 0.0, 0.0, 0.0, 0.0)
"""Offsets of cells where every strided kernel has an odd side, from ``c1`` to ``c5``."""
BLOCKS = (0.5, 1.5, 3.5, 7.5, 15.5)
"""Offsets of cells that stand for whole blocks of pixels, as after poolings of 2x2 or of patches."""


@dataclass(frozen=True)
class Level:
    """A map that a backbone can give: its name (``c4`` for the last map of stride 16), channels, and stride in pixels.

    ``offset`` is how far the center of cell (0, 0) lies right of the first pixel's center and below it, in pixels.
    """

    name: str
    channels: int
    stride: int
    offset: float = 0.0


@dataclass(frozen=True)
class BackboneFacts:
    """What is known about a backbone before it is built.

    Attributes:
        name: As typed.
        family: The architecture it is a size of.
        year: Of the paper.
        paper: Where it was described.
        levels: Every map it can give, in the order of running.
        default_levels: The names of those it gives unless told.
        input_size: Side in pixels of the square images it was trained on; any size runs unless the docstring of its function says else.
        mean: Of its input, RGB in [0, 1].
        std: Of its input, RGB in [0, 1].
        parameters: Of the published classifier, its head included; of the network itself where there is none.
        gflops: Of the same at ``input_size``, in 10^9 multiply-adds of convolutions and matrix products, counted by us.
        source: The library that supplies it; ``detkit`` itself has those that no library has, without weights of their own.
        dilates: Whether its function takes ``dilated_c5``.
        idea: What was new about the family, in one sentence.
        made_by: ``module:function`` of its maker.
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
    dilates: bool = False
    idea: str = ""
    made_by: str = ""

    @property
    def is_plain_transformer(self) -> bool:
        """Whether it is a vision transformer with one map of patches, as ViT and timm's class of that name are."""
        return "backbones.vision_transformer:" in self.made_by or (not self.made_by and self.family == "VisionTransformer")

    def chosen(self, names: tuple[str, ...] | None) -> tuple[Level, ...]:
        """The levels of these names (None: the default ones), finest first.

        Raises:
            ValueError: there is no such level, or none was asked for.
        """
        wanted = self.default_levels if names is None else names
        known = tuple(level.name for level in self.levels)
        unknown = [name for name in wanted if name not in known]
        if unknown or not wanted:
            raise ValueError(f"backbone {self.name}: expected levels out of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
        return tuple(level for level in self.levels if level.name in wanted)


@dataclass(frozen=True)
class Family:
    """What the sizes of an architecture have in common.

    Attributes:
        name: Of the architecture.
        year: Of the paper.
        paper: Its address.
        idea: What was new, in one sentence.
        module: The module of this package that makes it.
        source: The library that supplies it.
        offsets: Of cells from ``c1`` to ``c5``; see :class:`Level`.
    """

    name: str
    year: int
    paper: str
    idea: str
    module: str = "torchvision_models"
    source: str = "torchvision"
    offsets: tuple[float, ...] = CENTERED

    def member(self, name: str, channels: tuple[int, ...], parameters: int, gflops: float, **more: Any) -> BackboneFacts:
        """The facts of one size.

        Args:
            name: Of the size.
            channels: Of its maps, the last of which is ``c5``; as many maps as there are numbers.
            parameters: See :class:`BackboneFacts`.
            gflops: See :class:`BackboneFacts`.
            more: Further facts, such as ``input_size``.
        """
        powers = range(6 - len(channels), 6)
        facts: dict[str, Any] = {
            "levels": tuple(Level(f"c{k}", c, 2**k, self.offsets[k - 1]) for k, c in zip(powers, channels, strict=True)),
            "default_levels": tuple(f"c{k}" for k in powers if k >= 2),
            "made_by": f"detkit.backbones.{self.module}:{name}",
            **more,
        }
        return BackboneFacts(
            name=name,
            family=self.name,
            year=self.year,
            paper=self.paper,
            idea=self.idea,
            source=self.source,
            parameters=parameters,
            gflops=gflops,
            **facts,
        )
