"""CLIP as a classifier of whole images, against the networks of open_clip and transformers with the same seeded weights."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

pytest.importorskip("open_clip", reason="needs the extra clip: pip install open_clip_torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "text"))
from nano import SIDE, nano_clip, nano_publication, write_clip
from tiny import perturbed
from transformers_names import openai_names

from detkit.cli.main import main
from detkit.inference import load
from detkit.models.published import PUBLISHED
from detkit.structures import Targets
from detkit.weights import catalog, find

CLASSES = ("cat", "dog", "traffic light")
TEMPLATES = ("a photo of a {}.", "a blurry drawing of the {}")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nano_published", SimpleNamespace(nano=nano_publication))
    monkeypatch.setitem(PUBLISHED._table, "clip_nano", "nano_published:nano")


@pytest.fixture(scope="module")
def network() -> Any:
    """A CLIP whose scale makes the probabilities differ by class."""
    clip = perturbed(nano_clip())
    clip.logit_scale.data.fill_(2.0)
    return clip


@pytest.fixture(scope="module")
def released(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(network, tmp_path_factory.mktemp("clip") / "nano.safetensors")


def pixels(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(pixels(60, 90)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def probabilities(predictor: Any, image: np.ndarray) -> Tensor:
    """Return the probability of each class, in the order of the classes."""
    detections = predictor(image)
    return detections.scores[detections.labels.argsort()]


@torch.no_grad()
def expected_probabilities(clip: Any, images: Tensor, templates: tuple[str, ...], length: int = 77) -> Tensor:
    """The zero-shot classifier of the paper's code, with the towers of open_clip."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer, rows = SimpleTokenizer(context_length=length), []
    for name in CLASSES:
        prompts = functional.normalize(clip.encode_text(tokenizer([template.format(name) for template in templates])), dim=-1)
        rows.append(functional.normalize(prompts.mean(0), dim=-1))
    cosines = functional.normalize(clip.encode_image(images), dim=-1) @ torch.stack(rows).T
    return (clip.logit_scale.exp() * cosines).softmax(-1)


def normalized(image: np.ndarray) -> Tensor:
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    values = torch.tensor(image).permute(2, 0, 1)[None].float() / 255
    return (values - torch.tensor(OPENAI_DATASET_MEAN)[:, None, None]) / torch.tensor(OPENAI_DATASET_STD)[:, None, None]


@pytest.mark.oracle("open_clip_torch", "probabilities of CLIP as a classifier", tolerance="1e-4")
@pytest.mark.parametrize("templates", [TEMPLATES[:1], TEMPLATES])
def test_probabilities_equal_open_clip(templates: tuple[str, ...], network: Any, released: Path) -> None:
    options = {"templates": templates} if len(templates) > 1 else {}
    predictor = load("clip_nano", "cpu", reference=True, file=released, classes=CLASSES, **options)
    expected = expected_probabilities(network, normalized(pixels()), templates, length=16)[0]
    assert_close(probabilities(predictor, pixels()), expected, atol=1e-4, rtol=0)
    assert float(expected.max() - expected.min()) > 0.01, "probabilities too similar for a meaningful comparison"
    other = expected_probabilities(network, normalized(pixels()), ("{}",), length=16)[0]
    assert not torch.allclose(expected, other, atol=1e-3), "the prompts do not matter"


@pytest.mark.oracle("open_clip_torch", "probabilities of resized images", tolerance="2e-3")
def test_images_are_resized_as_by_open_clip(network: Any, released: Path) -> None:
    """Pillow rounds resized pixels to whole bytes."""
    from open_clip.transform import image_transform

    image = np.asarray(Image.fromarray(pixels(7, 10)).resize((200, 120), Image.Resampling.BICUBIC))
    values = image_transform(SIDE, is_train=False)(Image.fromarray(image))[None]
    predictor = load("clip_nano", "cpu", reference=True, file=released, classes=CLASSES)
    expected = expected_probabilities(network, values, TEMPLATES[:1], length=16)[0]
    assert_close(probabilities(predictor, image), expected, atol=2e-3, rtol=0)
    stretched = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    assert not torch.allclose(expected_probabilities(network, normalized(stretched), TEMPLATES[:1], length=16)[0], expected, atol=2e-3)


@pytest.mark.oracle("transformers", "probabilities of CLIP as a classifier", tolerance="1e-4")
@torch.no_grad()
def test_probabilities_equal_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers, which is in the extra test")
    torch.manual_seed(1)
    layers = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1, "hidden_act": "quick_gelu"}
    text = {**layers, "vocab_size": 49408, "max_position_embeddings": 16, "eos_token_id": 49407}
    vision = {**layers, "image_size": SIDE, "patch_size": 8}
    clip = perturbed(transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)), 1)
    clip.logit_scale.data.fill_(2.0)
    tensors = openai_names(clip.state_dict()) | {"logit_scale": clip.logit_scale.data}
    path = tmp_path / "clip.pt"
    torch.save(tensors, path)
    predictor = load("clip_nano", "cpu", reference=True, file=path, classes=CLASSES)
    from open_clip.tokenizer import SimpleTokenizer

    tokens = SimpleTokenizer(context_length=16)([f"a photo of a {name}." for name in CLASSES])
    expected = clip(input_ids=tokens, pixel_values=normalized(pixels())).logits_per_image.softmax(1)[0]
    assert_close(probabilities(predictor, pixels()), expected, atol=1e-4, rtol=0)
    assert float(expected.max() - expected.min()) > 0.01, "probabilities too similar for a meaningful comparison"


def detect(image: Path, *words: str) -> dict[str, Any]:
    path = image.with_name("found.json")
    assert main(["detect", str(image), "--no-draw", "--min-score", "0", "--json", str(path), *words]) == 0
    return json.loads(path.read_text("utf-8"))


