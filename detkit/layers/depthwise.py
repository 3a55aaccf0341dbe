"""Depthwise convolutions, which must not be trained in bfloat16 on a CPU."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

C = TypeVar("C", bound=nn.Conv2d)


class SteppingOutConv(nn.Conv2d):
    """A convolution that, when it is depthwise, steps out of the CPU's autocast while gradients are recorded.

    The backward pass of depthwise convolutions has no fast bfloat16 kernel on CPUs: a training step of EfficientNet-Lite0 takes 2.5 times
    as long with it as with these layers alone in float32 (and the rest in bfloat16, channels last). The state dict is a convolution's.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        depthwise = self.groups == self.in_channels > 1
        if not (depthwise and input.device.type == "cpu" and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        with torch.autocast("cpu", enabled=False):
            found: Tensor = super()._conv_forward(input.float(), weight.float(), None if bias is None else bias.float())
        return found.to(torch.get_autocast_dtype("cpu"))


def step_out_depthwise(module: nn.Module) -> nn.Module:
    """Exchange, in place, every plain depthwise convolution below ``module`` for a :class:`SteppingOutConv`; names and numbers stay."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and child.groups == child.in_channels > 1:
                parent.add_module(name, like(SteppingOutConv, child))
    return module


def like(kind: type[C], conv: nn.Conv2d) -> C:
    """A convolution of class ``kind`` with the shape of ``conv`` and its very parameters."""
    made = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        groups=conv.groups,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        device="meta",
    )
    made.weight, made.bias = conv.weight, conv.bias
    return made
