"""Feature maps as sequences of cells."""

from __future__ import annotations

from torch import Tensor


def map_to_cells(x: Tensor) -> Tensor:
    """Return the cells ``(B, H * W, C)`` of a map ``(B, C, H, W)``, row by row.

    The gradient of a sequence of one image has strides that PyTorch's batch norm reads wrongly on CPUs, without an error; the
    gradient of the map is therefore copied to the usual layout.
    """
    if x.requires_grad and not x.is_leaf and len(x) == 1:
        x.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
    return x.flatten(2).transpose(1, 2)