def test_command_prints_and_writes_classes(
    released: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--model", "clip_nano", "--weights-file", str(released), "--classes", *CLASSES)
    found = detect(image, *words, "--csv", str(tmp_path / "found.csv"))
    rows = found["images"][0]["detections"]
    assert sorted(row["class"] for row in rows) == sorted(CLASSES)
    assert sum(row["score"] for row in rows) == pytest.approx(1.0, abs=1e-3)
    assert rows[0]["box"] == pytest.approx([15, 0, 75, 60], abs=1), "the center that the model sees"
    written = list(csv.DictReader((tmp_path / "found.csv").read_text("utf-8").splitlines()))
    assert [(row["class"], float(row["score"])) for row in written] == [(row["class"], pytest.approx(row["score"])) for row in rows]
    assert rows[0]["class"] in capsys.readouterr().out
    others = detect(image, *words, "--templates", *TEMPLATES)["images"][0]["detections"]
    assert abs({row["class"]: row["score"] for row in others}["cat"] - {row["class"]: row["score"] for row in rows}["cat"]) > 1e-4
    saved = tmp_path / "animals.safetensors"
    arguments = ["--model", "clip_nano", "--classes", *CLASSES, "--templates", *TEMPLATES]
    assert main(["models", "import", str(released), *arguments, "--output", str(saved)]) == 0
    monkeypatch.setitem(sys.modules, "open_clip", None)  # importing it fails now
    again = detect(image, "--model", str(saved))["images"][0]["detections"]
    assert [(row["class"], pytest.approx(row["score"], abs=1e-5)) for row in again] == [(row["class"], row["score"]) for row in others]
    assert load(saved, "cpu").detector.config.templates == TEMPLATES
    capsys.readouterr()
    assert main(["detect", str(image), "--no-draw", "--model", str(saved), "--templates", "{}"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "animals.safetensors: expected no templates" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), 'clip: expected classes to detect, got none; give them with --classes "a cat" "a red cup"'),
        (("--classes", "cat", "cat"), "classes: expected distinct, non-empty phrases, got 'cat' twice"),
        (
            ("--classes", "cat", "--templates", "a photo"),
            "templates: expected exactly one {} in each template, for the phrase; got 'a photo'",
        ),
        (("--classes", "cat", "dog"), "weights clip not found: run `detkit models download clip`, or put https://openaipublic"),
    ],
)
def test_errors_in_one_line(
    words: tuple[str, ...], message: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    assert main(["detect", str(image), "--no-draw", "--model", "clip", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_templates_are_for_published_clips_only() -> None:
    with pytest.raises(ValueError, match="zero_shot_rcnn: expected no templates, got some; only a published CLIP, such as clip,"):
        load("zero_shot_rcnn", "cpu", templates=("{}",))


def test_each_released_file_has_two_entries() -> None:
    files: dict[str, set[str]] = {}
    for entry in catalog():
        if entry.source.startswith("open_clip"):
            files.setdefault(entry.file_name, set()).add(entry.name)
            assert entry.name in PUBLISHED
    assert files["ViT-B-32.pt"] == {"clip", "clip_rcnn"}
    assert all(len(names) == 2 for names in files.values())
    assert find("clip_rn50").url == find("clip_rcnn_rn50").url


def test_training_changes_the_image_tower_only(released: Path) -> None:
    classifier = load("clip_nano", "cpu", reference=True, file=released, classes=CLASSES).detector.train()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    images = [torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(index)) for index in range(2)]
    targets = [Targets.of(torch.tensor([[0.0, 0.0, SIDE, SIDE]]), torch.tensor([label])) for label in (2, 0)]
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = classifier(images, targets)["class"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    after = classifier.state_dict()
    assert_close(after["logits.embeddings"], before["logits.embeddings"])
    assert not torch.equal(after["neck.backbone.network.head.weight"], before["neck.backbone.network.head.weight"])


@pytest.mark.slow
@pytest.mark.oracle("open_clip_torch", "embeddings and probabilities of CLIP in released sizes", tolerance="1e-4", models="cases")
@pytest.mark.parametrize(("name", "model"), [("clip", "ViT-B-32"), ("clip_rn50", "RN50")])
@torch.no_grad()
def test_released_image_towers_equal_open_clip(name: str, model: str, tmp_path: Path) -> None:
    """The smallest of OpenAI's vision transformers, and of its ResNets, with a small text tower."""
    from open_clip.factory import get_model_config
    from open_clip.model import CLIP

    torch.manual_seed(0)
    sizes = get_model_config(model)
    clip = CLIP(sizes["embed_dim"], sizes["vision_cfg"], {"width": 64, "heads": 1, "layers": 2}, quick_gelu=True).eval()
    perturbed_norms(clip)
    path = write_clip(clip, tmp_path / "clip.safetensors")
    predictor = load(name, "cpu", reference=True, file=path, classes=CLASSES)
    image = pixels(224, 224)
    expected_embedding = functional.normalize(clip.encode_image(normalized(image)))
    detector = predictor.detector
    (embedding,) = detector.backbone(detector.prepare([torch.from_numpy(image).permute(2, 0, 1) / 255]).images)
    assert_close(functional.normalize(embedding.flatten(1)), expected_embedding, atol=1e-4, rtol=0)
    assert_close(probabilities(predictor, image), expected_probabilities(clip, normalized(image), TEMPLATES[:1])[0], atol=1e-4, rtol=0)


def perturbed_norms(network: torch.nn.Module) -> None:
    """Give batch norms statistics that are not those of their initialization."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.05, generator=generator)
        elif name.endswith("running_var"):
            tensor.uniform_(0.7, 1.4, generator=generator)
        elif name.endswith("bn3.weight"):
            tensor.fill_(0.3)
