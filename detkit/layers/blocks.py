"""A convolution with its norm and its activation."""

from __future__ import annotations

from typing import Literal

from torch import nn

from detkit.layers.frozen_norm import FrozenBatchNorm

NormName = Literal["batch", "frozen", "group"]

GROUPS = 32
"""Groups of a group norm (arXiv:1803.08494, section 4)."""

ActivationName = Literal["relu", "relu6", "silu", "hardswish"]

ACTIVATIONS: dict[ActivationName, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.Hardswish}
"""Activations by the names that a config gives them."""


def make_norm(name: NormName | None, channels: int) -> nn.Module | None:
    """A norm by its name, or None: ``batch``, ``frozen`` (batch norm that never changes), ``group`` (32 groups, as GN's paper).

    Raises:
        ValueError: there is no such norm, or it does not go with so many channels.
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
    """Convolution that keeps the map's size (divided by ``stride``), then a norm, then an activation.

    Its parts are named 0, 1, 2 as in torchvision's ``Conv2dNormActivation``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the kernel: odd, or even with a stride of 2.
        stride: Step of the convolution.
        groups: Groups of channels; ``in_channels`` makes it depthwise.
        norm: See :func:`make_norm`.
        activation: A module class, or None.
        bias: Whether the convolution has one; None: where no norm follows.
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
        made = make_norm(norm, out_channels)
        if made is not None:
            parts.append(made)
        if activation is not None:
            parts.append(activation())
        super().__init__(*parts)
        self.out_channels = out_channels
