"""The tensors of transformers' CLIP under the names of OpenAI's files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_INSIDE = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
_OUTSIDE = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}


def openai_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {_OUTSIDE[name]: tensor for name, tensor in tensors.items() if name in _OUTSIDE}
    if "visual_projection.weight" in tensors:
        renamed["visual.proj"] = tensors["visual_projection.weight"].T.contiguous()
    if "text_projection.weight" in tensors:
        renamed["text_projection"] = tensors["text_projection.weight"].T.contiguous()
    for name, tensor in tensors.items():
        tower, encoder, rest = name.partition(".encoder.layers.")
        if not encoder:
            continue
        number, _, part = rest.partition(".")
        layer = f"{'visual.' if tower == 'vision_model' else ''}transformer.resblocks.{number}."
        inside, _, kind = part.rpartition(".")
        if inside in _INSIDE:
            renamed[f"{layer}{_INSIDE[inside]}.{kind}"] = tensor
        elif inside == "self_attn.q_proj":
            parts = [tensors[name.replace("q_proj", which)] for which in ("q_proj", "k_proj", "v_proj")]
            renamed[f"{layer}attn.in_proj_{kind}"] = torch.cat(parts)
    return renamed
