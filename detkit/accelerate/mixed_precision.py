"""Convolution with bfloat16 products and float32 sums, for detection on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import conv_like
from detkit.accelerate.fused import FusedConv, can_fuse


class MixedPrecisionConv(nn.Module):
    """Convolution that multiplies in bfloat16 and returns its sums in float32.

    oneDNN sums in float32 and rounds its result to bfloat16, so that logits of neighbors become equal and the order of two boxes becomes
    arbitrary. Here a second pass computes the rounding error of the first one; both together take a third of the time of float32.

    Args:
        conv: The convolution; its weights are rounded to bfloat16, its bias is not.
        exact: Whether to run the second pass.
        split: Whether to multiply the rounding error of the weights too, as additional channels of the same passes. The result then
            equals that of float32 for an ``x`` in bfloat16. For convolutions with one group.
    """

    def __init__(self, conv: nn.Conv2d, exact: bool = True, split: bool = False) -> None:
        super().__init__()
        self.exact, self.split = exact, split
        weight = conv.weight.detach()
        self.conv = _round_conv(conv, torch.cat([weight, weight - weight.bfloat16().float()]) if split else weight)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, C, H, W)`` to ``(N, C', H', W')`` float32."""
        conv = self.conv
        if x.device.type != "cpu" or torch.is_grad_enabled() or not can_fuse(torch.bfloat16):
            with torch.autocast(x.device.type, enabled=False):
                weight = self._join(conv.weight.float(), 0)
                plain: Tensor = conv._conv_forward(x.float(), weight, self.bias)
                return plain
        rounded, error = conv.rounded_sums(x.to(torch.bfloat16), self.exact)
        out = self._join(rounded.float() if error is None else rounded.float().add_(error), 1)
        return out if self.bias is None else out.add_(self.bias[:, None, None])

    def _join(self, parts: Tensor, dim: int) -> Tensor:
        """Add the two parts of every channel."""
        if not self.split:
            return parts
        rounded, error = parts.chunk(2, dim)
        return rounded + error


def _round_conv(conv: nn.Conv2d, weight: Tensor) -> FusedConv:
    """Create a bfloat16 convolution with these weights and without a bias."""
    rounded = conv_like(FusedConv, conv)
    rounded.out_channels = len(weight)
    rounded.bias, rounded.weight = None, nn.Parameter(weight.to(torch.bfloat16), requires_grad=False)
    return rounded
