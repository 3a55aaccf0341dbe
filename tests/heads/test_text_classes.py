from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.config import ConfigError
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.text_classes import CosineLogits, TextClassesConfig, TextLogits

PLAIN = TextClassesConfig(dimensions=8, projection=False)


def unit(rows: torch.Tensor) -> torch.Tensor:
    return rows / rows.pow(2).sum(1, keepdim=True).sqrt()


def test_logits_are_scaled_cosines_and_background_phrases_are_summed() -> None:
    torch.manual_seed(0)
    layer, regions = TextLogits(8, 3, PLAIN.replace(temperature=0.05)), torch.randn(5, 8) * 7
    phrases = torch.cat((layer.embeddings, layer.background))
    assert_close(phrases.norm(dim=1), torch.ones(3 + len(PLAIN.background)))
    expected = (unit(regions) @ phrases.T / 0.05).softmax(1)
    probabilities = layer(regions).softmax(1)
    assert_close(probabilities[:, :3], expected[:, :3])
    assert_close(probabilities[:, 3], expected[:, 3:].sum(1))
    assert not list(layer.parameters()), "phrases are not trained"


def test_background_without_phrases_and_projection_are_trained() -> None:
    torch.manual_seed(0)
    layer = TextLogits(16, 3, TextClassesConfig(dimensions=8, background=()))
    assert {name for name, _ in layer.named_parameters()} == {"background", "projection.weight", "projection.bias"}
    layer(torch.randn(4, 16)).logsumexp(1).sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in layer.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(4, 16).bfloat16()).dtype == torch.float32


def test_error_messages() -> None:
    with pytest.raises(ValueError, match=r"expected the 16 features of a region, .* got 8; set region.text.projection=true or"):
        TextLogits(16, 3, PLAIN)
    with pytest.raises(ConfigError, match=r"expected exactly one \{\} in each template, for the phrase; got 'a photo'"):
        TextClassesConfig(templates=("{}", "a photo"))


def test_in_a_region_head() -> None:
    torch.manual_seed(0)
    region = RegionConfig(text=TextClassesConfig(dimensions=8), pool_size=2).build((4,), (8,), 3)
    logits, deltas = region((torch.randn(1, 4, 8, 8),), [torch.tensor([[0.0, 0.0, 30.0, 30.0], [8.0, 8.0, 60.0, 40.0]])])
    assert (logits.shape, deltas.shape, region.num_classes) == ((2, 4), (2, 3, 4), 3)


def test_logits_of_whole_images_are_scaled_cosines() -> None:
    torch.manual_seed(0)
    layer, images = CosineLogits(3, 8), torch.randn(5, 8) * 7
    layer.scale.fill_(20.0)
    assert_close(layer.embeddings.norm(dim=1), torch.ones(3))
    assert_close(layer(images), 20 * unit(images) @ layer.embeddings.T)
    assert not list(layer.parameters()), "phrases are not trained"
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(images.bfloat16()).dtype == torch.float32
