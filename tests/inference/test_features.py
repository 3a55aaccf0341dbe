"""What a layer answers to: brought back as the deconvnet's paper describes it, and drawn."""

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
from detkit.inference import Predictor
from detkit.inference import features as module
from detkit.inference.feature_visualization import Feature, LayerFeatures, explain_features, tiles
from detkit.models.classifier import ClassifierConfig
from detkit.preprocess import PreprocessConfig


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(inplace=True)
    )


def by_hand(network: nn.Sequential, images: Tensor, channel: int, guided: bool) -> Tensor:
    """The strongest answer of a channel led back: rectify, filter transposed, unpool by switches, rectify, filter transposed."""
    first, last = network[0], network[3]
    before = functional.relu(first(images))  # type: ignore[operator]
    pooled, switches = functional.max_pool2d(before, 2, 2, return_indices=True)
    answer = functional.relu(last(pooled))  # type: ignore[operator]
    only = torch.zeros_like(answer)
    place = int(answer[0, channel].argmax())
    only[0, channel].view(-1)[place] = answer[0, channel].view(-1)[place]
    back = functional.conv_transpose2d(only, last.weight, padding=1)  # type: ignore[arg-type]
    back = functional.relu(functional.max_unpool2d(back, switches, 2, 2, output_size=list(before.shape)))
    if guided:
        back = back * (before > 0)
    return functional.conv_transpose2d(back, first.weight, stride=2, padding=1, output_padding=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["deconvnet", "guided"])
def test_answers_are_led_back_as_the_paper_has_it(way: Any) -> None:
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    network, wanted = chain(), by_hand(chain(), images, 2, way == "guided")
    module._exchange(network, way)
    pixels = images.clone().requires_grad_()
    found = module._map_of(network, "4", pixels)
    feature = module._feature(found, pixels, (32, 32), 2)
    assert_close(feature.answer, wanted[0].detach(), rtol=1e-4, atol=1e-5)
    x1, y1, x2, y2 = feature.window
    assert x2 - x1 == y2 - y1 >= 16
    assert not feature.answer[:, :, x2:].abs().gt(0.02 * feature.answer.abs().max()).any()


def predictor(name: str, side: int = 64) -> Predictor:
    torch.manual_seed(0)
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    config = ClassifierConfig(backbone=BackboneConfig(name=name, weights=None), preprocess=preprocess)
    return Predictor(config.build(3), preprocess, ("a", "b", "c"), "cpu", "fp32", reference=True)


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize(("name", "layer", "way"), [("zfnet", "features.5", "deconvnet"), ("shufflenet_v2_x0_5", "stage2", "guided")])
def test_the_channels_that_answer_most(name: str, layer: str, way: str) -> None:
    made = predictor(name)
    before = {key: value.clone() for key, value in made.detector.state_dict().items()}
    found = explain_features(made, image(), layer, 4)
    assert found.way == way
    assert found.layer == f"network.{layer}"
    assert len(found.features) == 4
    answers = [feature.activation for feature in found.features]
    assert answers == sorted(answers, reverse=True)
    assert all(feature.answer.shape == (3, 64, 64) and feature.answer.abs().max() > 0 for feature in found.features)
    shown, captions = tiles(found, 32)
    assert {tile.shape for tile in shown} == {(3, 32, 68)}
    assert captions[0].startswith(f"channel {found.features[0].channel}: ")
    assert all(torch.equal(before[key], value) for key, value in made.detector.state_dict().items())
    assert not any(isinstance(part, module._WayBack) for part in made.detector.modules())


def test_a_few_bright_pixels_do_not_hide_the_others() -> None:
    answer = torch.full((3, 16, 16), 0.01)
    answer[0, 3, 4], answer[1, 5, 6] = 5.0, -5.0
    found = LayerFeatures(torch.zeros(3, 16, 16), "layer", (1, 1, 1), "guided", (Feature(0, 1.0, (0, 0), (0, 0, 16, 16), answer),))
    (tile,), _ = tiles(found, 16)
    shown = tile[:, :, 20:]
    assert float(shown[2].min()) > 0.99, "what most pixels say is seen"
    assert (float(shown[0, 3, 4]), float(shown[1, 5, 6])) == (1.0, 0.0)


def test_a_network_without_rectifiers() -> None:
    with pytest.raises(ValueError, match=r"^features: lenet5 has no rectifiers \(ReLU\) among its layers, by which answers are led back"):
        explain_features(predictor("lenet5", 32), image(), "features.conv2")


def test_a_layer_that_is_not_there_and_one_that_gives_no_map() -> None:
    made = predictor("shufflenet_v2_x0_5")
    with pytest.raises(ValueError, match=r"the backbone has no layer 'stage9': did you mean 'stage2'.*\? It has conv1, "):
        explain_features(made, image(), "stage9")
    with pytest.raises(ValueError, match=r"layer 'network.fc': expected a map \(1, C, H, W\), got shape \(1, 3\); choose a convolution"):
        explain_features(made, image(), "fc")


def test_the_command_draws_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = predictor("shufflenet_v2_x0_5").detector
    model: Any = made
    save_checkpoint(tmp_path / "a.safetensors", made.state_dict(), make_header(model.config.to_json(), ["a", "b", "c"]))
    Image.fromarray(image()).save(tmp_path / "noise.png")
    words = ["explain", str(tmp_path / "noise.png"), "--weights", str(tmp_path / "a.safetensors"), "--output", str(tmp_path / "out")]
    assert main([*words, "--features", "stage2", "--top", "4", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "layer network.stage2: 48 channels of 8 x 8 cells; answers brought back by guided backpropagation" in said
    assert Image.open(tmp_path / "out" / "noise-stage2.png").size[0] == 2 * 260 + 8
