"""Convolution block: convolution, norm and activation, the latter two by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

from detkit.layers.frozen_norm import FrozenBatchNorm

NormName = Literal["batch", "frozen", "group"]

GROUPS = 32
"""Groups of a group norm (arXiv:1803.08494, section 4)."""

ActivationName = Literal["relu", "relu6", "silu", "hardswish"]

ACTIVATIONS: dict[ActivationName, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.Hardswish}
"""Activations by their names in configs."""


class Leaky(nn.LeakyReLU):
    """``max(x, 0.1 x)``, the activation of YOLO (arXiv:1506.02640, section 2.2)."""

    def __init__(self) -> None:
        super().__init__(0.1, inplace=True)


def make_norm(name: NormName | None, channels: int) -> nn.Module | None:
    """Build a norm by name: ``batch``, ``frozen`` (batch norm that never changes), ``group`` (32 groups, as in GN's paper) or None.

    Raises:
        ValueError: If the name is unknown, or the norm does not support this number of channels.
    """
    if name is None:
        return None
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "frozen":
        return FrozenBatchNorm(channels)
    if name == "group":
        if channels % GROUPS:
            raise ValueError(f"norm group has {GROUPS} groups: expected a multiple of {GROUPS} channels, got {channels}")
        return nn.GroupNorm(GROUPS, channels)
    raise ValueError(f"unknown norm {name!r}: expected batch, frozen, group or None")


class ConvNormAct(nn.Sequential):
    """Convolution that keeps the map's size (divided by ``stride``), followed by a norm and an activation.

    The parts are named 0, 1, 2, as in torchvision's ``Conv2dNormActivation``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Kernel size: odd, or even with a stride of 2.
        stride: Stride of the convolution.
        groups: Channel groups; ``in_channels`` makes the convolution depthwise.
        norm: See :func:`make_norm`.
        activation: Module class, or None.
        bias: Whether the convolution has a bias; None: only if no norm follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: NormName | None = None,
        activation: type[nn.Module] | None = nn.ReLU,
        bias: bool | None = None,
    ) -> None:
        padding = (kernel - 1) // 2
        bias = norm is None if bias is None else bias
        parts: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)]
        norm_layer = make_norm(norm, out_channels)
        if norm_layer is not None:
            parts.append(norm_layer)
        if activation is not None:
            parts.append(activation())
        super().__init__(*parts)
        self.out_channels = out_channels
