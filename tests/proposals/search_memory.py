"""Prints how much memory a search takes at the size at which images are searched, then of twelve megapixels of several kinds."""

from __future__ import annotations

import sys

import numpy as np
from growth import growth
from skimage import data

from detkit.proposals import selective_search


def main() -> int:
    """Megabytes for noise, something blank, and a photograph: small and large of each."""
    noise = np.random.default_rng(0).integers(256, size=(500, 667, 3), dtype=np.uint8)
    kinds = (
        noise.repeat(6, 0).repeat(6, 1)[:, :4000],
        np.full((3000, 4000, 3), 90, np.uint8),
        data.coffee().repeat(8, 0).repeat(8, 1)[:3000, :4000],
    )
    selective_search(noise[:50, :50].copy(), "single", threads=1)  # compiled code is loaded
    for image in kinds:
        for photo in (np.ascontiguousarray(image[::5, ::5]), np.ascontiguousarray(image)):
            growth(lambda photo=photo: selective_search(photo, "single", threads=1))  # type: ignore[misc]
    return 0


if __name__ == "__main__":
    sys.exit(main())
