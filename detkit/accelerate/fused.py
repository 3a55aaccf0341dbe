"""Convolutions fused with the operations that follow them, for detection on a CPU."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.fold import conv_like
from detkit.accelerate.sparse_gradient import SparseGradientConv
from detkit.machine import bf16_support

_NAMES: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Hardtanh: "hardtanh", nn.Identity: "none"}
"""Names of activations in torch's oneDNN operators; the identity stands for no activation."""
_OPERATIONS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
SMALL_MAP_CELLS = 800
"""Up to this many cells, a 1x1 convolution in float32 is faster as a matrix product, which has a tenth of the overhead per call."""


class FusedConv(nn.Conv2d):
    """Convolution, optional addition and activation in one operator.

    On a CPU this is the operator that torch's own compiler calls, with weights reordered for it once. Elsewhere, and while gradients are
    recorded, the three steps run separately. The state dict is that of an ``nn.Conv2d``.
    """

    activation: type[nn.Module] = nn.ReLU
    limits: tuple[float, ...] = ()
    """Lower and upper limit of a ``Hardtanh``."""
    _packed: Tensor | None = None
    _packed_from: tuple[Any, ...] = ()

    @classmethod
    def of(cls, conv: nn.Conv2d, activation: type[nn.Module], limits: tuple[float, ...] = ()) -> FusedConv:
        """Create a fused convolution that shares the parameters of ``conv``; ``activation``: one of ``_NAMES``, Identity for none."""
        fused = conv_like(cls, conv)
        fused.activation, fused.limits = activation, limits
        return fused

    def forward(self, x: Tensor, added: Tensor | None = None, *, into: bool = False) -> Tensor:
        """Convolve ``(N, C, H, W)``, add ``added`` if given, and activate; with ``into`` the result may overwrite ``added``."""
        if x.device.type != "cpu" or torch.is_grad_enabled():
            return self._unfused(x, added)
        x = x.to(self.weight.dtype)  # autocast does not know this operator
        if not can_fuse(x.dtype):
            return self._unfused(x, None if added is None else added.to(x.dtype))
        if self._is_product(x):
            return self._product(x, added)
        name, options = _NAMES[self.activation], self._options(x)
        if added is None:
            out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *options, name, list(self.limits), "")
            return out
        fused = name if self.activation is nn.ReLU else None  # the only activation that the operator supports after a sum
        if into and added.dtype == x.dtype:
            total: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(added, x, *options, "add", 1.0, fused, [], "")
        else:
            total = self._binary(x, added.to(x.dtype), options, "add", fused)
        return total if fused else _IN_PLACE[self.activation](total, *self.limits)

    def _unfused(self, x: Tensor, added: Tensor | None) -> Tensor:
        """Run the convolution, the addition and the activation separately."""
        plain = super().forward(x)
        out: Tensor = self.activation(*self.limits)(plain if added is None else plain + added)
        return out

    def rounded_sums(self, x: Tensor, with_error: bool) -> tuple[Tensor, Tensor | None]:
        """The convolution only, rounded to the dtype of ``x``, and the rounding error; on a CPU, while no gradients are recorded."""
        options = self._options(x)
        rounded: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *options, "none", [], "")
        return rounded, self._binary(x, rounded, options, "sub", None) if with_error else None

    def _binary(self, x: Tensor, other: Tensor, options: tuple[Any, ...], operation: str, activation: str | None) -> Tensor:
        """Combine the convolution with a map of the size of its result, which is not modified.

        PyTorch 2.9 fails if that map has a single cell, so a second cell of padding is added and removed again.
        """
        single_cell = other.shape[2:] == (1, 1)
        if single_cell:
            x, other = functional.pad(x, (0, self.stride[1])), functional.pad(other, (0, 1))
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(x, other, *options, operation, 1.0, activation, [], "")
        return out[..., :1] if single_cell else out

    def _options(self, x: Tensor) -> tuple[Any, ...]:
        return self._packed_weights(x), self.bias, self.padding, self.stride, self.dilation, self.groups

    def _packed_weights(self, x: Tensor) -> Tensor:
        """The weights in oneDNN's layout for ``x``; oneDNN itself reorders them for maps of other sizes that need another layout."""
        version = None if self.weight.is_inference() else self.weight._version
        source = (self.weight.data_ptr(), version, self.weight.dtype)
        if self._packed is None or self._packed_from != source:
            options = (self.padding, self.stride, self.dilation, self.groups, list(x.shape))
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight.detach(), *options)
            self._packed_from = source
        return self._packed

    def _is_product(self, x: Tensor) -> bool:
        if self.kernel_size != (1, 1) or x.shape[0] * x.shape[2] * x.shape[3] > SMALL_MAP_CELLS or x.dtype != torch.float32:
            return False
        plain = self.stride == (1, 1) and self.padding == (0, 0) and self.groups == 1
        return plain and not torch.is_autocast_enabled("cpu")

    def _product(self, x: Tensor, added: Tensor | None) -> Tensor:
        """Compute a 1x1 convolution as a matrix product with one row per cell."""
        count, channels, height, width = x.shape
        rows = functional.linear(x.permute(0, 2, 3, 1).reshape(-1, channels), self.weight.reshape(-1, channels), self.bias)
        out = rows.view(count, height, width, -1).permute(0, 3, 1, 2)
        if added is not None:
            out += added
        return _IN_PLACE[self.activation](out, *self.limits)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the weights in oneDNN's layout, which can be neither copied nor pickled."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_packed", "_packed_from")}


