"""A convolution with its norm and its activation."""

from __future__ import annotations

from typing import Literal

from torch import nn

from detkit.layers.frozen_norm import FrozenBatchNorm

NormName = Literal["batch", "frozen", "group"]


def make_norm(name: NormName | None, channels: int) -> nn.Module | None:
    """A norm by its name, or None: ``batch``, ``frozen`` (batch norm that never changes), ``group`` (32 groups, as GN's paper).

    Raises:
        ValueError: there is no such norm.
    """
    if name is None:
        return None
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "frozen":
        return FrozenBatchNorm(channels)
    if name == "group":
        return nn.GroupNorm(32, channels)
    raise ValueError(f"unknown norm {name!r}: expected batch, frozen, group or None")


class ConvNormAct(nn.Sequential):
    """Convolution that keeps the map's size (divided by ``stride``), then a norm, then an activation.

    Its parts are named 0, 1, 2 as in torchvision's ``Conv2dNormActivation``; the convolution has a bias where no norm follows.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the kernel, odd.
        stride: Step of the convolution.
        groups: Groups of channels; ``in_channels`` makes it depthwise.
        norm: See :func:`make_norm`.
        activation: A module class, or None.
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
    ) -> None:
        padding = (kernel - 1) // 2
        parts: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=norm is None)]
        made = make_norm(norm, out_channels)
        if made is not None:
            parts.append(made)
        if activation is not None:
            parts.append(activation())
        super().__init__(*parts)
        self.out_channels = out_channels
