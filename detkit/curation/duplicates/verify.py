"""Whether two images with near hashes are copies: their details must agree once they lie on one another.

Two images of the sea, of the sky or of cells have the same low frequencies, and so near hashes. Their details differ. So the images are
aligned by an affine transform (Evangelidis and Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization,
2008), and their high frequencies are correlated: over the whole image, and block by block, so that a frame or a logo that two images share
is not enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Flags, Floats, ImageArray

SIDE = 128
"""Side in pixels of the images that are compared."""
MIN_CORRELATION = 0.7
"""Least correlation of the details of copies.

On 2,100 photographs and micrographs, pairs that are no copies reach .44 among the 2,400 pairs with the nearest hashes; copies of JPEG
quality 10, of a quarter of the size, with gamma 1.6, noise of 15 gray values or cropped by 5 % in each direction have at least .77.
"""
MIN_AGREEING = 0.6
"""Least fraction of the blocks with details whose details agree; pairs that are no copies reach .44, those copies have at least .66."""
MIN_THUMBNAIL_CORRELATION = 0.6
"""Least correlation of the details of the thumbnails, not aligned; 90 of 100 pairs with near hashes have less, and are not decoded."""
_BLOCK = 16
_AGREES = 0.5
"""Correlation of a block's details from which it agrees."""
_LEAST_DETAIL = 1.5
"""Standard deviation of details, in gray values, below which they may be noise or the blocks of JPEG."""
_LEAST_BLOCKS = 16
"""Blocks, of 64, in which both images must show details: a single edge across an image, such as a horizon, passes through at most 15, and
any two such edges can be laid on one another."""
_FINE, _COARSE = 1.0, 4.0
"""The details are what lies between these two Gaussians, in pixels."""
_FLAT_BORDER = 8
"""Gray values by which a row or a column of a border differs within itself at most."""
_STEPS, _PRECISION = 50, 1e-4


@dataclass(frozen=True)
class Agreement:
    """How well the details of two images agree.

    Attributes:
        correlation: Correlation of the details of the part that the images share, from -1 to 1.
        agreeing: Fraction of the blocks with details that agree.
    """

    correlation: float
    agreeing: float

    @property
    def is_copy(self) -> bool:
        """Whether the images are copies."""
        return self.correlation >= MIN_CORRELATION and self.agreeing >= MIN_AGREEING


NO_AGREEMENT = Agreement(0.0, 0.0)


def compare(first: ImageArray, second: ImageArray, shift: tuple[int, int] = (0, 0)) -> Agreement:
    """Compare two gray images ``(SIDE, SIDE)`` in the same orientation, where they overlap.

    Images without details in most places, such as those of one color, never agree: only equal pixels show that they are copies.

    Args:
        first: One image.
        second: The other one.
        shift: About ``(y, x)`` in pixels: what is at ``(r, c)`` of the second image is at ``(r + y, c + x)`` of the first.
    """
    one, other = first.astype(np.float32), second.astype(np.float32)
    inside = _inside(one) & _inside(other)
    plain = _agreement(one, other, inside)
    if plain.is_copy:
        return plain
    aligned = _align(one, other, shift)
    if aligned is None:
        return plain
    moved, covered = aligned
    return max(plain, _agreement(one, moved, inside & covered), key=lambda agreement: (agreement.is_copy, agreement.correlation))


def thumbnail_details(thumbnails: ImageArray) -> Floats:
    """Return the details of thumbnails ``(N, S, S)``, with mean 0 and length 1, so that the product of two is their correlation."""
    fine, coarse = (_blur_matrix(thumbnails.shape[1], sigma) for sigma in (_FINE, _COARSE))
    smooth = fine @ thumbnails.astype(np.float32) @ fine.T
    details = smooth - coarse @ smooth @ coarse.T
    details -= details.mean(axis=(1, 2), keepdims=True)
    return np.asarray(details / np.maximum(np.sqrt((details * details).sum(axis=(1, 2), keepdims=True)), 1e-6), np.float32)


def _blur_matrix(side: int, sigma: float) -> Floats:
    """Return the matrix that blurs the rows of an image."""
    distance = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def has_details(thumbnails: ImageArray) -> Flags:
    """Return whether thumbnails ``(N, S, S)`` show more than one color with noise, shape ``(N,)``."""
    return np.asarray(thumbnails.reshape(len(thumbnails), -1).astype(np.float32).std(axis=1) >= _LEAST_DETAIL)


def _details(image: Floats) -> Floats:
    import cv2

    fine = cv2.GaussianBlur(image, (0, 0), _FINE)
    return np.asarray(fine - cv2.GaussianBlur(fine, (0, 0), _COARSE), np.float32)


def _agreement(first: Floats, second: Floats, valid: Flags) -> Agreement:
    """Return the agreement where ``valid``."""
    weights = valid.astype(np.float32)
    pixels = _blocks(weights)
    one, other = _details(first) * weights, _details(second) * weights
    energies, products = (_blocks(one * one), _blocks(other * other)), _blocks(one * other)
    deviations = [np.sqrt(energy / np.maximum(pixels, 1)) for energy in energies]
    detailed = (pixels > _BLOCK * _BLOCK / 2) & (np.maximum(*deviations) > _LEAST_DETAIL)
    if (detailed & (np.minimum(*deviations) > _LEAST_DETAIL)).sum() < _LEAST_BLOCKS:
        return NO_AGREEMENT
    local = products / np.maximum(np.sqrt(energies[0] * energies[1]), 1e-6)
    correlation = products.sum() / max(float(np.sqrt(energies[0].sum() * energies[1].sum())), 1e-6)
    return Agreement(float(correlation), float((local[detailed] > _AGREES).mean()))


def _blocks(values: Floats) -> Floats:
    count = SIDE // _BLOCK
    return np.asarray(values.reshape(count, _BLOCK, count, _BLOCK).sum(axis=(1, 3)))


def _inside(image: Floats) -> Flags:
    """Return the pixels inside the border of one color that letterboxed images and scans have, and away from its edge."""
    inside = np.ones(image.shape, bool)
    for axis in (0, 1):
        varied = np.flatnonzero(np.ptp(image, axis=1 - axis) > _FLAT_BORDER)
        if not len(varied):
            return np.zeros(image.shape, bool)
        margin = int(2 * _COARSE)
        low = varied[0] + margin if varied[0] else 0
        high = varied[-1] + 1 - margin if varied[-1] + 1 < SIDE else SIDE
        band = (np.arange(SIDE) >= low) & (np.arange(SIDE) < high)
        inside &= band[:, None] if axis == 0 else band[None, :]
    return inside


def _align(first: Floats, second: Floats, shift: tuple[int, int]) -> tuple[Floats, Flags] | None:
    """Return the second image moved onto the first, and the pixels that it covers; None if it cannot be."""
    import cv2

    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION)
    try:
        everything = np.full((SIDE, SIDE), 255, np.uint8)
        start = np.array([[1, 0, -shift[1]], [0, 1, -shift[0]]], np.float32)
        _, transform = cv2.findTransformECC(first, second, start, cv2.MOTION_AFFINE, criteria, everything, 5)
    except cv2.error:  # it does not converge
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, transform, (SIDE, SIDE), flags=flags)
    covered = cv2.warpAffine(np.ones_like(second), transform, (SIDE, SIDE), flags=flags) > 0.99
    kernel = np.ones((9, 9), np.uint8)
    eroded = cv2.erode(covered.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
    return (np.asarray(moved, np.float32), eroded) if eroded.mean() >= 0.5 else None
