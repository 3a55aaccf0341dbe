"""DEIMv2 compared with that of ``transformers`` on the same weights.

Where ``transformers`` differs from the code of the paper (``deim_decoder.py``), it is changed here: the code has no layers before the query
selection, SiLU in all perceptrons, and embeds the positions of queries once. Its block with one convolution of two halves equals two
convolutions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers_detectors import Pair, as_bytes, assert_every_layer_is_equal, assert_same_parameters, condition, resized

from detkit.models import presets
from detkit.models.loading.checkpoints import LoadedDetector
from detkit.models.published.conversion import COCO_CLASSES
from detkit.models.published.dfine import _rename_backbone
from detkit.models.published.query_detectors import convert

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

LAYERS = 3
THIRD_STAGES = {"atto": (256, 1, 3), "femto": (512, 1, 5), "pico": (512, 2, 5)}
"""Channels, blocks and kernel size."""
CHANNELS = {"atto": (64, 160, 100), "femto": (96, 256, 150), "pico": (112, 320, 200)}
"""Channels, hidden width and queries of the decoder."""
NANO: dict[str, Any] = {
    "encoder_in_channels": [512, 1024],
    "encode_proj_layers": [1],
    "encoder_ffn_dim": 512,
    "decoder_n_points": [6, 6],
    "num_queries": 300,
}
NANO_BACKBONE: dict[str, Any] = {
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "hidden_sizes": [64, 256, 512, 1024],
    "out_indices": [3, 4],
}
BLOCKS = (
    (r"^(encoder\.downsample_convs\.\d)\.conv([12])\.", r"\1.cv\2."),
    (r"_(blocks\.\d|block)\.conv1\.", r"_\1.cv1."),
    (r"_(blocks\.\d|block)\.conv2\.", r"_\1.cv4."),
    (r"\.csp_rep1\.conv2\.(?!half)", ".cv2.1."),
    (r"\.csp_rep2\.conv2\.(?!half)", ".cv3.1."),
    (r"\.csp_rep1\.", ".cv2.0."),
    (r"\.csp_rep2\.", ".cv3.0."),
    (r"\.half\.", "."),
    (r"\.down_conv([12])\.", r".down_sample\1.1."),
    (r"\.bi_fusion_conv\.", ".bi_fusion."),
)


def build_reference(size: str) -> Any:
    from transformers import Deimv2Config, Deimv2ForObjectDetection

    width, hidden, queries = CHANNELS.get(size, (128, 512, 300))
    lite: dict[str, Any] = {
        "encoder_type": "lite",
        "encoder_in_channels": [THIRD_STAGES.get(size, (0,))[0]],
        "decoder_n_points": [4, 2],
        "num_queries": queries,
        "use_gateway": False,
        "share_bbox_head": True,
    }
    config = Deimv2Config(
        num_labels=80,
        freeze_backbone_batch_norms=False,
        backbone_config=backbone_config(size),
        num_feature_levels=2,
        feat_strides=[16, 32],
        encoder_hidden_dim=width,
        d_model=width,
        decoder_in_channels=[width, width],
        decoder_ffn_dim=hidden,
        decoder_layers=LAYERS,
        decoder_activation_function="silu",
        depth_mult=0.5,
        hidden_expansion=0.34,
        **(NANO if size == "n" else lite),
    )
    reference = Deimv2ForObjectDetection(config).eval()
    follow_the_paper(reference.model)
    return reference


def backbone_config(size: str) -> Any:
    from transformers import HGNetV2Config

    settings = NANO_BACKBONE
    if size != "n":
        channels, blocks, kernel = THIRD_STAGES[size]
        settings = {
            **{name: values[:3] for name, values in NANO_BACKBONE.items()},
            "depths": [3, 3, 3],
            "stage_out_channels": [64, 256, channels],
            "hidden_sizes": [64, 256, channels],
            "stage_num_blocks": [1, 1, blocks],
            "stage_downsample": [False, True, True],
            "stage_light_block": [False, False, True],
            "stage_kernel_size": [3, 3, kernel],
            "out_indices": [3],
        }
    return HGNetV2Config(stem_channels=[3, 16, 16], use_learnable_affine_block=True, **settings)


@torch.no_grad()
def follow_the_paper(model: Any) -> None:
    """Change what differs from the code of the paper, and set the weights of the norms that the conditioning leaves."""
    model.enc_output = nn.Identity()
    decoder = model.decoder
    heads = [model.enc_bbox_head, decoder.pre_bbox_head, *decoder.bbox_embed, *(layer.reg_conf for layer in decoder.lqe_layers)]
    for head in heads:
        head.act = nn.SiLU()
    calls: list[Tensor] = []

    def keep_first(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        if len(calls) == LAYERS:
            calls.clear()
        calls.append(calls[0] if calls else output)
        return calls[0]

    decoder.query_pos_head.register_forward_hook(keep_first)
    for module in decoder.modules():
        if type(module).__name__ == "Deimv2RMSNorm":
            module.weight.uniform_(0.7, 1.3)


def own_names(tensors: dict[str, Tensor], shared: bool) -> dict[str, Tensor]:
    """Return the tensors of ``transformers`` under detkit's names, each half of a block's convolution by itself."""
    split: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = name.replace("model.conv_encoder.model.", "model.backbone.").replace("model.conv_encoder.", "model.")
        if shared and re.search(r"bbox_embed\.[12]\.", name):
            continue
        if found := re.match(r"(.*\.csp_rep\d)\.conv1\.(.*)", name):
            halves = (tensor, tensor) if tensor.ndim == 0 else tensor.chunk(2)
            split |= {f"{found[1]}.conv{2 - index}.half.{found[2]}": half for index, half in enumerate(halves)}
        elif ".gate_proj." in name:
            split[name.replace("mlp.gate_proj", "swish_ffn.w12")] = torch.cat((tensor, tensors[name.replace("gate_proj", "up_proj")]))
        elif ".up_proj." not in name:
            split[name.replace("mlp.down_proj", "swish_ffn.w3")] = tensor
    return convert(split, _rename_backbone, BLOCKS)


SIDES = {"atto": 320, "femto": 416, "pico": 640, "n": 640}
CASES = [name if name == "atto" else pytest.param(name, marks=pytest.mark.slow) for name in SIDES]


@pytest.mark.oracle(
    "transformers",
    "logits and boxes of every layer of DEIMv2",
    tolerance="1e-4, or as near to float64 as the oracle",
    models=("deimv2_atto", "deimv2_femto", "deimv2_pico", "deimv2_n"),
)
@pytest.mark.parametrize("size", CASES)
def test_every_layer_is_equal(size: str, photographs: list[Tensor]) -> None:
    torch.manual_seed(0)
    reference = build_reference(size)
    config = getattr(presets, f"deimv2_{size}")()
    assert config.preprocess.input_size == (SIDES[size], SIDES[size])
    images = as_bytes(photographs[:1] if size == "atto" else photographs[:2])
    condition(reference, resized(images, config.preprocess))
    detector = config.replace(backbone=config.backbone.replace(weights=None)).build(80).eval()
    detector.load_state_dict(own_names(reference.state_dict(), config.head.shared_box_head))
    pair = Pair(size, reference, Path(), LoadedDetector(detector, config, COCO_CLASSES), images, config.preprocess)
    assert_same_parameters(pair)
    assert_every_layer_is_equal(pair)
