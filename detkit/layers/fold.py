"""Folding of batch norms into the convolutions before them, for inference."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from detkit.layers.frozen_norm import FrozenBatchNorm

C = TypeVar("C", bound=nn.Conv2d)


def conv_norm_pairs(module: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Every convolution with the norm that follows it, as (their parent, the convolution's name, the norm's name).

    A pair is two neighbors in the order of registration with the same number of channels; that registration order is the
    order of running holds for all of torchvision's and timm's convolutional networks, and the contract tests check it for
    every backbone of ours.
    """
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
            is_pair = isinstance(conv, nn.Conv2d) and isinstance(norm, (nn.BatchNorm2d, FrozenBatchNorm))
            if is_pair and conv.out_channels == norm.num_features:
                yield parent, conv_name, norm_name


@torch.no_grad()
def fold_batch_norms(module: nn.Module) -> nn.Module:
    """A copy of ``module`` for inference, in eval mode, in which every convolution does the work of the norm behind it.

    The result is the same up to rounding: the weights are folded in float64. What came in is not changed.
    """
    folded = copy.deepcopy(module).eval()
    for parent, conv_name, norm_name in list(conv_norm_pairs(folded)):
        conv, norm = parent.get_submodule(conv_name), parent.get_submodule(norm_name)
        activation = getattr(norm, "activation", None) or getattr(norm, "act", None)
        parent.add_module(conv_name, _folded(conv, norm))  # type: ignore[arg-type]
        parent.add_module(norm_name, activation or nn.Identity())
    return folded


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | FrozenBatchNorm) -> nn.Conv2d:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("fold_batch_norms: expected norms with running statistics, got one without; it cannot be folded")
    mean, variance = _exact(norm.running_mean), _exact(norm.running_var)
    weight = 1 if norm.weight is None else _exact(norm.weight)
    bias = 0 if norm.bias is None else _exact(norm.bias)
    scale = weight * (variance + norm.eps).rsqrt()
    before = 0 if conv.bias is None else _exact(conv.bias)
    new = like(nn.Conv2d, conv)
    new.weight = nn.Parameter((_exact(conv.weight) * scale.reshape(-1, 1, 1, 1)).to(conv.weight), requires_grad=False)
    new.bias = nn.Parameter((bias + (before - mean) * scale).to(conv.weight), requires_grad=False)
    return new.eval()


def _exact(values: torch.Tensor) -> torch.Tensor:
    """In float64, on the CPU: not every device has it (Apple's has not)."""
    return values.cpu().double()


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
