"""A convolution that does the work of the frozen norm behind it, also while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detkit.layers.fold import conv_norm_pairs, like
from detkit.layers.frozen_norm import FrozenBatchNorm


class ScaledConv(nn.Conv2d):
    """A convolution that, while gradients are recorded, runs with its weights scaled by the frozen norm behind it.

    ``norm(conv(x, w)) = conv(x, w * scale) + shift``: the pass over the map, forward and backward, becomes a pass over the weights, which
    are smaller by far, and gradients still reach ``w``. Without gradients the two run apart, to the last bit as torchvision's do; for
    detection :func:`detkit.layers.fold_batch_norms` goes further. The state dict is a plain convolution's.
    """

    _norms: tuple[FrozenBatchNorm]  # a tuple, so that the norm is not registered a second time

    @classmethod
    def of(cls, conv: nn.Conv2d, norm: FrozenBatchNorm) -> ScaledConv:
        """The convolution ``conv``, sharing its parameters, that absorbs ``norm``; marks the norm as absorbed."""
        scaled = like(cls, conv)
        scaled._norms = (norm,)
        norm.absorbed = True
        return scaled

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, C, H, W)``; with gradients, the result is already normalized."""
        if not torch.is_grad_enabled():
            return super().forward(x)
        scale, shift = self._norms[0].scale_and_shift()
        if self.bias is not None:
            shift = shift + self.bias * scale
        scaled: Tensor = self._conv_forward(x, self.weight * scale.reshape(-1, 1, 1, 1), shift)
        return scaled


def absorb_frozen_norms(module: nn.Module) -> nn.Module:
    """Exchange, in place, every convolution that a frozen norm follows for a :class:`ScaledConv`; names and numbers stay."""
    for parent, conv_name, norm_name in conv_norm_pairs(module):
        conv, norm = parent.get_submodule(conv_name), parent.get_submodule(norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm) and not norm.absorbed:
            parent.add_module(conv_name, ScaledConv.of(conv, norm))
    return module
