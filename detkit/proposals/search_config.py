"""Config of selective search, and the settings of the paper."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from detkit.config import Config

ColorSpace = Literal["rgb", "hsv", "hsv_cone", "lab", "intensity", "hue", "rgi"]
Mode = Literal["single", "fast", "quality"]


class Strategy(Config):
    """Similarities that decide which regions merge next."""

    color: bool = True
    """Histogram intersection of colors."""
    texture: bool = True
    """Histogram intersection of Gaussian derivatives."""
    size: bool = True
    """Small regions merge first."""
    fill: bool = True
    """Regions that fit into each other merge first."""

    @property
    def uses(self) -> tuple[bool, bool, bool, bool]:
        """The flags ``color``, ``texture``, ``size`` and ``fill``, in this order."""
        return self.color, self.texture, self.size, self.fill


ALL = Strategy()
NO_COLOR = Strategy(color=False)
FILL = Strategy(color=False, texture=False, size=False)
SIZE = Strategy(color=False, texture=False, fill=False)

MODES: dict[str, dict[str, Any]] = {
    "single": {"color_spaces": ("hsv_cone",), "scales": (100.0,), "strategies": (ALL,)},
    "fast": {"color_spaces": ("hsv", "lab"), "scales": (50.0, 100.0), "strategies": (ALL, NO_COLOR)},
    "quality": {
        "color_spaces": ("hsv", "lab", "rgi", "hue", "intensity"),
        "scales": (50.0, 100.0, 150.0, 300.0),
        "strategies": (ALL, NO_COLOR, FILL, SIZE),
    },
}
"""Settings of the paper: ``single`` from its table 4, ``fast`` and ``quality`` from its table 6.

In ``single``, the segmentation treats hue as an angle. Where several hierarchies are combined, hue is a plain number, which has slightly
higher recall there: it gives more regions, and other hierarchies make up for its wrong boundaries.
"""


class SelectiveSearchConfig(Config):
    """Selective search (IJCV 2013); every color space is segmented at every scale and grouped with every strategy."""

    color_spaces: tuple[ColorSpace, ...] = ("hsv", "lab")
    """Color spaces in which the image is segmented."""
    scales: tuple[float, ...] = (50.0, 100.0)
    """Thresholds k of the segmentation; larger values start from larger regions."""
    strategies: tuple[Strategy, ...] = (ALL, NO_COLOR)
    """Grouping strategies."""
    max_pixels: int = Field(400_000, ge=1)
    """Larger images are shrunk to this number of pixels for the search; boxes are returned in original pixels."""
    min_area: float = Field(0.0, ge=0)
    """Boxes with a smaller area, in square pixels of the image, are removed."""
    max_aspect: float = Field(float("inf"), ge=1)
    """Boxes whose longer side exceeds the shorter one by more than this factor are removed."""
    max_proposals: int | None = None
    """Maximum number of boxes; the best are kept. None: all."""
    seed: int = 0
    """Random seed of the ranking."""

    @classmethod
    def of(cls, mode: Mode, **values: Any) -> Self:
        """Return the paper's ``single``, ``fast`` or ``quality`` settings, with ``values`` overridden.

        Raises:
            ValueError: If the mode does not exist.
        """
        if mode not in MODES:
            raise ValueError(f"selective search: expected mode single, fast or quality, got {mode!r}")
        return cls(**{**MODES[mode], **values})
