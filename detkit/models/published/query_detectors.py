"""Conversion of the files of RT-DETR, RT-DETRv2 and D-FINE: those of the original repositories, and those of ``transformers``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

Rename = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
Rules = tuple[tuple[str, str], ...]
"""Patterns and their replacements as in ``re.sub``, applied one after the other."""

_TRANSFORMERS = re.compile(r"(model|class_embed|bbox_embed)\.")
"""Beginning of every name in files of ``transformers``."""
_BACKBONE = "backbone."

_ORIGINAL: Rules = (
    # Attributes of the class for detection, and the same tensors in its decoder.
    (r"^(?:model\.decoder\.)?class_embed\.", "decoder.dec_score_head."),
    (r"^(?:model\.decoder\.)?bbox_embed\.", "decoder.dec_bbox_head."),
    (r"^model\.backbone\.(?:model\.)?", "backbone."),
    (r"^model\.(en|de)coder_input_proj\.", r"\1coder.input_proj."),
    (r"^model\.(enc_\w+|denoising_class_embed)\.", r"decoder.\1."),
    (r"^model\.decoder\.(layers|lqe_layers)\.", r"decoder.decoder.\1."),
    (r"^model\.encoder\.(?:aifi|encoder)\.", "encoder.encoder."),
    (r"^model\.", ""),
    (r"\.(?:mlp\.)?(?:fc1|(?<=mlp\.)layers\.0)\.", ".linear1."),
    (r"\.(?:mlp\.)?(?:fc2|(?<=mlp\.)layers\.1)\.", ".linear2."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.encoder_attn\.", ".cross_attn."),
    (r"\.self_attn_layer_norm\.", ".norm1."),
    (r"\.encoder_attn_layer_norm\.", ".norm2."),
    (r"^(encoder\..*)\.final_layer_norm\.", r"\1.norm2."),
    (r"\.final_layer_norm\.", ".norm3."),
)
"""From names of ``transformers``, of files and in memory, to those of the original repositories."""

_OWN: Rules = (
    # Parts that some of the original versions number instead of naming them.
    (r"\.input_proj\.(\d)\.0\.", r".input_proj.\1.conv."),
    (r"\.input_proj\.(\d)\.1\.", r".input_proj.\1.norm."),
    (r"\.enc_output\.0\.", ".enc_output.proj."),
    (r"\.enc_output\.1\.", ".enc_output.norm."),
    (r"^encoder\.downsample_convs\.(\d)\.0\.", r"encoder.downsample_convs.\1."),
    (r"^encoder\.", "neck."),
    (r"^decoder\.(enc_\w+)\.", r"head.selection.\1."),
    (r"^decoder\.decoder\.", "head."),
    (r"^decoder\.", "head."),
)
"""From names of the original repositories to those of this package."""

_CONSTANTS = re.compile(r"decoder\.(anchors|valid_mask)|.*\.(num_points_scale|n_points_scale)")
"""Tensors that are computed from the config here: boxes of the cells at 640 pixels, and the inverse of the numbers of points."""


def convert(tensors: Mapping[str, Tensor], backbone: Callable[[], Rename], blocks: Rules = ()) -> dict[str, Tensor]:
    """Rename the tensors of a state dict, and join the projections of queries, keys and values.

    Args:
        tensors: The content of a file of ``transformers`` or of the original repositories.
        backbone: Returns the function that renames the tensors of the backbone.
        blocks: More rules from names of ``transformers`` to those of the original repositories.

    Raises:
        ValueError: If the file has different tensors for one parameter, or not all projections of an attention layer.
    """
    if tensors and all(_TRANSFORMERS.match(name) for name in tensors):
        tensors = _joined_projections(_renamed(tensors, (*_ORIGINAL, *blocks)))
    tensors = {name: tensor for name, tensor in tensors.items() if not _CONSTANTS.fullmatch(name)}
    network = {name.removeprefix(_BACKBONE): tensor for name, tensor in tensors.items() if name.startswith(_BACKBONE)}
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(_BACKBONE)}
    return {f"neck.backbone.{name}": tensor for name, tensor in backbone()(network).items()} | _renamed(others, _OWN)


def _renamed(tensors: Mapping[str, Tensor], rules: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename tensors; several that get one name, as tied parameters do, must be equal."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    renamed: dict[str, Tensor] = {}
    for old, tensor in tensors.items():
        name = old
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        if name in renamed and not torch.equal(renamed[name], tensor):
            raise ValueError(f"expected equal tensors for {name}, of which {old} is a copy, got different ones; the file is damaged")
        renamed[name] = tensor
    return renamed


def _joined_projections(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with the projections of queries, keys and values as one."""
    joined = dict(tensors)
    for name in tensors:
        if ".q_proj." not in name:
            continue
        parts = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        missing = [part for part in parts if part not in tensors]
        if missing:
            raise ValueError(f"expected {', '.join(parts)}, got no {', '.join(missing)}; the file is damaged")
        joined[re.sub(r"\.q_proj\.(\w+)$", r".in_proj_\1", name)] = torch.cat([joined.pop(part) for part in parts])
    return joined
