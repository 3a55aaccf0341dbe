"""The modes of selective search."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from detkit.config import Config

ColourSpace = Literal["rgb", "hsv", "lab", "intensity", "hue", "rgi"]
Mode = Literal["single", "fast", "quality"]


class Strategy(Config):
    """Which similarities decide what is merged next."""

    colour: bool = True
    """Histogram intersection of colours."""
    texture: bool = True
    """Histogram intersection of Gaussian derivatives."""
    size: bool = True
    """Small regions merge first."""
    fill: bool = True
    """Regions that fit into each other merge first."""

    @property
    def uses(self) -> tuple[bool, bool, bool, bool]:
        """The four flags, in this order."""
        return self.colour, self.texture, self.size, self.fill


ALL = Strategy()
NO_COLOUR = Strategy(colour=False)
FILL = Strategy(colour=False, texture=False, size=False)
SIZE = Strategy(colour=False, texture=False, fill=False)

MODES: dict[str, dict[str, Any]] = {
    "single": {"colours": ("hsv",), "scales": (100.0,), "strategies": (ALL,)},
    "fast": {"colours": ("hsv", "lab"), "scales": (50.0, 100.0), "strategies": (ALL, NO_COLOUR)},
    "quality": {
        "colours": ("hsv", "lab", "rgi", "hue", "intensity"),
        "scales": (50.0, 100.0, 150.0, 300.0),
        "strategies": (ALL, NO_COLOUR, FILL, SIZE),
    },
}
"""The paper's choices: ``single`` from its table 4, ``fast`` and ``quality`` from its table 6."""


class SelectiveSearchConfig(Config):
    """Selective search (IJCV 2013); every colour space is segmented at every scale and grouped by every strategy."""

    colours: tuple[ColourSpace, ...] = ("hsv", "lab")
    """Colour spaces."""
    scales: tuple[float, ...] = (50.0, 100.0)
    """Thresholds k of the segmentation; larger ones begin with larger regions."""
    strategies: tuple[Strategy, ...] = (ALL, NO_COLOUR)
    """Ways of grouping."""
    max_pixels: int = Field(400_000, ge=1)
    """Larger images are searched at this many pixels; the boxes come back in the image's own."""
    min_area: float = Field(0.0, ge=0)
    """Boxes with a smaller area, in pixels of the image, are left out."""
    max_aspect: float = Field(float("inf"), ge=1)
    """Boxes with a longer side more than so many times the shorter one are left out."""
    limit: int | None = None
    """At most so many boxes, the best."""
    seed: int = 0
    """Of the random numbers in the ranking."""

    @classmethod
    def of(cls, mode: Mode, **values: Any) -> Self:
        """The paper's ``single``, ``fast`` or ``quality`` choice of colours, scales and strategies, with other ``values`` exchanged.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"selective search: expected mode single, fast or quality, got {mode!r}")
        return cls(**{**MODES[mode], **values})
