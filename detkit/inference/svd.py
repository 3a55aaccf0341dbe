"""Truncated SVD of the fully connected layers of a region head, which speeds up detection with many proposals."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from detkit.heads.region.layers import TwoFC
from detkit.layers import low_rank
from detkit.models.detector import Detector
from detkit.models.regions import has_regions


def with_low_ranks(detector: Detector, ranks: Sequence[int]) -> Detector:
    """Copy a detector with its two fully connected layers reduced to the given ranks by truncated singular value decomposition.

    Fast R-CNN (arXiv:1504.08083, section 4.4) uses ranks 1,024 and 256 for VGG16, with a loss of 0.3 points of mean AP.

    Raises:
        ValueError: If the region head has no such layers, or a rank is missing or too high.
    """
    if not has_regions(detector) or not isinstance(detector.region.head, TwoFC):
        raise ValueError(f"svd: {type(detector).__name__} has no region head with two fully connected layers (two_fc)")
    if len(ranks) != 2:
        raise ValueError(f"svd: expected two ranks, one for each fully connected layer, such as 1024,256; got {tuple(ranks)}")
    fast = copy.deepcopy(detector)
    for name, rank in zip(("fc6", "fc7"), ranks, strict=True):
        fast.region.head.add_module(name, low_rank(getattr(fast.region.head, name), rank))
    return fast
