"""torchvision's NMS kernel without the import of torchvision, which takes as long as torch's."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, nms_iou: float) -> Tensor:
    """Return the rows kept by greedy NMS, best first, as ``torchvision.ops.nms`` does; ``(N, 4)`` boxes and ``(N,)`` scores."""
    torchvision = sys.modules.get("torchvision")
    kernel = torchvision.ops.nms if torchvision is not None and hasattr(torchvision, "ops") else _kernel()
    rows: Tensor = kernel(boxes, scores, nms_iou)
    return rows


@cache
def _kernel() -> Any:
    """Load torchvision's compiled operators, or import torchvision if its library is not where it usually is."""
    load: Any = torch.ops.load_library
    found = importlib.util.find_spec("torchvision")
    folder = Path(found.submodule_search_locations[0]) if found is not None and found.submodule_search_locations else None
    for library in sorted([*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]) if folder is not None else ():
        try:
            load(str(library))
            return torch.ops.torchvision.nms
        except (OSError, AttributeError):
            continue
    from torchvision.ops import nms as imported

    return imported
