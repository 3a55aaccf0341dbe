"""How a library's classifier becomes a backbone: which modules run in which order, and how their padding is corrected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.fold import conv_like


@dataclass(frozen=True)
class Recipe:
    """The conversion of a classifier to a sequence of modules.

    Attributes:
        stages: For each stage the dotted names of its modules, in execution order.
        taps: For each level, the name of the module whose output it is.
        prepare: Corrects the padding of the classifier, in place.
        channels_last: Whether maps come out as ``(B, H, W, C)``.
        map_norms: Whether each map passes through its own, newly initialized layer norm; for networks whose blocks end without one.
    """

    stages: tuple[tuple[str, ...], ...]
    taps: Mapping[str, str]
    prepare: Callable[[nn.Module], None] | None = None
    channels_last: bool = False
    map_norms: bool = False


def steps(prefix: str, low: int, high: int) -> tuple[str, ...]:
    """Return the names ``prefix.low`` to ``prefix.(high - 1)``."""
    return tuple(f"{prefix}.{index}" for index in range(low, high))


def center(module: nn.Module) -> None:
    """Pad every convolution and pooling layer, in place, so that a map has ``ceil(size / stride)`` cells.

    Odd kernels are padded symmetrically, which centers cells as in a ResNet. Even kernels, which cover whole blocks of pixels, extend
    past the end instead.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.padding = tuple((side - 1) // 2 * step for side, step in zip(part.kernel_size, part.dilation, strict=True))
        elif isinstance(part, (nn.MaxPool2d, nn.AvgPool2d)):
            side = part.kernel_size if isinstance(part.kernel_size, int) else part.kernel_size[0]
            part.padding, part.ceil_mode = ((side - 1) // 2, False) if side % 2 else (0, True)


class PatchConv(nn.Conv2d):
    """A convolution whose kernel size equals its stride; an incomplete patch at the end is padded with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, D, ceil(H / stride), ceil(W / stride))``."""
        step = self.stride[0]
        high, wide = -x.shape[-2] % step, -x.shape[-1] % step
        if high or wide:
            x = functional.pad(x, (0, wide, 0, high))
        output: Tensor = super().forward(x)
        return output


def pad_patches(module: nn.Module) -> None:
    """Replace, in place, every convolution whose kernel size equals its stride by a :class:`PatchConv` of the same name and weights."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.kernel_size == child.stride and child.stride[0] > 1:
            module.add_module(name, conv_like(PatchConv, child))
        else:
            pad_patches(child)


def pad_before(part: nn.Module) -> None:
    """Pad the input of a module that cuts a pixel off every side with one pixel of zeros."""
    part.register_forward_pre_hook(_pad_input)


def _pad_input(_part: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (functional.pad(inputs[0], (1, 1, 1, 1)),)
