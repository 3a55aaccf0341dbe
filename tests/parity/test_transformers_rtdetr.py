"""RT-DETR and RT-DETRv2 compared with those of ``transformers`` on the same weights, through files in the published format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from skimage import data
from torch import Tensor
from torch.testing import assert_close
from transformers_detectors import (
    Pair,
    as_bytes,
    assert_detections_are_equal,
    assert_every_layer_is_equal,
    assert_same_parameters,
    make_pair,
)

from detkit.models.published import load_published, publication
from detkit.models.published.rtdetr import convert
from detkit.preprocess import preprocess

pytest.importorskip("transformers", reason="a dependency of this test only: pip install detkit-vision[test]")

BASIC = {"hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}
SMALL = {"encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5}
LARGE = {"encoder_ffn_dim": 2048, "encoder_hidden_dim": 384, "decoder_in_channels": [384, 384, 384]}
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "r18": ({**BASIC, "depths": [2, 2, 2, 2]}, {**SMALL, "decoder_layers": 3}),
    "r34": ({**BASIC, "depths": [3, 4, 6, 3]}, {**SMALL, "decoder_layers": 4}),
    "r50": ({}, {}),
    "r101": ({"depths": [3, 4, 23, 3]}, LARGE),
}
"""Settings of the backbone and of the model that differ from the defaults of ``transformers``; source: its conversion scripts."""


def build_reference(version: int, size: str, queries: int = 300) -> Any:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone, settings = SIZES[size]
    options = {
        "num_labels": 80,
        "num_queries": queries,
        "freeze_backbone_batch_norms": False,
        "backbone_config": RTDetrResNetConfig(out_indices=[2, 3, 4], **backbone),
        **settings,
    }
    if version == 2:
        return RTDetrV2ForObjectDetection(RTDetrV2Config(**options)).eval()
    return RTDetrForObjectDetection(RTDetrConfig(**options)).eval()


CASES = [
    (2, "r18", 60),
    *(pytest.param((*case, 300), marks=pytest.mark.slow) for case in ((1, "r18"), (1, "r101"), (2, "r34"), (2, "r50"))),
]
"""Version, size, and number of queries: with fewer, smaller images have enough cells.

Each version with blocks of both kinds; ``test_original_detectors`` has the tensors of every size.
"""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"v{case[0]}-{case[1]}-{case[2]}")
def pair(request: pytest.FixtureRequest, photographs: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    torch.manual_seed(0)
    version, size, queries = request.param
    name, images = f"rtdetr_{size}" if version == 1 else f"rtdetr_v2_{size}", (96, 128) if queries < 300 else (128, 192)
    reference = build_reference(version, size, queries)
    return make_pair(name, reference, as_bytes(photographs[:4]), images, tmp_path_factory.mktemp(name))


@pytest.mark.oracle(
    "transformers",
    "logits and boxes of every layer of RT-DETR and RT-DETRv2",
    tolerance="1e-4, or as near to float64 as the oracle",
    models=("rtdetr_r18", "rtdetr_r101", "rtdetr_v2_r18", "rtdetr_v2_r34", "rtdetr_v2_r50"),
)
def test_every_layer_is_equal(pair: Pair) -> None:
    assert_same_parameters(pair)
    assert_every_layer_is_equal(pair)


@pytest.mark.oracle("transformers", "detections of RT-DETR and RT-DETRv2", tolerance="boxes 0.02 px, scores 1e-4, same labels")
def test_detections_are_equal(pair: Pair) -> None:
    assert_detections_are_equal(pair)


def test_state_dicts_in_memory_load_too(pair: Pair, tmp_path: Path) -> None:
    """Names in memory differ from those in files, and tied parameters are there twice."""
    state = pair.reference.state_dict()
    assert {"model.decoder.class_embed.0.weight", "model.encoder.aifi.0.layers.0.mlp.fc1.weight"} <= state.keys()
    assert ("class_embed.0.weight" in state) == pair.name.startswith("rtdetr_v2")
    torch.save(state, tmp_path / "state.pth")
    detector = load_published(pair.name, tmp_path / "state.pth").detector
    for (name, tensor), expected in zip(detector.state_dict().items(), pair.loaded.detector.state_dict().values(), strict=True):
        assert torch.equal(tensor, expected), name


@pytest.mark.oracle("transformers", "resizing of RT-DETR's images", tolerance="1/255")
def test_images_are_resized_as_by_transformers() -> None:
    from transformers import RTDetrImageProcessor

    image = data.coffee()
    expected = RTDetrImageProcessor()(images=image, return_tensors="pt")["pixel_values"][0]
    config = publication("rtdetr_v2_r18").config
    resized = preprocess(image, config.preprocess).image
    # Theirs rounds results to whole bytes, which differs by a quarter of a byte on average.
    assert_close(resized, expected, atol=1 / 255 + 1e-6, rtol=0)
    assert float((resized - expected).abs().mean()) < 0.3 / 255
    assert config.backbone.normalization == "none"


def test_a_folder_without_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a file, or a folder with model.safetensors or pytorch_model.bin"):
        load_published("rtdetr_v2_r18", tmp_path)


def test_incomplete_projections_are_an_error() -> None:
    tensors = {f"model.decoder.layers.0.self_attn.{part}_proj.bias": torch.zeros(4) for part in "qv"}
    with pytest.raises(ValueError, match=r"got no decoder\.decoder\.layers\.0\.self_attn\.k_proj\.bias; the file is damaged"):
        convert(tensors)
