"""A CLIP small enough to train in a test: images of 32 pixels, two layers in each tower, and OpenAI's approximation of GELU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.layers import QuickGELU
from timm.models import generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.models.clip.classifier import CLIPConfig
from detkit.models.published import Publication
from detkit.models.published.clip import classifier_publication

SIDE, WIDTH, DIMENSIONS, LENGTH = 32, 64, 64, 16

default_cfgs = generate_default_cfgs(
    {"vit_nano_patch8_clip_quickgelu_32": {"input_size": (3, SIDE, SIDE), "mean": OPENAI_CLIP_MEAN, "std": OPENAI_CLIP_STD}}
)
"""Read by timm under this name."""


@register_model
def vit_nano_patch8_clip_quickgelu_32(pretrained: bool = False, **options: Any) -> nn.Module:
    options = {name: value for name, value in options.items() if not name.startswith("pretrained") and name != "cache_dir"}
    sizes = {"img_size": SIDE, "patch_size": 8, "embed_dim": WIDTH, "depth": 2, "num_heads": 1, "pre_norm": True}
    return VisionTransformer(**sizes, norm_layer=nn.LayerNorm, act_layer=QuickGELU, **options)


def nano_config() -> CLIPConfig:
    plain = CLIPConfig()
    return plain.replace(
        backbone=BackboneConfig(name="timm/vit_nano_patch8_clip_quickgelu_32", weights=None, norm="frozen"),
        preprocess=plain.preprocess.replace(input_size=(SIDE, SIDE)),
        dimensions=DIMENSIONS,
    )


def nano_publication() -> Publication:
    return classifier_publication(nano_config())


def nano_clip(seed: int = 0) -> Any:
    """Return open_clip's network of these sizes."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    vision = {"layers": 2, "width": WIDTH, "patch_size": 8, "image_size": SIDE, "head_width": WIDTH}
    text = {"width": WIDTH, "heads": 1, "layers": 2, "context_length": LENGTH}
    return CLIP(DIMENSIONS, vision, text, quick_gelu=True)


def write_clip(network: nn.Module, path: Path) -> Path:
    """Write a network as a released file."""
    save_file({name: tensor.clone().contiguous() for name, tensor in network.state_dict().items() if name != "attn_mask"}, path)
    return path
