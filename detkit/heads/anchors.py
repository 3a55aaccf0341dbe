"""Anchors of a dense head: their config and the module that holds them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from detkit.config import Config
from detkit.ops.anchors import cell_anchors, grid_anchors, grid_strides
from detkit.structures import Size


class AnchorConfig(Config):
    """Anchors of every cell on every level; all levels have the same number of anchors per cell."""

    sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    """Anchor sizes of each level, finest first: square roots of the anchors' areas, in pixels."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Aspect ratios, height / width; every size is combined with every ratio."""

    def build(self, levels: int) -> GridAnchors:
        """Build the anchors for a pyramid with ``levels`` levels.

        Raises:
            ValueError: If ``sizes`` has another number of levels, or the levels differ in their number of sizes.
        """
        if len(self.sizes) != levels:
            raise ValueError(
                f"anchors.sizes: expected sizes for the {levels} levels of the neck, got {len(self.sizes)} levels, {self.sizes}; "
                "give one tuple of sizes per level"
            )
        counts = {len(sizes) for sizes in self.sizes}
        if len(counts) != 1 or 0 in counts or not self.ratios:
            raise ValueError(
                "anchors: expected the same number of sizes on every level, at least one, and at least one ratio; "
                f"got sizes {self.sizes} and ratios {self.ratios}"
            )
        return GridAnchors(self.sizes, self.ratios)


class GridAnchors(nn.Module):
    """Anchors per level, placed on the grids of the feature maps.

    Args:
        sizes: Sizes in pixels, one sequence per level.
        ratios: Aspect ratios, height / width.
    """

    def __init__(self, sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> None:
        super().__init__()
        self.per_cell = len(sizes[0]) * len(ratios)
        self.levels = len(sizes)
        for level, level_sizes in enumerate(sizes):
            self.register_buffer(f"cell{level}", cell_anchors(level_sizes, ratios), persistent=False)

    def forward(self, padded_size: Size, grids: Sequence[Size]) -> list[Tensor]:
        """Return for each level the ``(H * W * A, 4)`` float32 anchors in pixels of the padded image, cell by cell."""
        cells = [self.get_buffer(f"cell{level}").float() for level in range(self.levels)]
        return grid_anchors(cells, grids, grid_strides(padded_size, grids))
