"""Fully connected layers of a region head cut to lower ranks, which makes detection on many regions faster."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from detkit.heads.region import TwoFC
from detkit.layers import low_rank
from detkit.models.detector import Detector


def with_low_ranks(detector: Detector, ranks: Sequence[int]) -> Detector:
    """A copy of a detector whose two fully connected layers are cut to two ranks by truncated singular value decomposition.

    Fast R-CNN (arXiv:1504.08083, section 4.4) keeps 1,024 and 256 of VGG16's; mean AP falls by 0.3 points there.

    Raises:
        ValueError: its region head has no such layers, or a rank is too high or not given.
    """
    head: Any = getattr(getattr(detector, "region", None), "head", None)
    if not isinstance(head, TwoFC):
        raise ValueError(f"svd: {type(detector).__name__} has no region head of two fully connected layers (two_fc) to cut")
    if len(ranks) != 2:
        raise ValueError(f"svd: expected two ranks, one for each fully connected layer, such as 1024,256; got {tuple(ranks)}")
    fast: Any = copy.deepcopy(detector)
    fast.region.head.fc6 = low_rank(head.fc6, ranks[0])
    fast.region.head.fc7 = low_rank(head.fc7, ranks[1])
    found: Detector = fast
    return found
