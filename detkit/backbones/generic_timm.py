"""Any other timm network that returns feature maps, by ``timm/NAME``."""

from __future__ import annotations

from functools import cache
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones.backbone import Backbone, NormPolicy, Tensors, apply_norm_policy
from detkit.backbones.info import BackboneInfo, Level
from detkit.backbones.registry import TIMM
from detkit.backbones.vision_transformer import VisionTransformer
from detkit.registry import did_you_mean

_PATCH_PYRAMID = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}


def make(
    name: str,
    *,
    levels: tuple[str, ...] | None = None,
    norm: NormPolicy = "frozen",
    norm_eps: float | None = None,
    window: int | None = None,
) -> Backbone:
    """Build the backbone ``timm/NAME``; plain vision transformers get ViTDet's levels, other networks their own."""
    info, plain = timm_info(name), name.removeprefix(TIMM)
    if info.family == TimmTransformer.__name__:
        return VisionTransformer(timm.create_model(plain, dynamic_img_size=True, dynamic_img_pad=True), info, levels, window)
    backbone = TimmFeatures(plain, info, levels)
    apply_norm_policy(backbone, norm, norm_eps)
    return backbone


@cache
def timm_info(name: str) -> BackboneInfo:
    """Return timm's information on ``timm/NAME``; it lacks year and paper, and the operations are not counted.

    Raises:
        ValueError: If timm has no such network, or the network cannot return feature maps.
    """
    plain = name.removeprefix(TIMM)
    if not timm.is_model(plain):
        raise ValueError(f"backbone {name}: timm {timm.__version__} has no such network: {did_you_mean(plain, timm.list_models())}")
    with torch.device("meta"):
        classifier = timm.create_model(plain)
        levels = _levels(name, classifier)
    cfg: Any = timm.get_pretrained_cfg(plain)
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
        input_size=cfg.input_size[-1],
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
    )


def _levels(name: str, classifier: nn.Module) -> tuple[Level, ...]:
    """Return the last map of every stride that is a power of two."""
    if type(classifier) is TimmTransformer:
        width, patch = classifier.embed_dim, classifier.patch_embed.patch_size[0]
        if patch in _PATCH_PYRAMID.values():
            return tuple(Level(level, width * min(stride, patch) // patch, stride) for level, stride in _PATCH_PYRAMID.items())
        raise ValueError(
            f"backbone {name}: expected patches of 4, 8, 16 or 32 pixels, to which levels can be scaled in steps of 2, got {patch}"
        )
    try:
        feature_info: Any = timm.create_model(name.removeprefix(TIMM), features_only=True).feature_info
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        raise ValueError(f"backbone {name}: timm cannot extract feature maps from it: {error}") from None
    reductions = feature_info.reduction()
    last = {stride: channels for stride, channels in zip(reductions, feature_info.channels(), strict=True) if stride & (stride - 1) == 0}
    if not last:
        raise ValueError(f"backbone {name}: expected maps whose strides are powers of two, got strides {', '.join(map(str, reductions))}")
    return tuple(Level(f"c{stride.bit_length() - 1}", last[stride], stride) for stride in sorted(last))


class TimmFeatures(Backbone):
    """A timm network created with ``features_only``.

    Images are padded with zeros to a multiple of the coarsest stride, and maps are cropped to ``ceil(size / stride)`` cells. The centers of
    cells are those of timm's network. Some networks (windowed transformers) accept only their own image size, and raise an error otherwise.
    """

    def __init__(self, plain: str, info: BackboneInfo, levels: tuple[str, ...] | None) -> None:
        super().__init__(info, levels)
        with torch.device("meta"):
            feature_info: Any = timm.create_model(plain, features_only=True).feature_info
        indices = {stride: index for index, stride in enumerate(feature_info.reduction())}
        self.body = timm.create_model(plain, features_only=True, out_indices=tuple(indices[stride] for stride in self.strides))
        self._coarsest = max(indices)
        with torch.device("meta"):
            published = timm.create_model(plain).state_dict()
        own = set(self.state_dict())
        self.unused_prefixes = tuple(name for name in self.rename_published(published) if name not in own)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        high, wide = images.shape[-2:]
        padded = functional.pad(images, (0, -wide % self._coarsest, 0, -high % self._coarsest))
        maps = []
        for output, channels, stride in zip(self.body(padded), self.channels, self.strides, strict=True):
            level = output if output.shape[1] == channels else output.permute(0, 3, 1, 2)
            maps.append(level[..., : -(-high // stride), : -(-wide // stride)])
        return tuple(maps)

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """Return each module that has parameters as a stage, in execution order; the stem comes first."""
        return tuple(nn.ModuleList([part]) for part in self.body.children() if any(True for _ in part.parameters()))

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.rename_published`; timm joins the name of a stage and its index with an underscore."""
        own: Any = {name.partition(".")[0] for name in self.body.state_dict()}

        def renamed(name: str) -> str:
            first, _, rest = name.partition(".")
            joined = f"{first}_{rest}"
            return f"body.{name if first in own or joined.partition('.')[0] not in own else joined}"

        return {name if name.startswith("body.") else renamed(name): tensor for name, tensor in tensors.items()}
