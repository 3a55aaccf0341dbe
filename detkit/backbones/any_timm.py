"""Any other network of timm that maps can be taken from, by ``timm/NAME``."""

from __future__ import annotations

from functools import cache
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones.backbone import Backbone, NormPolicy, Tensors, set_norms
from detkit.backbones.known.fact import BackboneFacts, Level
from detkit.backbones.table import TIMM
from detkit.backbones.vision_transformer import VisionTransformer
from detkit.registry import did_you_mean

_PYRAMID_OF_PATCHES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}


def make(
    name: str,
    *,
    levels: tuple[str, ...] | None = None,
    norm: NormPolicy = "frozen",
    norm_eps: float | None = None,
    window: int | None = None,
) -> Backbone:
    """The backbone ``timm/NAME``; plain vision transformers get ViTDet's levels, other networks their own."""
    facts, plain = facts_of_timm(name), name.removeprefix(TIMM)
    if facts.family == TimmTransformer.__name__:
        return VisionTransformer(timm.create_model(plain, dynamic_img_size=True, dynamic_img_pad=True), facts, levels, window)
    backbone = TimmFeatures(plain, facts, levels)
    set_norms(backbone, norm, norm_eps)
    return backbone


@cache
def facts_of_timm(name: str) -> BackboneFacts:
    """What timm says of ``timm/NAME``; year and paper are not among it, and operations are not counted.

    Raises:
        ValueError: timm has no such network, or none whose maps can be taken.
    """
    plain = name.removeprefix(TIMM)
    if not timm.is_model(plain):
        raise ValueError(f"backbone {name}: timm {timm.__version__} has no such network: {did_you_mean(plain, timm.list_models())}")
    with torch.device("meta"):
        classifier = timm.create_model(plain)
        levels = _levels(name, classifier)
    cfg: Any = timm.get_pretrained_cfg(plain)
    return BackboneFacts(
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
    """The last map of every stride that is a power of two."""
    if type(classifier) is TimmTransformer:
        width, patch = classifier.embed_dim, classifier.patch_embed.patch_size[0]
        if patch in _PYRAMID_OF_PATCHES.values():
            return tuple(Level(level, width * min(stride, patch) // patch, stride) for level, stride in _PYRAMID_OF_PATCHES.items())
        raise ValueError(f"backbone {name}: its patches have {patch} pixels; expected 4, 8, 16 or 32, between whose strides maps double")
    try:
        info: Any = timm.create_model(name.removeprefix(TIMM), features_only=True).feature_info
    except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
        raise ValueError(f"backbone {name}: timm cannot take maps from it: {error}") from None
    last = {stride: channels for stride, channels in zip(info.reduction(), info.channels(), strict=True) if stride & (stride - 1) == 0}
    if not last:
        raise ValueError(
            f"backbone {name}: expected maps whose strides are powers of two, got strides {', '.join(map(str, info.reduction()))}"
        )
    return tuple(Level(f"c{stride.bit_length() - 1}", last[stride], stride) for stride in sorted(last))


class TimmFeatures(Backbone):
    """A network of timm as its ``features_only`` gives it.

    Images are filled with zeros up to a multiple of the coarsest stride and maps cut to ``ceil(size / stride)`` cells; where cells
    are centered is timm's business. Some networks (windowed transformers) run on images of their own size only, and say so.
    """

    def __init__(self, plain: str, facts: BackboneFacts, levels: tuple[str, ...] | None) -> None:
        super().__init__(facts, levels)
        with torch.device("meta"):
            info: Any = timm.create_model(plain, features_only=True).feature_info
        places = {stride: place for place, stride in enumerate(info.reduction())}
        self.body = timm.create_model(plain, features_only=True, out_indices=tuple(places[stride] for stride in self.strides))
        self._coarsest = max(places)
        with torch.device("meta"):
            published = timm.create_model(plain).state_dict()
        own = set(self.state_dict())
        self.left_out = tuple(name for name in self.published_names(published) if name not in own)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        high, wide = images.shape[-2:]
        padded = functional.pad(images, (0, -wide % self._coarsest, 0, -high % self._coarsest))
        maps = []
        for found, channels, stride in zip(self.body(padded), self.channels, self.strides, strict=True):
            whole = found if found.shape[1] == channels else found.permute(0, 3, 1, 2)
            maps.append(whole[..., : -(-high // stride), : -(-wide // stride)])
        return tuple(maps)

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """The parts in the order of running; what is before the first that has stages in its name is the stem."""
        return tuple(nn.ModuleList([part]) for part in self.body.children() if any(True for _ in part.parameters()))

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.published_names`; timm joins the names of a stage and its row with an underscore."""
        own: Any = {name.partition(".")[0] for name in self.body.state_dict()}

        def renamed(name: str) -> str:
            first, _, rest = name.partition(".")
            joined = f"{first}_{rest}"
            return f"body.{name if first in own or joined.partition('.')[0] not in own else joined}"

        return {name if name.startswith("body.") else renamed(name): tensor for name, tensor in tensors.items()}
