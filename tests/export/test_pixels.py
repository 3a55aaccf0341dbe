"""Exported models for semantic segmentation in onnxruntime against the original ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exporting import noise_images

import detkit
from detkit.backbones import BackboneConfig
from detkit.export import export_onnx
from detkit.inference import Predictor, load_exported
from detkit.models.semantic.contracting_path import PaperUNetConfig
from detkit.models.semantic.fcn import FCNConfig
from detkit.models.semantic.segmenter import SegmenterConfig
from detkit.models.semantic.unet import UNetConfig, UNetDecoderConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures.label_maps import label_map

pytest.importorskip("onnxruntime")
NAMES = ("a", "b", "c")
SHAPES = ((64, 64), (120, 50), (31, 200), (1, 1))
BACKBONE = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=("c2", "c3", "c4"))
LETTERBOX = PreprocessConfig(rule="letterbox", input_size=(64, 96), pad_side="both")
UNET = UNetConfig(backbone=BACKBONE, decoder=UNetDecoderConfig(channels=(8, 8)), preprocess=LETTERBOX)
CONFIGS: dict[str, SegmenterConfig] = {
    "unet": UNET,
    "no background, any size": UNET.replace(background=False, preprocess=PreprocessConfig(short_side=64, long_side=160)),
    "fcn": FCNConfig(backbone=BACKBONE.replace(levels=("c4",)), preprocess=LETTERBOX),
    "paper": UNetConfig(paper=PaperUNetConfig(channels=(4, 6, 8), padding="same"), preprocess=LETTERBOX),
}


@pytest.mark.parametrize("name", ["unet", *(pytest.param(name, marks=pytest.mark.slow) for name in list(CONFIGS)[1:])])
def test_regions_match_the_model(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CONFIGS[name]
    model = config.build(len(NAMES)).eval()
    with torch.no_grad():
        model.head.logits.weight.mul_(20)
    predictor, shown = Predictor(model, config.preprocess, NAMES, "cpu", "fp32", reference=True), noise_images(*SHAPES)
    agreement = export_onnx(predictor, tmp_path / "model.onnx", shown)
    assert agreement.holds, str(agreement)
    assert agreement.mask is not None
    exported = load_exported(tmp_path / "model.onnx")
    assert exported.runtime.info.segments
    assert exported.runtime.info.metadata["background"] == config.background
    assert exported.max_detections is None
    for image, own, other in zip(shown, predictor(shown), detkit.load(tmp_path / "model.onnx")(shown), strict=True):
        maps = [label_map(rows, image.shape[:2], 255) for rows in (own, other, exported(image))]
        assert np.mean(maps[0] == maps[1]) > 0.99
        np.testing.assert_array_equal(maps[1], maps[2])
