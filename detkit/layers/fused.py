"""Convolutions with what follows them in one pass over the map, for detection on a CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, Bottleneck

from detkit.layers.fold import conv_like
from detkit.layers.sparse_gradient import SparseGradientConv

_NAMES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Identity: "none"}
"""Activations as oneDNN's operations of torch call them; the identity stands for none."""
_OPERATIONS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
FEW_CELLS = 800
"""Up to so many cells a 1x1 convolution in float32 is quicker as a product of matrices, which takes a tenth of the time to begin."""


class FusedConv(nn.Conv2d):
    """A convolution, what is added to it, and an activation.

    On a CPU it is one operation, the one that torch's own compiler calls, and the weights are laid out for it once; elsewhere, and where
    gradients are recorded, the three run one after another. The state dict is a convolution's.
    """

    activation: type[nn.Module] = nn.ReLU
    _packed: Tensor | None = None
    _packed_from: tuple[Any, ...] = ()

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: type[nn.Module]) -> FusedConv:
        """The convolution ``conv``, sharing its parameters, followed by ``activation``: ReLU, SiLU, or Identity for none."""
        made = conv_like(cls, conv)
        made.activation = activation
        return made

    def forward(self, x: Tensor, added: Tensor | None = None, *, into: bool = False) -> Tensor:
        """``(N, C, H, W)`` and, if given, what is added to the result before the activation; ``into``: nobody else needs that map."""
        if x.device.type != "cpu" or torch.is_grad_enabled() or not can_fuse():
            plain = super().forward(x)
            found: Tensor = self.activation()(plain if added is None else plain + added)
            return found
        x = x.to(self.weight.dtype)  # which autocast would do for an operation that it knew
        if self._is_product(x):
            return self._product(x, added)
        name, rest = _NAMES[self.activation], self._numbers(x)
        if added is None:
            one: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *rest, name, [], "")
            return one
        fused = name if self.activation is nn.ReLU else None  # the only one that oneDNN's operation of torch takes behind a sum
        if into and added.dtype == x.dtype:
            both: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(added, x, *rest, "add", 1.0, fused, [], "")
        else:
            both = self._with(x, added.to(x.dtype), rest, "add", fused)
        return both if fused else _IN_PLACE[self.activation](both)

    def sums(self, x: Tensor, with_lost: bool) -> tuple[Tensor, Tensor | None]:
        """The convolution alone, rounded to the type of ``x``, and what the rounding lost; on a CPU, where no gradients are recorded."""
        rest = self._numbers(x)
        rounded: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *rest, "none", [], "")
        return rounded, self._with(x, rounded, rest, "sub", None) if with_lost else None

    def _with(self, x: Tensor, other: Tensor, rest: tuple[Any, ...], how: str, activation: str | None) -> Tensor:
        """The convolution and a map of the size of its result, which is left as it is.

        PyTorch 2.9 fails where that has a single cell; one of the padding beside it, cut off again, keeps it company.
        """
        alone = other.shape[2:] == (1, 1)
        if alone:
            x, other = functional.pad(x, (0, self.stride[1])), functional.pad(other, (0, 1))
        found: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(x, other, *rest, how, 1.0, activation, [], "")
        return found[..., :1] if alone else found

    def _numbers(self, x: Tensor) -> tuple[Any, ...]:
        return self._weights_for(x), self.bias, self.padding, self.stride, self.dilation, self.groups

    def _weights_for(self, x: Tensor) -> Tensor:
        """The weights as oneDNN wants them for ``x``; for maps of other sizes, where it wants them otherwise, it sees to that itself."""
        version = None if self.weight.is_inference() else self.weight._version
        now = (self.weight.data_ptr(), version, self.weight.dtype)
        if self._packed is None or self._packed_from != now:
            numbers = (self.padding, self.stride, self.dilation, self.groups, list(x.shape))
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight.detach(), *numbers)
            self._packed_from = now
        return self._packed

    def _is_product(self, x: Tensor) -> bool:
        if self.kernel_size != (1, 1) or x.shape[0] * x.shape[2] * x.shape[3] > FEW_CELLS or x.dtype != torch.float32:
            return False
        plain = self.stride == (1, 1) and self.padding == (0, 0) and self.groups == 1
        return plain and not torch.is_autocast_enabled("cpu")

    def _product(self, x: Tensor, added: Tensor | None) -> Tensor:
        """The same for a 1x1 convolution, with a cell a row."""
        count, channels, height, width = x.shape
        rows = functional.linear(x.permute(0, 2, 3, 1).reshape(-1, channels), self.weight.reshape(-1, channels), self.bias)
        found = rows.view(count, height, width, -1).permute(0, 3, 1, 2)
        if added is not None:
            found += added
        return _IN_PLACE[self.activation](found)

    def __getstate__(self) -> dict[str, Any]:
        """Without the weights in oneDNN's layout, which can be neither copied nor written."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_packed", "_packed_from")}


_IN_PLACE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.SiLU: partial(functional.silu, inplace=True),
    nn.Identity: lambda found: found,
}


class FusedResidual(nn.Module):
    """A residual block of torchvision's ResNets whose norms are folded.

    Args:
        block: The block, whose parts are taken over.
        first: Whether its input comes from elsewhere than from a block before it, so that others may need it: a sum of it with
            what the block finds is then made in memory of its own, which takes nearly twice as long.
    """

    def __init__(self, block: BasicBlock | Bottleneck, *, first: bool = True) -> None:
        super().__init__()
        self.into = not first or block.downsample is not None
        names = ("conv1", "conv2", "conv3") if isinstance(block, Bottleneck) else ("conv1", "conv2")
        self.convs = nn.ModuleList(FusedConv.of(block.get_submodule(name), nn.ReLU) for name in names)  # type: ignore[arg-type]
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the block's output."""
        kept = x if self.downsample is None else self.downsample(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        found: Tensor = self.convs[-1](x, kept, into=self.into)
        return found


@runtime_checkable
class InSequences(Protocol):
    """A module that runs its parts one after another."""

    def sequences(self) -> Sequence[Sequence[str]]:
        """Dotted names of parts: each part of a sequence reads what the one before it gives, which nothing else reads."""
        ...


@cache
def can_fuse() -> bool:
    """Whether this torch has oneDNN's operations."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS)


def fuse_activations(module: nn.Module) -> nn.Module:
    """Exchange, in place, residual blocks, and convolutions before an activation in a row of layers, for fused ones.

    A row is an ``nn.Sequential``, or what a module that runs its parts one after another names in its ``sequences()``. Norms must have
    been folded before (:func:`detkit.layers.fold_batch_norms`); what has one is left as it is.
    """
    for parent in list(module.modules()):
        if isinstance(parent, nn.Sequential):
            _fuse_row(parent, [name for name, _ in parent.named_children()])
        elif isinstance(parent, InSequences):
            for row in parent.sequences():
                _fuse_row(parent, row)
        for name, child in list(parent.named_children()):
            if isinstance(child, (BasicBlock, Bottleneck)) and isinstance(child.bn1, nn.Identity):
                parent.add_module(name, FusedResidual(child, first=not isinstance(parent, nn.Sequential) or name == "0"))
    return module


def _fuse_row(parent: nn.Module, row: Sequence[str]) -> None:
    names = [name for name in row if not isinstance(parent.get_submodule(name), nn.Identity)]
    for conv_name, name in itertools.pairwise(names):
        conv, activation = parent.get_submodule(conv_name), type(parent.get_submodule(name))
        if activation in _NAMES and is_fusable_conv(conv):
            parent.set_submodule(conv_name, FusedConv.of(conv, activation))
            parent.set_submodule(name, nn.Identity())


def is_fusable_conv(part: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is a convolution that a :class:`FusedConv` can take the place of."""
    return type(part) in (nn.Conv2d, SparseGradientConv) and part.padding_mode == "zeros" and not isinstance(part.padding, str)
