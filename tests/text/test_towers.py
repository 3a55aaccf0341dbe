"""Both CLIP towers with seeded weights against transformers, and ResNet towers against open_clip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

pytest.importorskip("open_clip", reason="needs open_clip: pip install 'detkit-vision[clip]'")
transformers = pytest.importorskip("transformers", reason="needs transformers, which is in the extra test")

from tiny import BACKBONE, perturbed, tensors, whole_clip  # noqa: E402
from transformers_names import openai_names  # noqa: E402

from detkit.backbones import BackboneConfig  # noqa: E402
from detkit.backbones.tower import ImageTower  # noqa: E402
from detkit.text import text_tower  # noqa: E402

PHRASES = ["a cat", "a red cup", "two dogs, one of them asleep, on a sofa"]


def loaded_tower(name: str, dimensions: int, published: dict[str, Tensor]) -> nn.Module:
    """detkit's image tower with exactly the tensors of a file."""
    tower = ImageTower(BackboneConfig(name=name, weights=None, norm="frozen"), dimensions).eval()
    named = {key: value for key, value in tower.rename_published(published).items() if not key.endswith("num_batches_tracked")}
    tower.load_state_dict(named, strict=True)
    return tower


def images(side: int = 224) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def vision_model(**numbers: object) -> nn.Module:
    config = transformers.CLIPVisionConfig(image_size=224, projection_dim=512, **numbers)
    torch.manual_seed(0)
    return perturbed(transformers.CLIPVisionModelWithProjection(config))


def text_model(**numbers: object) -> nn.Module:
    torch.manual_seed(0)
    return perturbed(transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(vocab_size=49408, eos_token_id=49407, **numbers)))


SMALL = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 10, "num_attention_heads": 4, "patch_size": 16}


@pytest.mark.oracle("transformers", "CLIP's image tower, ViT", tolerance="1e-4")
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        (BACKBONE, {**SMALL, "hidden_act": "gelu"}),
        pytest.param("vit_base_patch32_clip_quickgelu_224", {"patch_size": 32}, marks=pytest.mark.slow),
        pytest.param("vit_base_patch16_clip_quickgelu_224", {"patch_size": 16}, marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_image_tower_equals_transformers(name: str, numbers: dict[str, object]) -> None:
    reference = vision_model(**numbers)
    tower = loaded_tower(name, 512, openai_names(reference.state_dict()))
    expected = reference(images()).image_embeds
    assert_close(tower(images())[0].flatten(1), expected, atol=1e-4, rtol=1e-4)
    assert float(expected.std()) > 0.1, "outputs too small for a meaningful comparison"


TWO_LAYERS = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 64}
OPENAIS = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8, "projection_dim": 512}


@pytest.mark.oracle("transformers", "CLIP's text tower", tolerance="1e-4")
@pytest.mark.parametrize(
    ("numbers", "quick"), [(TWO_LAYERS, True), (TWO_LAYERS, False), pytest.param(OPENAIS, True, marks=pytest.mark.slow)]
)
@torch.no_grad()
def test_text_tower_equals_transformers(numbers: dict[str, object], quick: bool) -> None:
    reference = text_model(**numbers, hidden_act="quick_gelu" if quick else "gelu")
    tower = text_tower(openai_names(reference.state_dict()), quick_gelu=quick)
    tokens = tower.tokenizer(PHRASES)
    expected = reference(tokens).text_embeds
    assert_close(tower.network(tokens), expected, atol=1e-4, rtol=1e-4)
    assert_close(tower.embed(PHRASES), expected / expected.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)
    wrong = text_tower(openai_names(reference.state_dict()), quick_gelu=not quick)
    assert not torch.allclose(wrong.network(tokens), expected, atol=1e-4, rtol=1e-4), (
        "the two kinds of GELU differ by less than the tolerance"
    )


@torch.no_grad()
def test_normalized_templates_are_averaged() -> None:
    tower = text_tower(tensors(whole_clip()))
    separate = [tower.embed([text])[0] for text in ("a photo of a cat.", "a cat in the dark")]
    expected = (separate[0] + separate[1]) / (separate[0] + separate[1]).norm()
    assert_close(tower.embed(["a dog", "a cat"], ("a photo of {}.", "{} in the dark"))[1], expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(separate[0], separate[1], atol=1e-3)


def test_truncated_phrases_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    tower = text_tower(tensors(whole_clip()))
    tower.embed(["a cat " * 35], ("a photo of {}.",))
    assert not caplog.records
    tower.embed(["a cat " * 38])
    assert "is longer than the context of the text tower and is truncated" in caplog.text


@pytest.mark.oracle("open_clip_torch", "CLIP's image tower, ResNet", tolerance="1e-4")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimensions", "side", "numbers"),
    [
        ("resnet50_clip", 1024, 224, {"layers": [3, 4, 6, 3], "width": 64, "heads": 32}),
        ("resnet101_clip", 512, 224, {"layers": [3, 4, 23, 3], "width": 64, "heads": 32}),
        ("resnet50x4_clip", 640, 288, {"layers": [4, 6, 10, 6], "width": 80, "heads": 40}),
    ],
)
@torch.no_grad()
def test_resnet_tower_equals_open_clip(name: str, dimensions: int, side: int, numbers: dict[str, object]) -> None:
    from open_clip.modified_resnet import ModifiedResNet

    torch.manual_seed(0)
    reference = ModifiedResNet(output_dim=dimensions, image_size=side, **numbers).eval()
    for key, tensor in reference.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.05)
        elif key.endswith("running_var"):
            tensor.uniform_(0.7, 1.4)
        elif key.endswith("bn3.weight"):
            tensor.fill_(0.3)
    tower = loaded_tower(name, dimensions, {f"visual.{key}": tensor for key, tensor in reference.state_dict().items()})
    expected = reference(images(side))
    assert_close(tower(images(side))[0].flatten(1), expected, atol=1e-4, rtol=1e-4)
    assert float(expected.std()) > 0.01, "outputs too small for a meaningful comparison"


@torch.no_grad()
def test_both_towers_from_one_file() -> None:
    clip = whole_clip()
    assert_close(loaded_tower(BACKBONE, 512, tensors(clip))(images())[0].flatten(1), clip.encode_image(images()), atol=1e-4, rtol=1e-4)
    tower = text_tower(tensors(clip), quick_gelu=False)
    assert_close(tower.network(tower.tokenizer(PHRASES)), clip.encode_text(tower.tokenizer(PHRASES)), atol=1e-5, rtol=1e-5)
    prefixed = {key if key.startswith("visual.") else f"text.{key}": value for key, value in tensors(clip).items()}
    assert_close(text_tower(prefixed).embed(PHRASES), text_tower(tensors(clip)).embed(PHRASES))
    with pytest.raises(ValueError, match="expected a whole CLIP model with its text tower, got a file without token_embedding"):
        text_tower({"visual.proj": torch.zeros(2, 2)})
