"""Batch normalization with fixed statistics and affine parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class FrozenBatchNorm(nn.Module):
    """``x * scale + shift`` from fixed statistics, like torchvision's ``FrozenBatchNorm2d``.

    Its tensors are buffers with the names of a ``BatchNorm2d``, so it loads the state dict of either, with or without
    ``num_batches_tracked``.

    Args:
        num_features: Channels C of the input ``(N, C, H, W)``.
        eps: Added to the variance; torchvision's COCO detectors with a plain ResNet-50 FPN were published for 0.
        activation: Applied to the result, for norms that include an activation, as timm's do.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.activation = activation
        self.absorbed = False
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, eps: float | None = None) -> FrozenBatchNorm:
        """Create a frozen norm with the values of ``norm``, and with its activation if it includes one (timm's do)."""
        activation = getattr(norm, "act", None)
        frozen = cls(norm.num_features, norm.eps if eps is None else eps, None if isinstance(activation, nn.Identity) else activation)
        frozen.load_state_dict(norm.state_dict())
        return frozen.to(norm.running_mean.device if norm.running_mean is not None else None)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Scale and shift of each channel, ``(C,)`` each."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)`` in float32; the output keeps the dtype of the input."""
        if not (self.absorbed and torch.is_grad_enabled()):
            scale, shift = self.scale_and_shift()
            x = (x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)).to(x.dtype)
        return x if self.activation is None else self.activation(x)

    def extra_repr(self) -> str:
        """Return channels and eps for the module's ``repr``."""
        return f"{self.num_features}, eps={self.eps}" + (", absorbed" if self.absorbed else "")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.pop(prefix + "num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args)


def freeze_norms(module: nn.Module, eps: float | None = None) -> nn.Module:
    """Replace every ``BatchNorm2d`` in ``module``, in place, by a :class:`FrozenBatchNorm` with its values and name.

    Args:
        module: The network; use the returned module, because ``module`` may itself be a norm.
        eps: Eps of the frozen norms; None keeps that of each norm.
    """
    if isinstance(module, nn.BatchNorm2d):
        return FrozenBatchNorm.of(module, eps)
    for name, child in list(module.named_children()):
        module.add_module(name, freeze_norms(child, eps))
    return module
