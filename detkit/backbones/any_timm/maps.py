"""What maps a timm network returns: measured without values, and compared with what timm states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn

from detkit.backbones.info import BackboneInfo, Level
from detkit.backbones.registry import TIMM
from detkit.registry import did_you_mean

_PATCH_PYRAMID = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
_REFUSALS = (RuntimeError, AttributeError, TypeError, AssertionError, ValueError, LookupError)
"""Exceptions by which timm's networks refuse to be built, to return maps, or to take an image of some size."""


@dataclass(frozen=True)
class Output:
    """A map of a timm network.

    Attributes:
        index: By which timm knows it: its position among all of the network's maps, not among those it returns by default.
        channels: Of the map.
        stride: In pixels.
    """

    index: int
    channels: int
    stride: int


@dataclass(frozen=True)
class Network:
    """The properties of a timm network that do not depend on its values.

    Attributes:
        info: Its static information, under the name ``timm/NAME``.
        outputs: The maps that a backbone can return, finest first; empty for plain vision transformers, whose levels are computed from
            their last map.
        channels_last: Whether timm returns maps as ``(B, H, W, C)``.
        pad_multiple: The sides of an image are padded to a multiple of it: the coarsest stride, or 1 for a network that takes images of its
            own size alone, which is no such multiple.
        published: The tensors of the classifier, on the meta device, under the names of published files.
    """

    info: BackboneInfo
    outputs: tuple[Output, ...]
    channels_last: bool
    pad_multiple: int
    published: Mapping[str, Tensor]


def create(name: str, **options: Any) -> Any:
    """Return timm's network of the name ``timm/NAME`` with random weights.

    Raises:
        ValueError: If timm cannot build it, or cannot extract its maps.
    """
    try:
        return timm.create_model(name.removeprefix(TIMM), **options)
    except _REFUSALS as error:
        what = "cannot extract feature maps from it" if options.get("features_only") else "cannot build it"
        raise ValueError(f"backbone {name}: timm {timm.__version__} {what}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Return the message of an exception of timm in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def timm_info(name: str) -> BackboneInfo:
    """Return timm's information on ``timm/NAME``; it lacks year and paper, and the operations are not counted.

    Raises:
        ValueError: See :func:`describe`.
    """
    return describe(name).info


@cache
def describe(name: str) -> Network:
    """Return what is known about ``timm/NAME``; its maps are measured on the meta device and compared with what timm states.

    Raises:
        ValueError: If timm has no such network, or the network returns no map of the stated shape whose stride is a power of two.
    """
    plain = name.removeprefix(TIMM)
    if not timm.is_model(plain):
        raise ValueError(f"backbone {name}: timm {timm.__version__} has no such network: {did_you_mean(plain, timm.list_models())}")
    with torch.device("meta"):
        classifier = create(name)
    if type(classifier) is TimmTransformer:
        return Network(_info(name, classifier, _patch_levels(name, classifier)), (), False, 1, classifier.state_dict())
    with torch.device("meta"):
        network = create(name, features_only=True).eval()
    channels_last = str(getattr(network, "output_fmt", "")).endswith("NHWC")
    outputs, pad_multiple = _measure(name, network, channels_last)
    levels = tuple(Level(f"c{output.stride.bit_length() - 1}", output.channels, output.stride) for output in outputs)
    return Network(_info(name, classifier, levels), outputs, channels_last, pad_multiple, classifier.state_dict())


def _info(name: str, classifier: nn.Module, levels: tuple[Level, ...]) -> BackboneInfo:
    config = _config(name)
    return BackboneInfo(
        name=name,
        family=type(classifier).__name__,
        year=0,
        paper="",
        levels=levels,
        default_levels=tuple(level.name for level in levels if level.stride >= 4) or (levels[-1].name,),
        parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        gflops=float("nan"),
        source="timm",
        input_size=config.input_size[-1],
        mean=tuple(config.mean),
        std=tuple(config.std),
    )


def _config(name: str) -> Any:
    return timm.get_pretrained_cfg(name.removeprefix(TIMM))


def _patch_levels(name: str, classifier: Any) -> tuple[Level, ...]:
    """Return ViTDet's levels over the map of a plain transformer, whose stride includes that of a convolutional stem."""
    width, patch = classifier.embed_dim, classifier.patch_embed.feat_ratio(as_scalar=True)
    if patch not in _PATCH_PYRAMID.values():
        raise ValueError(
            f"backbone {name}: expected patches of 4, 8, 16 or 32 pixels, to which levels can be scaled in steps of 2, got {patch}"
        )
    return tuple(Level(level, width * min(stride, patch) // patch, stride) for level, stride in _PATCH_PYRAMID.items())


def _measure(name: str, network: Any, channels_last: bool) -> tuple[tuple[Output, ...], int]:
    """Return the maps of a network that have the stated shape, and of what number the sides of an image must be multiples.

    Of the maps that timm returns by default, the last one of every stride that is a power of two is taken. Networks that do not pad their
    images have maps with fewer cells, which cannot be used.
    """
    info = network.feature_info
    stated = [Output(*row) for row in zip(info.out_indices, info.channels(), info.reduction(), strict=True)]
    last = {output.stride: position for position, output in enumerate(stated) if output.stride & (output.stride - 1) == 0}
    if not last:
        strides = ", ".join(str(output.stride) for output in stated)
        raise ValueError(f"backbone {name}: expected maps whose strides are powers of two, got strides {strides}")
    size, coarsest = _config(name).input_size[-1], max(last)
    side, maps = _run(name, network, tuple(dict.fromkeys((-(-size // coarsest) * coarsest, size))))
    shapes = {stride: tuple(maps[position].shape[1:]) for stride, position in last.items()}
    expected = {stride: _shape(stated[position], side, channels_last) for stride, position in last.items()}
    usable = tuple(stated[last[stride]] for stride in sorted(last) if shapes[stride] == expected[stride])
    if not usable:
        raise ValueError(
            f"backbone {name}: expected a map of shape {expected[coarsest]} at stride {coarsest} of an image of {side} pixels, "
            f"got {shapes[coarsest]}: the network does not pad its images, or timm states another shape"
        )
    return usable, 1 if side % coarsest else coarsest


def _run(name: str, network: nn.Module, sides: tuple[int, ...]) -> tuple[int, list[Tensor]]:
    """Return the first side of a square image that the network takes, and its maps on the meta device."""
    errors = []
    for side in sides:
        try:
            return side, network(torch.empty(1, 3, side, side, device="meta"))
        except _REFUSALS as error:
            errors.append(reason(error))
    raise ValueError(f"backbone {name}: timm's network cannot be measured on an image of {sides[-1]} pixels: {errors[-1]}")


def _shape(output: Output, side: int, channels_last: bool) -> tuple[int, ...]:
    cells = -(-side // output.stride)
    return (cells, cells, output.channels) if channels_last else (output.channels, cells, cells)
