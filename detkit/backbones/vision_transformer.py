"""Plain vision transformers, which timm supplies, with the levels that ViTDet makes of their one map."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import timm
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, Tensors
from detkit.backbones.facts import FACTS, BackboneFacts
from detkit.backbones.windows import through_blocks
from detkit.layers import MapNorm

_HEADS = ("body.head.", "body.head_dist.", "body.fc_norm.", "body.attn_pool.")


def __getattr__(name: str) -> Callable[..., Backbone]:
    """The maker of every vision transformer that there are facts of.

    Raises:
        AttributeError: there are none.
    """
    if name not in FACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(make, name)


def make(name: str, *, levels: tuple[str, ...] | None = None, window: int | None = None, **_norms: Any) -> Backbone:
    """The backbone of this name; what is chosen about batch norms does not touch it, for it has none."""
    return VisionTransformer(network(name, dynamic_img_size=True, dynamic_img_pad=True), FACTS[name], levels, window)


def network(name: str, **choices: Any) -> nn.Module:
    """The library's own network, with random numbers."""
    made: nn.Module = timm.create_model(name, **choices)
    return made


class VisionTransformer(Backbone):
    """A plain vision transformer on images of any size: its position embeddings are interpolated.

    Its one map becomes several as in ViTDet's simple feature pyramid (arXiv:2203.16527, section 3): transposed convolutions make the
    finer ones, pooling the coarser ones. Attention is global in every block unless there are windows, which save memory on large
    images; then the class token is left out, as in ViTDet.

    Args:
        body: timm's network, made for any size.
        facts: What is known about it.
        levels: Names of the maps to give; None: the usual ones.
        window: Side, in patches, of the windows that most blocks see; None: all see the whole map.
    """

    def __init__(self, body: nn.Module, facts: BackboneFacts, levels: tuple[str, ...] | None = None, window: int | None = None) -> None:
        super().__init__(facts, levels)
        self.window = window
        for head in ("head", "head_dist", "fc_norm"):
            if isinstance(getattr(body, head, None), nn.Module):
                setattr(body, head, nn.Identity())
        if getattr(body, "attn_pool", None) is not None:
            body.attn_pool = None  # type: ignore[assignment]
        self.body = body
        patch = body.patch_embed.patch_size[0]  # type: ignore[union-attr, index]
        self.pyramid = nn.ModuleList(_scaled(body.embed_dim, patch, stride) for stride in self.strides)  # type: ignore[arg-type]
        self.left_out, self.fresh = _HEADS, ("pyramid.",)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        body: Any = self.body
        if self.window is None:
            (found,) = body.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
        else:
            found = self._in_windows(images, self.window)
        maps = (scale(found) for scale in self.pyramid)
        sizes = ([-(-side // stride) for side in images.shape[-2:]] for stride in self.strides)
        return tuple(level[..., :high, :wide] for level, (high, wide) in zip(maps, sizes, strict=True))

    def _in_windows(self, images: Tensor, window: int) -> Tensor:
        body: Any = self.body
        patches = body.patch_embed(images)
        # Positions are added with the class token beside them, for which the embedding of some networks has a place.
        tokens = body.norm_pre(body._pos_embed(patches)[:, body.num_prefix_tokens :])
        tokens = through_blocks(body.blocks, tokens.view(patches.shape), window)
        return body.norm(tokens).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """Patches with what is added to them, then block by block."""
        body: Any = self.body
        outside = nn.ParameterList([parameter for name, parameter in body.named_parameters() if "." not in name])
        blocks = [nn.ModuleList([block]) for block in body.blocks]
        blocks[-1].append(body.norm)
        return (nn.ModuleList([body.patch_embed, body.norm_pre, outside]), *blocks)

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.published_names`."""
        return {name if name.startswith("body.") else f"body.{name}": tensor for name, tensor in tensors.items()}


def _scaled(channels: int, patch: int, stride: int) -> nn.Module:
    """What brings a map of patches to a stride; every doubling halves the channels."""
    if stride >= patch:
        return nn.Identity() if stride == patch else nn.MaxPool2d(stride // patch, ceil_mode=True)
    doublings = round(math.log2(patch // stride))
    parts: list[nn.Module] = []
    for step in range(doublings):
        if step:
            parts += [MapNorm(channels), nn.GELU()]
        parts.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
        channels //= 2
    return nn.Sequential(*parts)
