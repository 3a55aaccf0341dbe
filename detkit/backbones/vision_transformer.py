"""Plain vision transformers from timm, with ViTDet's levels computed from their single map."""

from __future__ import annotations

import math
from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones.backbone import Backbone, Tensors
from detkit.backbones.info import BackboneInfo
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories
from detkit.backbones.windows import run_windowed_blocks
from detkit.layers import LayerNorm2d

_HEADS = ("body.head.", "body.head_dist.", "body.fc_norm.", "body.attn_pool.")


def make(name: str, *, levels: tuple[str, ...] | None = None, window: int | None = None, **_norms: Any) -> Backbone:
    """Build the backbone of this name; options for batch norms have no effect, because it has none."""
    return VisionTransformer(network(name, dynamic_img_size=True, dynamic_img_pad=True), BACKBONE_INFO[name], levels, window)


def network(name: str, **options: Any) -> nn.Module:
    """Return timm's network with random weights."""
    created: nn.Module = timm.create_model(name, **options)
    return created


class VisionTransformer(Backbone):
    """A plain vision transformer for images of any size: its position embeddings are interpolated.

    ViTDet's simple feature pyramid (arXiv:2203.16527, section 3) turns its single map into several: transposed convolutions compute the
    finer maps, pooling the coarser ones. Attention is global in every block unless ``window`` is set, which saves memory on large
    images; the class token is then omitted, as in ViTDet.

    Args:
        body: timm's network, built for images of any size.
        info: Its static information.
        levels: Names of the maps to return; None: the default levels.
        window: Side, in patches, of the attention windows of most blocks; None: attention is global in all blocks.
    """

    def __init__(self, body: Any, info: BackboneInfo, levels: tuple[str, ...] | None = None, window: int | None = None) -> None:
        super().__init__(info, levels)
        self.window = window
        for head in ("head", "head_dist", "fc_norm"):
            if isinstance(getattr(body, head, None), nn.Module):
                setattr(body, head, nn.Identity())
        if getattr(body, "attn_pool", None) is not None:
            body.attn_pool = None
        self.body = body
        self._patch: int = body.patch_embed.feat_ratio(as_scalar=True)  # includes the stride of a convolutional stem
        self.pyramid = nn.ModuleList(_scaled(body.embed_dim, self._patch, stride) for stride in self.strides)
        self.unused_prefixes, self.new_prefixes = _HEADS, ("pyramid.",)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        body: Any = self.body
        high, wide = images.shape[-2:]
        images = functional.pad(images, (0, -wide % self._patch, 0, -high % self._patch))
        if self.window is None:
            (patches,) = body.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
        else:
            patches = self._windowed_features(images, self.window)
        maps = (scale(patches) for scale in self.pyramid)
        sizes = ([-(-side // stride) for side in (high, wide)] for stride in self.strides)
        return tuple(level[..., :rows, :columns] for level, (rows, columns) in zip(maps, sizes, strict=True))

    def _windowed_features(self, images: Tensor, window: int) -> Tensor:
        body: Any = self.body
        patches = body.patch_embed(images)
        # Positions are added before the class token is removed, because the embedding of some networks includes a position for it.
        tokens = body.norm_pre(body._pos_embed(patches)[:, body.num_prefix_tokens :])
        tokens = run_windowed_blocks(body.blocks, tokens.view(patches.shape), window)
        level: Tensor = body.norm(tokens).permute(0, 3, 1, 2)
        return level

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """Return the patch embedding with its positions and tokens as the first stage, then each block as a stage."""
        body: Any = self.body
        outside = nn.ParameterList([parameter for name, parameter in body.named_parameters() if "." not in name])
        blocks = [nn.ModuleList([block]) for block in body.blocks]
        blocks[-1].append(body.norm)
        return (nn.ModuleList([body.patch_embed, body.norm_pre, outside]), *blocks)

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.rename_published`."""
        return {name if name.startswith("body.") else f"body.{name}": tensor for name, tensor in tensors.items()}


def _scaled(channels: int, patch: int, stride: int) -> nn.Module:
    """Build the layers that resample a patch map to a stride; every doubling of the resolution halves the channels."""
    if stride >= patch:
        return nn.Identity() if stride == patch else nn.MaxPool2d(stride // patch, ceil_mode=True)
    doublings = round(math.log2(patch // stride))
    parts: list[nn.Module] = []
    for step in range(doublings):
        if step:
            parts += [LayerNorm2d(channels), nn.GELU()]
        parts.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
        channels //= 2
    return nn.Sequential(*parts)


__getattr__ = catalog_factories(__name__, make)
