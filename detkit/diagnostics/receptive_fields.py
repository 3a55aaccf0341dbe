"""Receptive fields of feature maps: the pixels that a cell depends on, and those that it depends on noticeably."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from detkit.models.detector import Detector
from detkit.structures import Size

Network = Callable[[Tensor], Sequence[Tensor]]
"""Maps normalized images ``(B, 3, H, W)`` to feature maps."""

EFFECTIVE_SHARE = 0.9545
"""Part of a gradient that is inside the effective receptive field: that of a Gaussian within two standard deviations."""
MAX_SIDE = 512
"""Maximum side in pixels of an image on which effective receptive fields are measured."""

_LENGTHS = (576, 2304)
"""Lengths of the strips on which receptive fields are measured, the second where needed; fields up to twice the length are measurable."""
_WIDTHS = (64, 384)
"""Widths of the strips; the larger one is for networks whose smallest maps need it."""


def maps_of(detector: Detector) -> Network:
    """Return the function that computes the maps of a detector's backbone, followed by those of its neck."""

    def maps(images: Tensor) -> tuple[Tensor, ...]:
        own: list[Tensor] = []
        hook = detector.backbone.register_forward_hook(lambda _module, _inputs, outputs: own.extend(outputs))
        try:
            levels = detector.neck(images)
        finally:
            hook.remove()
        return (*own, *levels)

    return maps


def receptive_fields(network: Network) -> tuple[int | None, ...]:
    """Measure the width in pixels of the receptive field of each map of a network in evaluation mode; None: the whole image.

    The gradient of a cell in the middle of a strip of noise is replaced by NaN, and propagated backward. NaN times any weight is NaN, so
    that exactly the pixels on which the cell depends get it, whatever the weights and the layers are: a pixel would be missed only if every
    ReLU or maximum on every path to it were inactive, in all channels. Attention over the whole image, and pooling of it, as in
    squeeze-and-excitation, reach every pixel. Kernels are assumed to be as high as wide. The fields of the cells of a map differ where
    coarser maps are upsampled, and with attention in windows.

    Raises:
        ValueError: If the network takes no image of the sizes tried.
    """
    fields: dict[int, int | None] = {}
    for length in _LENGTHS:
        maps, strip = _on_strip(network, length)
        for index, level in enumerate(maps):
            if fields.get(index) is None:
                fields[index] = _field(level, strip)
        if None not in fields.values():
            break
    fewest = min(level.shape[-1] for level in maps)
    return tuple(_long_field(level, strip, fewest) if fields[index] is None else fields[index] for index, level in enumerate(maps))


def effective_fields(network: Network, images: Tensor) -> tuple[float, ...]:
    """Measure the effective receptive field of each map in pixels (Luo et al., arXiv:1701.04128).

    It is the width that holds 95.45 % of the gradient of a cell in the middle of the image, between the quantiles, as the mean of both
    directions; for a Gaussian it is four standard deviations. The gradient is that of a random combination of the cell's channels, and its
    magnitude is summed over the colors and averaged over the images.

    Args:
        network: In evaluation mode.
        images: ``(B, 3, H, W)`` normalized images; on those smaller than a receptive field, only what is inside is measured.
    """
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        return tuple(_effective(level, images) for level in network(images))


def side_for(fields: Sequence[int | None]) -> int:
    """Return the side in pixels of the images on which the effective fields of maps are measured, given their receptive fields."""
    known = [field for field in fields if field is not None]
    return MAX_SIDE if len(known) < len(fields) or not known else min(MAX_SIDE, -(-max(known) // 64) * 64)


def noise(size: Size) -> Tensor:
    """Return an image ``(1, 3, H, W)`` of standard normal noise."""
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def center_crop(images: Tensor, side: int) -> Tensor:
    """Return the centers of images, at most ``side`` pixels high and wide."""
    height, width = images.shape[-2:]
    rows, columns = min(height, side), min(width, side)
    y, x = (height - rows) // 2, (width - columns) // 2
    return images[..., y : y + rows, x : x + columns]


def _on_strip(network: Network, length: int) -> tuple[Sequence[Tensor], Tensor]:
    """Return the maps of a strip of noise, and the strip."""
    problem: Exception | None = None
    for width in _WIDTHS:
        strip = torch.randn(1, 3, width, length, generator=torch.Generator().manual_seed(0)).requires_grad_()
        try:
            with torch.enable_grad():
                return network(strip), strip
        except (RuntimeError, ValueError, AssertionError) as error:
            problem = error
    raise ValueError(f"receptive fields: expected a network that takes images of {_WIDTHS[-1]} x {length} pixels: {problem}")


def _field(level: Tensor, strip: Tensor) -> int | None:
    """Return the width of the receptive field of the cell in the middle; None if it reaches an end of the strip."""
    columns = _reached(level, level.shape[-1] // 2, strip)
    return None if columns[0] == 0 or columns[-1] == strip.shape[-1] - 1 else columns[-1] - columns[0] + 1


def _long_field(level: Tensor, strip: Tensor, fewest: int) -> int | None:
    """Return the width of a receptive field of up to twice the strip, from the cells at its ends; None if they reach the other end.

    Args:
        level: The map.
        strip: The image that it was computed from.
        fewest: Columns of the coarsest map; both cells have the same position within a cell of it, in case it is upsampled.
    """
    columns, length = level.shape[-1], strip.shape[-1]
    step = max(1, round(columns / fewest))
    other = (columns - 1) // step * step
    last, first = _reached(level, 0, strip)[-1], _reached(level, other, strip)[0]
    return None if last == length - 1 or first == 0 else last - (first - other * round(length / columns)) + 1


def _reached(level: Tensor, column: int, strip: Tensor) -> list[int]:
    """Return the columns of the strip on which a cell of the middle row depends."""
    upstream = torch.zeros_like(level)
    upstream[0, :, level.shape[-2] // 2, column] = torch.nan
    (gradient,) = torch.autograd.grad(level, strip, upstream, retain_graph=True)
    columns: list[int] = gradient.isnan().flatten(0, 2).any(0).nonzero().flatten().tolist()
    return columns


def _effective(level: Tensor, images: Tensor) -> float:
    generator = torch.Generator().manual_seed(0)
    upstream = torch.zeros_like(level)
    center = upstream[..., level.shape[-2] // 2, level.shape[-1] // 2]
    center.copy_(torch.randn(center.shape, generator=generator))
    (gradient,) = torch.autograd.grad(level, images, upstream, retain_graph=True)
    strength = gradient.abs().sum(1).mean(0)
    return (_width(strength.sum(0)) + _width(strength.sum(1))) / 2


def _width(profile: Tensor) -> float:
    """Return the distance between the quantiles of a profile that enclose :data:`EFFECTIVE_SHARE` of it."""
    total = profile.double().cumsum(0)
    total = torch.cat((total.new_zeros(1), total)) / total[-1]
    rest = (1 - EFFECTIVE_SHARE) / 2
    low, high = (_crossing(total, share) for share in (rest, 1 - rest))
    return high - low


def _crossing(total: Tensor, share: float) -> float:
    """Return where a cumulative sum from 0 to 1 reaches a share, interpolated."""
    index = int(torch.searchsorted(total, share))
    step = float(total[index] - total[index - 1])
    return index - 1 + (share - float(total[index - 1])) / step
