from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detkit.config import ConfigError
from detkit.heads.contrastive import ContrastiveLoss
from detkit.heads.region_classifier import RegionConfig
from detkit.heads.text_classes import TextClassesConfig, TextLogits

PLAIN = TextClassesConfig(dimensions=8, projection=False)


def unit(rows: torch.Tensor) -> torch.Tensor:
    return rows / rows.pow(2).sum(1, keepdim=True).sqrt()


def test_logits_are_cosines_over_the_temperature_and_backgrounds_add_up() -> None:
    torch.manual_seed(0)
    layer, regions = TextLogits(8, 3, PLAIN.replace(temperature=0.05)), torch.randn(5, 8) * 7
    phrases = torch.cat((layer.embeddings, layer.background))
    assert_close(phrases.norm(dim=1), torch.ones(3 + len(PLAIN.background)))
    whole = (unit(regions) @ phrases.T / 0.05).softmax(1)
    found = layer(regions).softmax(1)
    assert_close(found[:, :3], whole[:, :3])
    assert_close(found[:, 3], whole[:, 3:].sum(1))
    assert not list(layer.parameters()), "phrases do not learn"


def test_without_phrases_for_background_one_embedding_learns_and_so_does_the_projection() -> None:
    torch.manual_seed(0)
    layer = TextLogits(16, 3, TextClassesConfig(dimensions=8, background=()))
    assert {name for name, _ in layer.named_parameters()} == {"background", "projection.weight", "projection.bias"}
    layer(torch.randn(4, 16)).logsumexp(1).sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in layer.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(4, 16).bfloat16()).dtype == torch.float32


def test_mistakes_in_words() -> None:
    with pytest.raises(ValueError, match=r"expected the 16 features of a region, .* got 8; set region.text.projection=true or"):
        TextLogits(16, 3, PLAIN)
    with pytest.raises(ConfigError, match=r"expected exactly one \{\} in each template, for the phrase; got 'a photo'"):
        TextClassesConfig(templates=("{}", "a photo"))


def test_under_a_head_on_regions() -> None:
    torch.manual_seed(0)
    region = RegionConfig(text=TextClassesConfig(dimensions=8), pool_size=2).build((4,), (8,), 3)
    logits, deltas = region((torch.randn(1, 4, 8, 8),), [torch.tensor([[0.0, 0.0, 30.0, 30.0], [8.0, 8.0, 60.0, 40.0]])])
    assert (logits.shape, deltas.shape, region.num_classes) == ((2, 4), (2, 3, 4), 3)


def test_the_contrast_is_its_formula() -> None:
    """Of each image minus its own cosine plus the logarithm of all of them, and the same of each text: in plain Python."""
    torch.manual_seed(0)
    photos, texts, contrast = torch.randn(5, 6) * 3, torch.randn(5, 6) * 0.1, ContrastiveLoss()
    assert float(contrast.scale().detach()) == pytest.approx(1 / 0.07)
    cosines = [[float(p @ t) / math.sqrt(float(p @ p) * float(t @ t)) / 0.07 for t in texts] for p in photos]
    turned = list(zip(*cosines, strict=True))
    wanted = [
        math.log(sum(math.exp(value) for value in row)) - row[location_name]
        for rows in (cosines, turned)
        for location_name, row in enumerate(rows)
    ]
    assert float(contrast(photos, texts).detach()) == pytest.approx(sum(wanted) / 10, rel=1e-5)
    with pytest.raises(ValueError, match="expected one text per image"):
        contrast(photos, texts[:4])


def test_the_scale_stops_at_a_hundred_and_can_come_back() -> None:
    contrast = ContrastiveLoss()
    contrast.log_scale.data.fill_(9.0)
    rows = torch.eye(3)
    (-contrast(rows, rows.roll(1, 0))).backward()
    assert float(contrast.scale().detach()) == pytest.approx(100.0, rel=1e-5)
    assert float(contrast.log_scale.grad) != 0, "held by taking it back, not by cutting the gradient"


def test_two_small_towers_learn_which_text_belongs_to_which_image() -> None:
    """Images of bright or dark squares at one of four places, and their descriptions: never seen ones are told apart afterwards."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    images = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 16))
    words = nn.Sequential(nn.Embedding(8, 16), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    contrast = ContrastiveLoss()
    parts = nn.ModuleList((images, words, contrast))
    optimizer = torch.optim.Adam(parts.parameters(), lr=3e-3)

    def pairs() -> tuple[torch.Tensor, torch.Tensor]:
        """All eight kinds, in noise, with "bright/dark" and "which corner" as two words."""
        photos, texts = torch.randn(8, 3, 16, 16, generator=generator) * 0.3, torch.empty(8, 2, dtype=torch.long)
        for kind in range(8):
            bright, corner = kind % 2, kind // 2
            photos[kind, :, corner // 2 * 8 : corner // 2 * 8 + 8, corner % 2 * 8 : corner % 2 * 8 + 8] += 1.0 if bright else -1.0
            texts[kind] = torch.tensor([bright, 2 + corner])
        return photos, texts

    photos, texts = pairs()
    begun = float(contrast(images(photos), words(texts)).detach())
    for _ in range(120):
        photos, texts = pairs()
        optimizer.zero_grad()
        loss = contrast(images(photos), words(texts))
        loss.backward()
        optimizer.step()
    photos, texts = pairs()
    with torch.no_grad():
        ended = float(contrast(images(photos), words(texts)))
        near = nn.functional.normalize(images(photos)) @ nn.functional.normalize(words(texts)).T
    assert begun > 1.5
    assert ended < 0.3
    assert near.argmax(1).tolist() == list(range(8))
