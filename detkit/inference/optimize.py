"""Optimization of a detector for inference: folded norms, fused layers, memory format and precision, and smaller layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import fold_batch_norms
from detkit.accelerate.fused import can_fuse, fuse_activations
from detkit.accelerate.mixed_precision import MixedPrecisionConv
from detkit.heads.dense import DenseHead
from detkit.heads.float32 import Float32Conv2d, Float32Linear
from detkit.heads.region.layers import TwoFC
from detkit.layers import low_rank
from detkit.models.detector import Detector
from detkit.models.one_stage import OneStage
from detkit.models.regions import has_regions
from detkit.necks.fpn import FPN

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_FLOAT32_LAYERS = (Float32Conv2d, Float32Linear)
MIN_WIDE_CHANNELS = 64
"""Output channels from which a last layer takes enough time to be worth optimizing."""


def optimize(detector: Detector, dtype: torch.dtype) -> Detector:
    """Return an optimized copy of a detector for inference only, on the same device; the detector is not modified.

    Batch norms are folded into the preceding convolutions. On a CPU, activations are fused with their convolutions. The memory format is
    channels-last. If ``dtype`` is a half precision, the weights are converted to it; run the copy under autocast to that type. The last
    layers of the heads stay in float32, except that wide classification layers multiply in bfloat16 on a CPU. With bfloat16 and a
    backbone of depthwise convolutions, all convolutions stay in float32: sums over so few numbers cancel, so that bfloat16 moved one
    in eight confident boxes of such a detector by more than a twentieth, and they gain little speed from bfloat16.
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
        fast.neck = InFloat32(cast("nn.Module", fast.neck))
        _keep_convolutions_in_float32(fast)
    elif dtype == torch.bfloat16 and fuses and can_fuse(dtype):
        _halve_products(fast)
    if dtype != torch.float32:
        _convert(fast, dtype)
    return cast("Detector", nn.Module.to(fast, memory_format=torch.channels_last))  # type: ignore[call-overload]


def has_depthwise(module: nn.Module) -> bool:
    """Whether a module contains a depthwise convolution (one group per channel)."""
    return any(isinstance(part, nn.Conv2d) and 1 < part.groups == part.in_channels for part in module.modules())


class InFloat32(nn.Module):
    """Runs a module in float32 even under autocast; its attributes are accessible through the wrapper.

    Args:
        module: The module; its first input is a tensor, and its output a tensor or a tuple of tensors.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, *others: Any) -> Any:
        """Return the output of the module for ``x`` in float32; other inputs are passed on."""
        with torch.autocast(x.device.type, enabled=False):
            return self.module(x.float(), *others)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


def _keep_convolutions_in_float32(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, _CONVOLUTIONS):
            module.add_module(name, InFloat32(child))
        elif not isinstance(child, InFloat32):
            _keep_convolutions_in_float32(child)


def _halve_products(detector: nn.Module) -> None:
    """Make wide classification layers multiply in bfloat16, and joint last layers in split bfloat16 without loss."""
    for head in [part for part in detector.modules() if isinstance(part, DenseHead)]:
        if isinstance(head.joint, nn.Conv2d):
            head.joint = MixedPrecisionConv(head.joint, split=True)
    exact = not (isinstance(detector, OneStage) and detector.head.keeps_score_order_in_bf16)
    for name, part in list(detector.named_modules()):
        if not isinstance(part, Float32Conv2d) or part.kernel_size == (1, 1) or part.out_channels < MIN_WIDE_CHANNELS:
            continue
        if "logits" in name.split("."):
            parent, _, child_name = name.rpartition(".")
            detector.get_submodule(parent).add_module(child_name, MixedPrecisionConv(part, exact))


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights to half precision once; autocast would convert them for every image."""
    for child in module.children():
        if isinstance(child, InFloat32):
            continue
        if isinstance(child, (*_CONVOLUTIONS, nn.Linear)) and not isinstance(child, _FLOAT32_LAYERS):
            child.to(dtype)
        _convert(child, dtype)


def with_low_ranks(detector: Detector, ranks: Sequence[int]) -> Detector:
    """Copy a detector with its two fully connected layers reduced to the given ranks by truncated singular value decomposition.

    It speeds up detection with many proposals. Fast R-CNN (arXiv:1504.08083, section 4.4) uses ranks 1,024 and 256 for VGG16, with a loss
    of 0.3 points of mean AP.

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
