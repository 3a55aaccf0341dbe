"""A copy of a detector that detects faster: norms folded, memory in the order and the precision that the device likes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detkit.heads.dense import DenseHead
from detkit.heads.float32 import Float32Conv2d, Float32Linear
from detkit.layers import HalfProductsConv, can_fuse, fold_batch_norms, fuse_activations
from detkit.models.detector import Detector
from detkit.necks.fpn import FPN

_KEPT = (Float32Conv2d, Float32Linear)
MANY = 64
"""Output channels from which on a last layer costs an image time worth sparing."""


def optimize(detector: Detector, dtype: torch.dtype) -> Detector:
    """A copy for detection alone, on the detector's device; what came in is not changed.

    Every batch norm is folded into the convolution before it, on a CPU activations run in one pass with their convolutions, these
    are kept in channels-last order, and where ``dtype`` is a half precision so are the weights; run the copy under autocast to that
    type. The last layers of the heads stay in float32; only the widest among those of the classes multiply in bfloat16, on a CPU. All
    convolutions of a detector on a backbone of depthwise convolutions stay in float32 too, under bfloat16: sums over so few numbers
    cancel, and bfloat16 moved one sure box in eight of such a detector by more than a twentieth; they gain little from it.
    """
    fast = fold_batch_norms(detector).requires_grad_(False)
    fuses = detector.mean.device.type == "cpu" and can_fuse()
    for part in fast.modules():
        if isinstance(part, DenseHead):
            part.join_last_layers()
        if isinstance(part, FPN) and fuses:
            part.join_sums()
    if fuses:
        fuse_activations(fast)
    if dtype == torch.bfloat16 and has_depthwise(detector.backbone):
        fast.neck = InFloat32(fast.neck)  # type: ignore[arg-type]
        _keep_convolutions(fast)
    elif dtype == torch.bfloat16 and fuses:
        _halve_products(fast)
    if dtype != torch.float32:
        _convert(fast, dtype)
    return fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload, return-value, no-any-return]


def has_depthwise(module: nn.Module) -> bool:
    """Whether a convolution in it has one group a channel."""
    return any(isinstance(part, nn.Conv2d) and 1 < part.groups == part.in_channels for part in module.modules())


class InFloat32(nn.Module):
    """A network that runs in float32 also under autocast; it has the attributes of the one it holds.

    Args:
        module: Takes and gives tensors, or tuples of them.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        """What the network gives for ``x`` in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return self.module(x.float())

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


def _keep_convolutions(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            module.add_module(name, InFloat32(child))
        elif not isinstance(child, InFloat32):
            _keep_convolutions(child)


def _halve_products(detector: nn.Module) -> None:
    """Let the last layers of the classes multiply in bfloat16 where these are many, and joint ones without any loss."""
    for head in [part for part in detector.modules() if isinstance(part, DenseHead) and part.joint is not None]:
        head.joint = HalfProductsConv(head.joint, split=True)  # type: ignore[arg-type]
    exact = not getattr(getattr(detector, "head", None), "keeps_score_order_in_bf16", False)
    for name, part in list(detector.named_modules()):
        wide = isinstance(part, Float32Conv2d) and part.kernel_size != (1, 1) and part.out_channels >= MANY
        if wide and "logits" in name.split("."):
            parent, _, own = name.rpartition(".")
            detector.get_submodule(parent).add_module(own, HalfProductsConv(part, exact))  # type: ignore[arg-type]


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    """Make weights half precision at once; autocast would convert them again for every image."""
    for child in module.children():
        if isinstance(child, InFloat32):
            continue
        if isinstance(child, (nn.Conv2d, nn.Linear)) and not isinstance(child, _KEPT):
            child.to(dtype)
        _convert(child, dtype)