_IN_PLACE: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.SiLU: partial(functional.silu, inplace=True),
    nn.Hardtanh: functional.hardtanh_,
    nn.Identity: lambda x: x,
}


class FusedResidual(nn.Module):
    """Residual block of torchvision's ResNets with folded norms.

    Args:
        block: The block; its parts are reused.
        first: Whether the input comes from anything but a preceding block, so that it may be needed elsewhere. The residual sum is then
            stored in new memory, which takes nearly twice as long.
    """

    def __init__(self, block: nn.Module, *, first: bool = True) -> None:
        super().__init__()
        self.into = not first or block.downsample is not None
        names = [name for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
        convs = [block.get_submodule(name) for name in names]
        self.convs = nn.ModuleList(FusedConv.of(conv, nn.ReLU) for conv in convs if isinstance(conv, nn.Conv2d))
        self.downsample = None if block.downsample is None else block.get_submodule("downsample")

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the block's output."""
        shortcut = x if self.downsample is None else self.downsample(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        out: Tensor = self.convs[-1](x, shortcut, into=self.into)
        return out


@runtime_checkable
class HasSequences(Protocol):
    """A module that runs sequences of submodules."""

    def sequences(self) -> Sequence[Sequence[str]]:
        """Dotted names of submodules; within a sequence, only the next submodule uses the output of each."""
        ...


@cache
def can_fuse(dtype: torch.dtype = torch.float32) -> bool:
    """Whether this torch has oneDNN's operators and, for bfloat16, whether they accept it on this processor."""
    accepted = dtype != torch.bfloat16 or bf16_support().fused
    is_available: Callable[[], bool] = torch.backends.mkldnn.is_available
    return accepted and is_available() and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS)


def fuse_activations(module: nn.Module) -> nn.Module:
    """Replace, in place, residual blocks, and convolutions followed by an activation in a sequence, by fused ones.

    A sequence is an ``nn.Sequential``, or one that a module lists in its ``sequences()``. Norms must be folded beforehand
    (:func:`detkit.accelerate.fold.fold_batch_norms`); blocks and convolutions with a norm are not changed.
    """
    for parent in list(module.modules()):
        if isinstance(parent, nn.Sequential):
            _fuse_sequence(parent, [name for name, _ in parent.named_children()])
        elif isinstance(parent, HasSequences):
            for sequence in parent.sequences():
                _fuse_sequence(parent, sequence)
        for name, child in list(parent.named_children()):
            if _is_residual_block(child) and isinstance(child.bn1, nn.Identity):
                parent.add_module(name, FusedResidual(child, first=not isinstance(parent, nn.Sequential) or name == "0"))
    return module


def _is_residual_block(module: nn.Module) -> bool:
    """Whether it is a residual block of torchvision's ResNets, which exist only where torchvision has been imported."""
    resnet = sys.modules.get("torchvision.models.resnet")
    return resnet is not None and isinstance(module, (resnet.BasicBlock, resnet.Bottleneck))


def _fuse_sequence(parent: nn.Module, sequence: Sequence[str]) -> None:
    names = [name for name in sequence if not isinstance(parent.get_submodule(name), nn.Identity)]
    for conv_name, name in itertools.pairwise(names):
        conv, activation = parent.get_submodule(conv_name), parent.get_submodule(name)
        if type(activation) in _NAMES and is_fusable_conv(conv):
            limits = (activation.min_val, activation.max_val) if isinstance(activation, nn.Hardtanh) else ()
            parent.set_submodule(conv_name, FusedConv.of(conv, type(activation), limits))
            parent.set_submodule(name, nn.Identity())


def is_fusable_conv(part: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether the module is a convolution that a :class:`FusedConv` can replace."""
    return type(part) in (nn.Conv2d, SparseGradientConv) and part.padding_mode == "zeros" and not isinstance(part.padding, str)
