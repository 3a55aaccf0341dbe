"""CLIP as a detector, from a released file to detections; a small file with seeded weights replaces the released ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional
from torch.testing import assert_close

pytest.importorskip("open_clip", reason="needs the extra clip: pip install open_clip_torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "text"))
from tiny import BACKBONE, tensors, whole_clip

from detkit.backbones import BackboneConfig
from detkit.cli.main import main
from detkit.inference import load
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.published import PUBLISHED, publication
from detkit.models.published.clip import publication_for
from detkit.structures import Proposals
from detkit.text import text_tower
from detkit.weights import catalog, find

CLASSES = ["a cat", "a red cup"]
FAST_RCNN = Path(__file__).resolve().parents[2] / "configs" / "fast_rcnn_lite0_bccd.py"


def small_config() -> CLIPRCNNConfig:
    plain = CLIPRCNNConfig()
    network = BackboneConfig(name=BACKBONE, weights=None, norm="frozen")
    return plain.replace(backbone=network, proposals=plain.proposals.replace(mode="single", max_proposals=6, min_area=100.0))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a complete CLIP in half precision, as the released files are, with its own learned scale."""
    path = tmp_path_factory.mktemp("clip") / "tiny.safetensors"
    numbers = tensors(whole_clip()) | {"logit_scale": torch.tensor(3.0)}
    save_file({name: tensor.half().contiguous() for name, tensor in numbers.items()}, path)
    return path


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiny_clip", SimpleNamespace(tiny=lambda: publication_for(small_config())))
    monkeypatch.setitem(PUBLISHED._table, "clip_rcnn_tiny", "tiny_clip:tiny")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 60, (90, 120, 3), np.uint8)
    pixels[20:70, 30:80] = (200, 30, 30)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_regions_are_compared_with_phrases(released: Path) -> None:
    predictor = load("clip_rcnn_tiny", "cpu", reference=True, file=released, classes=CLASSES)
    detector, clip = predictor.detector, whole_clip()
    image = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    batch = detector.prepare([image])
    # With its context, the box covers the whole image, so that the crop is the image, without resizing.
    box = torch.tensor([[16.0, 16.0, 208.0, 208.0]])
    with torch.no_grad():
        (logits,), _ = detector.region(detector.region_source(detector.maps(batch.images)), [box])
        image_embedding = functional.normalize(clip.half().float().encode_image(batch.images))
    phrases = text_tower({name: tensor.half() for name, tensor in tensors(whole_clip()).items()})
    text = small_config().region.text
    expected = np.exp(3) * (image_embedding @ phrases.embed([*CLASSES, *text.background], text.templates).T)[0]
    assert_close(logits[:2], expected[:2].float(), atol=1e-2, rtol=1e-3)
    assert_close(logits[2], expected[2:].float().logsumexp(0), atol=1e-2, rtol=1e-3)


def detections(image: Path, *words: str) -> list[dict]:
    path = image.with_name("found.json")
    assert main(["detect", str(image), "--no-draw", "--min-score", "0", "--json", str(path), *words]) == 0
    return json.loads(path.read_text("utf-8"))["images"][0]["detections"]


