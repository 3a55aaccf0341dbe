"""Print the memory of a search for several kinds of images, each at the size of the search and at twelve megapixels."""

from __future__ import annotations

import sys

import numpy as np
from growth import growth
from skimage import data

from detkit.proposals import selective_search


def main() -> int:
    """Print megabytes for noise, a blank image and a photograph: small and large of each."""
    noise = np.random.default_rng(0).integers(256, size=(500, 667, 3), dtype=np.uint8)
    kinds = (
        noise.repeat(6, 0).repeat(6, 1)[:, :4000],
        np.full((3000, 4000, 3), 90, np.uint8),
        data.coffee().repeat(8, 0).repeat(8, 1)[:3000, :4000],
    )
    selective_search(noise[:50, :50].copy(), "single", threads=1)  # loads the compiled code
    for image in kinds:
        for pixels in (np.ascontiguousarray(image[::5, ::5]), np.ascontiguousarray(image)):
            growth(lambda pixels=pixels: selective_search(pixels, "single", threads=1))  # type: ignore[misc]
    return 0


if __name__ == "__main__":
    sys.exit(main())
