"""Convolution that includes the frozen norm that follows it, also in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import FrozenNorm, conv_like, conv_norm_pairs


class ScaledConv(nn.Conv2d):
    """Convolution that, while gradients are recorded, scales its weights by the frozen norm that follows it.

    ``norm(conv(x, w)) = conv(x, w * scale) + shift``: the norm's pass over the map, forward and backward, becomes a pass over the much
    smaller weights, and gradients still reach ``w``. Without gradients the two run separately and give torchvision's result bit for
    bit; for detection :func:`detkit.accelerate.fold.fold_batch_norms` goes further. The state dict is that of an ``nn.Conv2d``.
    """

    _norms: tuple[FrozenNorm]  # a tuple, so that the norm is not registered a second time

    @classmethod
    def of(cls, conv: nn.Conv2d, norm: FrozenNorm) -> ScaledConv:
        """Create a scaled convolution that shares the parameters of ``conv``, and mark ``norm`` as absorbed by it."""
        scaled = conv_like(cls, conv)
        scaled._norms = (norm,)
        norm.absorbed = True
        return scaled

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, C, H, W)``; while gradients are recorded, the output is already normalized."""
        if not torch.is_grad_enabled():
            return super().forward(x)
        scale, shift = self._norms[0].scale_and_shift()
        if self.bias is not None:
            shift = shift + self.bias * scale
        out: Tensor = self._conv_forward(x, self.weight * scale.reshape(-1, 1, 1, 1), shift)
        return out


def absorb_frozen_norms(module: nn.Module) -> nn.Module:
    """Replace, in place, every convolution that is followed by a frozen norm by a :class:`ScaledConv`; names and values stay."""
    for pair in conv_norm_pairs(module):
        if isinstance(pair.norm, FrozenNorm) and not pair.norm.absorbed:
            pair.parent.add_module(pair.conv_name, ScaledConv.of(pair.conv, pair.norm))
    return module
