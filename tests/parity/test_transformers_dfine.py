"""D-FINE compared with that of ``transformers`` on the same weights, through files in the published format."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers_detectors import (
    Pair,
    as_bytes,
    assert_detections_are_equal,
    assert_every_layer_is_equal,
    assert_same_parameters,
    make_pair,
)

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

B0 = {
    "hidden_sizes": [128, 256, 512, 1024],
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "use_learnable_affine_block": True,
}
B2 = {
    "hidden_sizes": [192, 384, 768, 1536],
    "stem_channels": [3, 24, 32],
    "stage_in_channels": [32, 96, 384, 768],
    "stage_mid_channels": [32, 64, 128, 256],
    "stage_out_channels": [96, 384, 768, 1536],
    "stage_numb_of_layers": [4, 4, 4, 4],
    "use_learnable_affine_block": True,
}
B5 = {
    "stem_channels": [3, 32, 64],
    "stage_in_channels": [64, 128, 512, 1024],
    "stage_mid_channels": [64, 128, 256, 512],
    "stage_num_blocks": [1, 2, 5, 2],
}
NANO = {
    "num_feature_levels": 2,
    "feat_strides": [16, 32],
    "encode_proj_layers": [1],
    "encoder_in_channels": [512, 1024],
    "encoder_hidden_dim": 128,
    "encoder_ffn_dim": 512,
    "d_model": 128,
    "decoder_in_channels": [128, 128],
    "decoder_ffn_dim": 512,
    "decoder_n_points": [6, 6],
    "decoder_layers": 3,
    "depth_mult": 0.5,
    "hidden_expansion": 0.34,
}
XLARGE = {"encoder_hidden_dim": 384, "encoder_ffn_dim": 2048, "decoder_in_channels": [384, 384, 384], "reg_scale": 8.0}
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "n": ({**B0, "out_indices": [3, 4]}, NANO),
    "s": (B0, {"decoder_layers": 3, "depth_mult": 0.34, "hidden_expansion": 0.5, "encoder_in_channels": [256, 512, 1024]}),
    "m": (B2, {"decoder_layers": 4, "depth_mult": 0.67, "encoder_in_channels": [384, 768, 1536]}),
    "l": ({}, {}),
    "x": (B5, XLARGE),
}
"""Settings of the backbone and of the model that differ from the defaults of ``transformers``; source: its conversion script, and for
``reg_scale``, which it reads from the file, the original configs."""


def build_reference(size: str, queries: int = 300) -> Any:
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    backbone, settings = SIZES[size]
    config = DFineConfig(
        num_labels=80,
        num_queries=queries,
        freeze_backbone_batch_norms=False,
        backbone_config=HGNetV2Config(**{"out_indices": [2, 3, 4], **backbone}),
        **{"decoder_n_points": [3, 6, 3], **settings},
    )
    return DFineForObjectDetection(config).eval()


CASES = [("n", 60), *(pytest.param((size, 300), marks=pytest.mark.slow) for size in SIZES)]
"""Size, and number of queries: with fewer, smaller images have enough cells."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def pair(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.manual_seed(0)
    size, queries = request.param
    images = (128, 160) if queries < 300 else (224, 320) if size == "n" else (128, 192)
    name = f"dfine_{size}"
    return make_pair(name, build_reference(size, queries), as_bytes(photographs[:4]), images, tmp_path_factory.mktemp(name))


@pytest.mark.oracle(
    "transformers",
    "logits and boxes of every layer of D-FINE",
    tolerance="1e-4, or as near to float64 as the oracle",
    models=("dfine_n", "dfine_s", "dfine_m", "dfine_l", "dfine_x"),
)
def test_every_layer_is_equal(pair: Pair) -> None:
    assert_same_parameters(pair)
    assert_every_layer_is_equal(pair)


@pytest.mark.oracle("transformers", "detections of D-FINE", tolerance="boxes 0.02 px, scores 1e-4, same labels")
def test_detections_are_equal(pair: Pair) -> None:
    assert_detections_are_equal(pair)
