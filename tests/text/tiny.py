"""A small whole CLIP model with seeded weights, under the names of the released files."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BACKBONE = "timm/vit_xsmall_patch16_clip_224"
"""timm's smallest CLIP image tower: 10 blocks of width 256, with an exact GELU."""


def perturbed(network: nn.Module, seed: int = 0) -> nn.Module:
    """Add noise to the network in place, so that no bias is 0, no gain is 1 and norms have statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if name.endswith("running_var"):
                tensor.uniform_(0.7, 1.4, generator=generator)
            elif tensor.is_floating_point() and not name.endswith(("attn_mask", "logit_scale")):
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.05)
    return network.eval()


def whole_clip(seed: int = 0) -> nn.Module:
    """A CLIP model with 512 dimensions and a text tower of two layers of width 64."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    vision = {"layers": 10, "width": 256, "patch_size": 16, "image_size": 224}
    return perturbed(CLIP(512, vision, {"width": 64, "heads": 1, "layers": 2}), seed)


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items() if name != "attn_mask"}
