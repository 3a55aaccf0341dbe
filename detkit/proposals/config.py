"""The modes of selective search, and what a source of proposals is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from detkit.config import Config

if TYPE_CHECKING:
    from detkit.proposals.backends import Backend
    from detkit.proposals.proposer import Proposer

ColorSpace = Literal["rgb", "hsv", "hsv_cone", "lab", "intensity", "hue", "rgi"]
Mode = Literal["single", "fast", "quality"]


class Strategy(Config):
    """Which similarities decide what is merged next."""

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
        """The four flags, in this order."""
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
"""The paper's choices: ``single`` from its table 4, ``fast`` and ``quality`` from its table 6.

In ``single`` hue is an angle where regions are cut. Where several hierarchies are joined hue is a plain number, which finds a little more
there: its regions are more, and what it cuts wrongly others cut well.
"""


class SelectiveSearchConfig(Config):
    """Selective search (IJCV 2013); every color space is segmented at every scale and grouped by every strategy."""

    color_spaces: tuple[ColorSpace, ...] = ("hsv", "lab")
    """Color spaces."""
    scales: tuple[float, ...] = (50.0, 100.0)
    """Thresholds k of the segmentation; larger ones begin with larger regions."""
    strategies: tuple[Strategy, ...] = (ALL, NO_COLOR)
    """Ways of grouping."""
    max_pixels: int = Field(400_000, ge=1)
    """Larger images are searched at this many pixels; the boxes come back in the image's own."""
    min_area: float = Field(0.0, ge=0)
    """Boxes with a smaller area, in pixels of the image, are left out."""
    max_aspect: float = Field(float("inf"), ge=1)
    """Boxes with a longer side more than so many times the shorter one are left out."""
    max_proposals: int | None = None
    """At most so many boxes, the best."""
    seed: int = 0
    """Of the random numbers in the ranking."""

    @classmethod
    def of(cls, mode: Mode, **values: Any) -> Self:
        """The paper's ``single``, ``fast`` or ``quality`` choice of colors, scales and strategies, with other ``values`` exchanged.

        Raises:
            ValueError: there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"selective search: expected mode single, fast or quality, got {mode!r}")
        return cls(**{**MODES[mode], **values})


class ProposalsConfig(Config):
    """Where the proposals of a image come from, which are kept, and where they are remembered."""

    shorthand: ClassVar[str | None] = "mode"

    backend: str = "detkit"
    """``detkit``, ``opencv``, ``selectivesearch``, a name that another package adds, or a checkpoint of Faster R-CNN."""
    mode: Mode = "fast"
    """How thoroughly selective search looks; a region proposal network has no modes."""
    max_proposals: int | None = Field(None, ge=1)
    """At most so many proposals of a image, the best."""
    min_area: float = Field(0.0, ge=0)
    """Proposals with a smaller area, in pixels of the image, are left out."""
    max_aspect: float = Field(float("inf"), ge=1)
    """Proposals with a longer side more than so many times the shorter one are left out."""
    seed: int = 0
    """Of the random numbers in the ranking of selective search."""
    cache: str | None = None
    """A folder in which the proposals of every image are remembered; None: nowhere."""
    cache_megabytes: float = Field(2000.0, gt=0)
    """What the folder may take, in units of 10^6 bytes; what was used longest ago is removed first."""

    def build(self, backend: Backend | None = None) -> Proposer:
        """What gives the proposals of a image.

        Args:
            backend: Taken in place of the one named; ``detkit.inference.proposals.build_proposer`` gives one for a checkpoint.

        Raises:
            ValueError: there is no such backend.
            ImportError: the backend needs a package that is not here.
        """
        from detkit.proposals.proposer import Proposer

        return Proposer(self, backend)
