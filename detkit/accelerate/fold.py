"""Folding of batch norms into the preceding convolutions, and of parallel convolutions into one, for inference."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeGuard, TypeVar, runtime_checkable

import torch
from torch import nn
from torch.nn import functional

C = TypeVar("C", bound=nn.Conv2d)


@runtime_checkable
class FrozenNorm(Protocol):
    """A batch norm whose statistics and affine parameters are fixed, as :class:`detkit.layers.FrozenBatchNorm`."""

    num_features: int
    absorbed: bool
    """Whether the preceding convolution applies it while gradients are recorded."""

    def scale_and_shift(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and shift of each channel, ``(C,)`` each."""
        ...


@runtime_checkable
class HasBranches(Protocol):
    """A block of parallel branches that equals a shorter one when its norms are folded, as :class:`detkit.layers.RepVGGBlock`."""

    def merge_branches(self) -> nn.Module:
        """Return the equal, shorter module, or the block itself where it has none."""
        ...


def is_foldable(norm: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a norm has the tensors of a ``BatchNorm2d``."""
    return isinstance(norm, nn.BatchNorm2d | FrozenNorm)


class ConvNormPair(NamedTuple):
    """A convolution and the norm that follows it in the same parent module, with their names there."""

    parent: nn.Module
    conv_name: str
    conv: nn.Conv2d
    norm_name: str
    norm: nn.BatchNorm2d


def conv_norm_pairs(module: nn.Module) -> Iterator[ConvNormPair]:
    """Yield every convolution that is followed by a norm.

    A pair is two neighbors in registration order with the same number of channels. In all convolutional networks of torchvision
    and timm the registration order is the execution order; the contract tests check this for every backbone of detkit.
    """
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and is_foldable(norm) and conv.out_channels == norm.num_features:
                yield ConvNormPair(parent, conv_name, conv, norm_name, norm)


@torch.no_grad()
def fold_batch_norms(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` in eval mode in which every convolution includes the norm that follows it.

    Blocks of parallel convolutions (:class:`HasBranches`) become a single one. The output is the same up to rounding; the weights are
    folded in float64. The input module is not modified.
    """
    folded = copy.deepcopy(module).eval()
    for pair in list(conv_norm_pairs(folded)):
        activation = getattr(pair.norm, "activation", None) or getattr(pair.norm, "act", None)
        pair.parent.add_module(pair.conv_name, _fold(pair.conv, pair.norm))
        pair.parent.add_module(pair.norm_name, activation or nn.Identity())
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, HasBranches):
                parent.add_module(name, child.merge_branches())
    return folded.merge_branches() if isinstance(folded, HasBranches) else folded


@torch.no_grad()
def sum_convolutions(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution that equals the sum of two with biases and of the same output size, the second with the smaller kernel.

    The kernels are added around their centers, as in RepVGG (arXiv:2101.03697, section 3.3), in float64.
    """
    margins = [(large - small) // 2 for large, small in zip(first.kernel_size, second.kernel_size, strict=True)]
    height, width = margins
    centered = functional.pad(_to_float64(second.weight), (width, width, height, height))
    total = conv_like(nn.Conv2d, first)
    total.weight = nn.Parameter((_to_float64(first.weight) + centered).to(first.weight), requires_grad=False)
    if first.bias is not None and second.bias is not None:
        total.bias = nn.Parameter((_to_float64(first.bias) + _to_float64(second.bias)).to(first.bias), requires_grad=False)
    return total.eval()


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("fold_batch_norms: expected norms with running statistics, got one without; it cannot be folded")
    mean, variance = _to_float64(norm.running_mean), _to_float64(norm.running_var)
    weight = 1 if norm.weight is None else _to_float64(norm.weight)
    bias = 0 if norm.bias is None else _to_float64(norm.bias)
    scale = weight * (variance + norm.eps).rsqrt()
    conv_bias = 0 if conv.bias is None else _to_float64(conv.bias)
    folded = conv_like(nn.Conv2d, conv)
    folded.weight = nn.Parameter((_to_float64(conv.weight) * scale.reshape(-1, 1, 1, 1)).to(conv.weight), requires_grad=False)
    folded.bias = nn.Parameter((bias + (conv_bias - mean) * scale).to(conv.weight), requires_grad=False)
    return folded.eval()


def _to_float64(values: torch.Tensor) -> torch.Tensor:
    """Convert to float64 on the CPU, because some devices (Apple's) do not support it."""
    return values.cpu().double()


def conv_like(kind: type[C], conv: nn.Conv2d) -> C:
    """Create a convolution of class ``kind`` with the geometry of ``conv``, sharing its parameters."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    geometry: dict[str, Any] = {name: getattr(conv, name) for name in names}
    created = kind(**geometry, bias=conv.bias is not None, device="meta")
    created.weight, created.bias = conv.weight, conv.bias
    return created
