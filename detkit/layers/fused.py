"""Convolutions with what follows them in one pass over the map, for detection on a CPU."""

from __future__ import annotations

import itertools
from functools import cache

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from detkit.layers.fold import like

_NAMES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "swish"}
"""Activations as oneDNN's operations of torch call them."""


class FusedConv(nn.Conv2d):
    """A convolution, what is added to it, and an activation.

    On a CPU it is one operation, the one that torch's own compiler calls; elsewhere, and where gradients are recorded, the three run
    one after another. The state dict is a convolution's.
    """

    activation: type[nn.Module] = nn.ReLU

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: type[nn.Module]) -> FusedConv:
        """The convolution ``conv``, sharing its parameters, followed by ``activation``: ReLU or SiLU."""
        made = like(cls, conv)
        made.activation = activation
        return made

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` and, if given, what is added to the result before the activation."""
        if x.device.type != "cpu" or torch.is_grad_enabled() or not can_fuse():
            plain = super().forward(x)
            found: Tensor = self.activation()(plain if added is None else plain + added)
            return found
        x = x.to(self.weight.dtype)  # which autocast would do for an operation that it knew
        rest = (self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups)
        name, operation = _NAMES[self.activation], torch.ops.mkldnn._convolution_pointwise
        if added is None:
            one: Tensor = operation(x, *rest, name, [], "")
            return one
        both: Tensor = operation.binary(x, added.to(x.dtype), *rest, "add", 1.0, name, [], "")
        return both


class FusedResidual(nn.Module):
    """A residual block of torchvision's ResNets whose norms are folded.

    Args:
        block: The block, whose parts are taken over.
    """

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        names = ("conv1", "conv2", "conv3") if isinstance(block, Bottleneck) else ("conv1", "conv2")
        self.convs = nn.ModuleList(FusedConv.of(block.get_submodule(name), nn.ReLU) for name in names)  # type: ignore[arg-type]
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the block's output."""
        kept = x if self.downsample is None else self.downsample(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        found: Tensor = self.convs[-1](x, kept)
        return found


@cache
def can_fuse() -> bool:
    """Whether this torch has oneDNN's operations."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def fuse_activations(module: nn.Module) -> nn.Module:
    """Exchange, in place, residual blocks, and convolutions before an activation in a row of layers, for fused ones.

    Norms must have been folded before (:func:`detkit.layers.fold_batch_norms`); what has one is left as it is.
    """
    for parent in list(module.modules()):
        if isinstance(parent, nn.Sequential):
            _fuse_row(parent)
        for name, child in list(parent.named_children()):
            if isinstance(child, (BasicBlock, Bottleneck)) and isinstance(child.bn1, nn.Identity):
                parent.add_module(name, FusedResidual(child))
    return module


def _fuse_row(row: nn.Sequential) -> None:
    names = [name for name, part in row.named_children() if not isinstance(part, nn.Identity)]
    for conv_name, name in itertools.pairwise(names):
        conv, activation = row.get_submodule(conv_name), type(row.get_submodule(name))
        if type(conv) is nn.Conv2d and activation in _NAMES and conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
            row.add_module(conv_name, FusedConv.of(conv, activation))
            row.add_module(name, nn.Identity())
