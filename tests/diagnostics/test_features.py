"""Visualization of features by deconvnet, as in its paper, and by guided backpropagation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main
from detkit.diagnostics import features as module
from detkit.diagnostics.features import Feature, LayerFeatures, explain_features, feature_tiles
from detkit.inference import Predictor
from detkit.models.classifier import ClassifierConfig
from detkit.preprocess import PreprocessConfig


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(inplace=True)
    )


def reference_projection(network: nn.Sequential, images: Tensor, channel: int, guided: bool) -> Tensor:
    """Project the strongest activation of a channel: ReLU, transposed filter, unpooling with switches, ReLU, transposed filter."""
    first, last = network[0], network[3]
    before = functional.relu(first(images))  # type: ignore[operator]
    pooled, switches = functional.max_pool2d(before, 2, 2, return_indices=True)
    activations = functional.relu(last(pooled))  # type: ignore[operator]
    strongest = torch.zeros_like(activations)
    index = int(activations[0, channel].argmax())
    strongest[0, channel].view(-1)[index] = activations[0, channel].view(-1)[index]
    back = functional.conv_transpose2d(strongest, last.weight, padding=1)  # type: ignore[arg-type]
    back = functional.relu(functional.max_unpool2d(back, switches, 2, 2, output_size=list(before.shape)))
    if guided:
        back = back * (before > 0)
    return functional.conv_transpose2d(back, first.weight, stride=2, padding=1, output_padding=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["deconvnet", "guided"])
def test_projection_matches_the_paper(method: Any) -> None:
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    network, expected = small_network(), reference_projection(small_network(), images, 2, method == "guided")
    module._replace_layers(network, method)
    pixels = images.clone().requires_grad_()
    feature_map = module._feature_map(network, "4", pixels)
    feature = module._feature(feature_map, pixels, (32, 32), 2)
    assert_close(feature.projection, expected[0].detach(), rtol=1e-4, atol=1e-5)
    x1, y1, x2, y2 = feature.window
    assert x2 - x1 == y2 - y1 >= 16
    assert not feature.projection[:, :, x2:].abs().gt(0.02 * feature.projection.abs().max()).any()


def predictor(name: str, side: int = 64) -> Predictor:
    torch.manual_seed(0)
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    config = ClassifierConfig(backbone=BackboneConfig(name=name, weights=None), preprocess=preprocess)
    return Predictor(config.build(3), preprocess, ("a", "b", "c"), "cpu", "fp32", reference=True)


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize(("name", "layer", "method"), [("zfnet", "features.5", "deconvnet"), ("shufflenet_v2_x0_5", "stage2", "guided")])
def test_strongest_channels(name: str, layer: str, method: str) -> None:
    run = predictor(name)
    before = {key: value.clone() for key, value in run.detector.state_dict().items()}
    layer_features = explain_features(run, image(), layer, 4)
    assert layer_features.method == method
    assert layer_features.layer == f"network.{layer}"
    assert len(layer_features.features) == 4
    activations = [feature.activation for feature in layer_features.features]
    assert activations == sorted(activations, reverse=True)
    assert all(feature.projection.shape == (3, 64, 64) and feature.projection.abs().max() > 0 for feature in layer_features.features)
    shown, captions = feature_tiles(layer_features, 32)
    assert {tile.shape for tile in shown} == {(3, 32, 68)}
    assert captions[0].startswith(f"channel {layer_features.features[0].channel}: ")
    assert all(torch.equal(before[key], value) for key, value in run.detector.state_dict().items())
    assert not any(isinstance(part, module._ProjectionReLU) for part in run.detector.modules())


def test_few_strong_pixels_do_not_hide_the_others() -> None:
    projection = torch.full((3, 16, 16), 0.01)
    projection[0, 3, 4], projection[1, 5, 6] = 5.0, -5.0
    feature = Feature(0, 1.0, (0, 0), (0, 0, 16, 16), projection)
    layer_features = LayerFeatures(torch.zeros(3, 16, 16), "layer", (1, 1, 1), "guided", (feature,))
    (tile,), _ = feature_tiles(layer_features, 16)
    shown = tile[:, :, 20:]
    assert float(shown[2].min()) > 0.99, "most pixels are visible"
    assert (float(shown[0, 3, 4]), float(shown[1, 5, 6])) == (1.0, 0.0)


def test_network_without_relu() -> None:
    with pytest.raises(ValueError, match=r"^features: lenet5 has no ReLU layers, which are needed"):
        explain_features(predictor("lenet5", 32), image(), "features.conv2")


def test_unknown_layer_and_layer_without_feature_map() -> None:
    run = predictor("shufflenet_v2_x0_5")
    with pytest.raises(ValueError, match=r"the backbone has no layer 'stage9': did you mean 'stage2'.*\? It has conv1, "):
        explain_features(run, image(), "stage9")
    with pytest.raises(ValueError, match=r"layer 'network.fc': expected a map \(1, C, H, W\), got shape \(1, 3\); choose a convolution"):
        explain_features(run, image(), "fc")


def test_command_writes_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model: Any = predictor("shufflenet_v2_x0_5").detector
    save_checkpoint(tmp_path / "a.safetensors", model.state_dict(), make_header(model.config.to_json(), ["a", "b", "c"]))
    Image.fromarray(image()).save(tmp_path / "noise.png")
    words = ["explain", str(tmp_path / "noise.png"), "--model", str(tmp_path / "a.safetensors"), "--output", str(tmp_path / "out")]
    assert main([*words, "--features", "stage2", "--top", "4", "--device", "cpu"]) == 0
    output = capsys.readouterr().out
    assert "layer network.stage2: 48 channels of 8 x 8 cells; activations projected to pixels by guided backpropagation" in output
    assert Image.open(tmp_path / "out" / "noise-stage2.png").size[0] == 2 * 260 + 8
