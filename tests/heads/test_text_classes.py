from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.config import ConfigError
from detkit.heads.contrastive import ContrastiveLoss
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.text_classes import TextClassesConfig, TextLogits

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


def test_contrastive_loss_matches_its_formula() -> None:
    """Compute the two cross entropies over cosines in plain Python."""
    torch.manual_seed(0)
    images, texts, contrast = torch.randn(5, 6) * 3, torch.randn(5, 6) * 0.1, ContrastiveLoss()
    assert float(contrast.scale().detach()) == pytest.approx(1 / 0.07)
    cosines = [[float(p @ t) / math.sqrt(float(p @ p) * float(t @ t)) / 0.07 for t in texts] for p in images]
    transposed = list(zip(*cosines, strict=True))
    expected = [
        math.log(sum(math.exp(value) for value in row)) - row[index] for rows in (cosines, transposed) for index, row in enumerate(rows)
    ]
    assert float(contrast(images, texts).detach()) == pytest.approx(sum(expected) / 10, rel=1e-5)
    with pytest.raises(ValueError, match="expected one text per image"):
        contrast(images, texts[:4])


def test_scale_is_limited_to_100_and_can_decrease() -> None:
    contrast = ContrastiveLoss()
    contrast.log_scale.data.fill_(9.0)
    rows = torch.eye(3)
    (-contrast(rows, rows.roll(1, 0))).backward()
    assert float(contrast.scale().detach()) == pytest.approx(100.0, rel=1e-5)
    assert float(contrast.log_scale.grad) != 0, "the value is clamped, the gradient is not"


def test_two_small_towers_learn_to_match_images_and_texts() -> None:
    """Train on noisy images of bright or dark squares in one of four corners and their descriptions, and test on new ones."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    image_tower = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 16)
    )
    text_tower = nn.Sequential(nn.Embedding(8, 16), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    contrast = ContrastiveLoss()
    parts = nn.ModuleList((image_tower, text_tower, contrast))
    optimizer = torch.optim.Adam(parts.parameters(), lr=3e-3)

    def pairs() -> tuple[torch.Tensor, torch.Tensor]:
        """Return one image of each of the eight kinds, and two words for its brightness and its corner."""
        images, texts = torch.randn(8, 3, 16, 16, generator=generator) * 0.3, torch.empty(8, 2, dtype=torch.long)
        for kind in range(8):
            bright, corner = kind % 2, kind // 2
            images[kind, :, corner // 2 * 8 : corner // 2 * 8 + 8, corner % 2 * 8 : corner % 2 * 8 + 8] += 1.0 if bright else -1.0
            texts[kind] = torch.tensor([bright, 2 + corner])
        return images, texts

    images, texts = pairs()
    first_loss = float(contrast(image_tower(images), text_tower(texts)).detach())
    for _ in range(120):
        images, texts = pairs()
        optimizer.zero_grad()
        loss = contrast(image_tower(images), text_tower(texts))
        loss.backward()
        optimizer.step()
    images, texts = pairs()
    with torch.no_grad():
        last_loss = float(contrast(image_tower(images), text_tower(texts)))
        cosines = nn.functional.normalize(image_tower(images)) @ nn.functional.normalize(text_tower(texts)).T
    assert first_loss > 1.5
    assert last_loss < 0.3
    assert cosines.argmax(1).tolist() == list(range(8))
