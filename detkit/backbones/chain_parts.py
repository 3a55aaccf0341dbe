"""How libraries' classifiers become sources of maps: which parts run, and what about their borders is put right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from detkit.layers import like


@dataclass(frozen=True)
class Recipe:
    """The way from a classifier to a chain of parts.

    Attributes:
        stages: For each stage the dotted names of its parts, in the order of running.
        taps: For each level, the name of the part whose output it is.
        prepare: Puts right what is about the classifier's borders, in place.
        channels_last: Whether maps come out as ``(B, H, W, C)``.
        map_norms: Whether every map passes a layer norm of its own, which starts anew: for networks whose blocks end without one.
    """

    stages: tuple[tuple[str, ...], ...]
    taps: Mapping[str, str]
    prepare: Callable[[nn.Module], None] | None = None
    channels_last: bool = False
    map_norms: bool = False


def steps(prefix: str, low: int, high: int) -> tuple[str, ...]:
    """The names ``prefix.low`` to ``prefix.(high - 1)``."""
    return tuple(f"{prefix}.{place}" for place in range(low, high))


def center(module: nn.Module) -> None:
    """Pad every convolution and pooling, in place, so that a map has ``ceil(size / stride)`` cells.

    Odd kernels get half their reach on either side, which puts cells where a ResNet has them; even ones, which see whole blocks of
    pixels, run over the end instead.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.padding = tuple((side - 1) // 2 * step for side, step in zip(part.kernel_size, part.dilation, strict=True))
        elif isinstance(part, (nn.MaxPool2d, nn.AvgPool2d)):
            side = part.kernel_size if isinstance(part.kernel_size, int) else part.kernel_size[0]
            part.padding, part.ceil_mode = ((side - 1) // 2, False) if side % 2 else (0, True)


class PatchConv(nn.Conv2d):
    """A convolution whose kernel is as large as its stride; what is short of a whole patch at the end is filled with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, D, ceil(H / stride), ceil(W / stride))``."""
        step = self.stride[0]
        high, wide = -x.shape[-2] % step, -x.shape[-1] % step
        if high or wide:
            x = functional.pad(x, (0, wide, 0, high))
        found: Tensor = super().forward(x)
        return found


def whole_patches(module: nn.Module) -> None:
    """Exchange, in place, every convolution with a kernel as large as its stride for a :class:`PatchConv`; names and numbers stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.kernel_size == child.stride and child.stride[0] > 1:
            module.add_module(name, like(PatchConv, child))
        else:
            whole_patches(child)


def pad_before(part: nn.Module) -> None:
    """Give a part that cuts a pixel off every side one more pixel of zeros there, whatever runs inside it."""
    part.register_forward_pre_hook(_padded)


def _padded(_part: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (functional.pad(inputs[0], (1, 1, 1, 1)),)