def test_command_and_checkpoint_without_text_tower(
    released: Path, image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--model", "clip_rcnn_tiny", "--weights-file", str(released), "--classes", *CLASSES)
    first = detections(image, *arguments)
    assert first
    assert {row["class"] for row in first} <= set(CLASSES)
    assert "classes: a cat, a red cup; phrases for background: the background, nothing in particular" in caplog.text
    saved = tmp_path / "cats.safetensors"
    assert main(["models", "import", str(released), "--model", "clip_rcnn_tiny", "--output", str(saved), "--classes", *CLASSES]) == 0
    monkeypatch.setitem(sys.modules, "open_clip", None)  # importing it fails now
    again = detections(image, "--model", str(saved))
    assert [row["class"] for row in again] == [row["class"] for row in first]
    assert_close(*(torch.tensor([[*row["box"], row["score"]] for row in rows]) for rows in (again, first)), atol=2e-3, rtol=1e-3)


@pytest.mark.slow
def test_open_clip_is_imported_only_to_embed_phrases() -> None:
    import subprocess

    code = (
        "import sys, detkit; from detkit.models.published import publication; publication('clip_rcnn').config.backbone;"
        "import detkit.inference; print('open_clip' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_training_loads_embeddings_by_name(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.config import load_config
    from detkit.experiment import Experiment
    from detkit.experiment.build import initial_state
    from detkit.heads.text_classes import TextClassesConfig
    from detkit.models.fast_rcnn import FastRCNNConfig
    from detkit.models.loading.class_embeddings import embed_classes

    saved = tmp_path / "cats.safetensors"
    main(["models", "import", str(released), "--model", "clip_rcnn_tiny", "--output", str(saved), "--classes", *CLASSES])
    capsys.readouterr()
    saved_logits = load(saved, "cpu", reference=True).detector.region.predictor.logits
    plain = FastRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)))

    def config(**numbers: object) -> FastRCNNConfig:
        text = TextClassesConfig(embeddings=str(saved), **numbers)
        head = plain.region.head.replace(hidden=32)
        return plain.replace(region=plain.region.replace(text=text, head=head))

    def detector(**numbers: object) -> torch.nn.Module:
        return config(**numbers).build(2)

    reordered = detector()
    assert embed_classes(reordered, ("a red cup", "a cat"))
    logits = reordered.region.predictor.logits
    assert_close(logits.embeddings, saved_logits.embeddings.flip(0))
    assert_close(logits.background, saved_logits.background)
    assert not torch.allclose(saved_logits.embeddings[0], saved_logits.embeddings[1], atol=1e-3)
    box = Proposals(torch.tensor([[4.0, 4.0, 60.0, 60.0]]), torch.ones(1))
    detections = reordered.eval()([torch.rand(3, 64, 96)], proposals=[box])[0]
    assert bool((detections.labels <= 1).all())
    experiment = load_config(FAST_RCNN, Experiment)
    initial = initial_state(experiment.replace(model=config()), ("a red cup", "a cat"))
    assert_close(initial["region.predictor.logits.embeddings"], logits.embeddings)
    trained_background = detector(background=())
    embed_classes(trained_background, ("a cat", "a red cup"))
    assert trained_background.region.predictor.logits.background.requires_grad
    for invalid, message in (
        (({}, ("a dog", "a cat")), r"cats.safetensors: expected embeddings of all classes, got none of a dog; it has a cat, a red cup"),
        (({"dimensions": 64}, ("a cat", "a red cup")), r"expected embeddings of 64 dimensions, got 512"),
        (({"background": ("the sky",)}, ("a cat", "a red cup")), r"region.text.background, the sky; got .*; use the same phrases for both"),
    ):
        with pytest.raises(ValueError, match=message):
            embed_classes(detector(**invalid[0]), invalid[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), 'clip_rcnn: expected classes to detect, got none; give them with --classes "a cat" "a red cup"'),
        (("--classes", "a cat", "a cat"), "classes: expected distinct, non-empty phrases, got 'a cat' twice"),
        (("--classes", "a cat"), "weights clip_rcnn not found: run `detkit models download clip_rcnn`, or put https://openaipublic"),
    ],
)
def test_errors_in_one_line(
    words: tuple[str, ...], message: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    assert main(["detect", str(image), "--no-draw", "--model", "clip_rcnn", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_missing_library_error_gives_the_install_command(
    image: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "open_clip" else find_spec(name, *more))
    assert main(["detect", str(image), "--no-draw", "--model", "clip_rcnn", "--classes", "a cat"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("detkit: error: embedding phrases requires open_clip, which is not installed: ")
    assert "run `pip install 'detkit-vision[clip]'`" in line
    assert "pip install detkit" not in line


CLIPS = [entry for entry in catalog() if entry.source.startswith("open_clip")]


@pytest.mark.parametrize("entry", CLIPS, ids=lambda entry: entry.name)
def test_catalog_matches_open_clip(entry: object) -> None:
    from open_clip import get_pretrained_url

    model = entry.file_name.removesuffix(".pt")
    assert entry.url == get_pretrained_url(model, "openai")
    assert len(entry.sha256) == 64
    assert entry.sha256 in entry.url


FIRST = ("clip_rcnn", "clip_rcnn_rn50")
"""A ViT and a ResNet; the tests of the others are slow."""


@pytest.mark.oracle("open_clip_torch", "shapes of all tensors of CLIP's released files", tolerance="equal")
@pytest.mark.parametrize("entry", [entry if entry.name in FIRST else pytest.param(entry, marks=pytest.mark.slow) for entry in CLIPS])
def test_released_file_sizes_match(entry: object) -> None:
    """Compare the shapes of OpenAI's network with those of the detector, on the meta device."""
    from open_clip.factory import get_model_config
    from open_clip.model import CLIP

    from detkit.backbones.tower import ImageTower

    config = publication(entry.name).config
    if config.kind == "clip":
        dimensions, side = config.dimensions, config.preprocess.input_size[0]
    else:
        dimensions, side = config.region.text.dimensions, config.warp_size
    with torch.device("meta"):
        sizes = get_model_config(entry.file_name.removesuffix(".pt"))
        released = CLIP(**sizes).state_dict()
        tower = ImageTower(config.backbone, dimensions)
        named = {k: v for k, v in tower.rename_published(released).items() if not k.endswith("num_batches_tracked")}
        assert {k: v.shape for k, v in tower.state_dict().items()} == {k: v.shape for k, v in named.items()}
    assert sizes["vision_cfg"]["image_size"] == side
    assert sizes["embed_dim"] == dimensions
    num_parameters = sum(
        value.numel() for key, value in released.items() if "running" not in key and "num_batches" not in key and key != "attn_mask"
    )
    assert num_parameters == find(entry.name).parameters
