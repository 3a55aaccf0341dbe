"""A convolution of bfloat16 numbers with float32 sums, for detection on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.layers.fold import conv_like
from detkit.layers.fused import FusedConv, can_fuse


class HalfProductsConv(nn.Module):
    """A convolution that multiplies in bfloat16 and gives its sums in float32.

    oneDNN sums in float32 and rounds what it gives to bfloat16: logits of neighbors become equal, and which of two boxes is the
    better one is left to chance. Here a second pass gives what the rounding of the first one lost; both together take a third of the
    time that float32 takes.

    Args:
        conv: The convolution; its weights are rounded to bfloat16, its bias is not.
        exact: Whether the second pass is made.
        split: Whether what rounding took from the weights is multiplied too, as further channels of the same passes: the result is then
            that of float32 for an ``x`` in bfloat16. For convolutions of one group.
    """

    def __init__(self, conv: nn.Conv2d, exact: bool = True, split: bool = False) -> None:
        super().__init__()
        self.exact, self.split = exact, split
        weight = conv.weight.detach()
        self.conv = _rounded(conv, torch.cat([weight, weight - weight.bfloat16().float()]) if split else weight)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, C', H', W')`` float32."""
        conv = self.conv
        if x.device.type != "cpu" or torch.is_grad_enabled() or not can_fuse():
            with torch.autocast(x.device.type, enabled=False):
                weight = self._whole(conv.weight.float(), 0)
                return functional.conv2d(x.float(), weight, self.bias, conv.stride, conv.padding, conv.dilation, conv.groups)  # type: ignore[arg-type]
        rounded, lost = conv.sums(x.to(torch.bfloat16), self.exact)
        found = self._whole(rounded.float() if lost is None else rounded.float().add_(lost), 1)
        return found if self.bias is None else found.add_(self.bias[:, None, None])

    def _whole(self, parts: Tensor, dim: int) -> Tensor:
        """The two parts of every channel in one."""
        if not self.split:
            return parts
        rounded, rest = parts.chunk(2, dim)
        return rounded + rest


def _rounded(conv: nn.Conv2d, weight: Tensor) -> FusedConv:
    """A convolution of bfloat16 numbers without a bias, with these weights."""
    made = conv_like(FusedConv, conv)
    made.out_channels = len(weight)
    made.bias, made.weight = None, nn.Parameter(weight.to(torch.bfloat16), requires_grad=False)
    return made
