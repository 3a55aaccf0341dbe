"""A small CLIP, trained by open_clip on images and captions, classifies by texts that it never saw."""

from __future__ import annotations

import json
import math
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

pytest.importorskip("open_clip", reason="needs the extra clip: pip install open_clip_torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "text"))
from nano import LENGTH, SIDE, nano_clip, nano_publication, write_clip

from detkit.cli.main import main
from detkit.models.published import PUBLISHED

COLORS = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (50, 70, 230), "yellow": (230, 220, 50)}
SIDES = {"left": (2, 10), "right": (16, 10), "top": (9, 2), "bottom": (9, 16)}
CAPTIONS = tuple(f"a photo of a {color} ball on the {side}." for color, side in product(COLORS, SIDES))
CLASSES = tuple(f"{color} ball" for color in COLORS)
"""No caption names one of these alone: the text of a class is new to the network."""
STEPS = 60


def draw_ball(color: str, side: str, generator: np.random.Generator) -> Image.Image:
    """Draw a ball of random size near a side of a gray background with noise."""
    image = Image.fromarray(generator.integers(90, 130, (SIDE, SIDE, 3), np.uint8))
    x, y = np.add(SIDES[side], generator.integers(-2, 3, 2)).tolist()
    diameter = int(generator.integers(9, 15))
    ImageDraw.Draw(image).ellipse((x, y, x + diameter, y + diameter), COLORS[color])
    return image


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train both towers with open_clip's symmetric cross entropy, and write them as a released file."""
    from open_clip.loss import ClipLoss
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transform import image_transform

    clip, generator = nano_clip(), np.random.default_rng(0)
    texts = SimpleTokenizer(context_length=LENGTH)(list(CAPTIONS))
    prepare, loss_of = image_transform(SIDE, is_train=False), ClipLoss()
    optimizer = torch.optim.AdamW(clip.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        images = torch.stack([prepare(draw_ball(color, side, generator)) for color, side in product(COLORS, SIDES)])
        loss = loss_of(*clip(images, texts))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        clip.logit_scale.data.clamp_(0, math.log(100))
    return write_clip(clip.eval(), tmp_path_factory.mktemp("trained") / "nano.safetensors")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve new images of each class, one folder per class."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    for color, name in zip(COLORS, CLASSES, strict=True):
        (root / "val" / name).mkdir(parents=True)
        for side, index in product(SIDES, range(3)):
            draw_ball(color, side, generator).save(root / "val" / name / f"{side}_{index}.png")
    return root


def top1(weights: Path, images: Path, folder: Path) -> float:
    """Return the accuracy by the commands that a user runs."""
    checkpoint, result = folder / "balls.safetensors", folder / "result.json"
    assert main(["models", "import", str(weights), "--model", "clip_nano", "--output", str(checkpoint), "--classes", *CLASSES]) == 0
    assert main(["evaluate", str(checkpoint), "--data", str(images), "--split", "val", "--json", str(result)]) == 0
    accuracy: float = json.loads(result.read_text("utf-8"))["top1"]
    return accuracy


@pytest.mark.slow
def test_classes_are_recognized_by_texts_that_were_never_seen(
    trained: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nano_published", SimpleNamespace(nano=nano_publication))
    monkeypatch.setitem(PUBLISHED._table, "clip_nano", "nano_published:nano")
    assert top1(write_clip(nano_clip().eval(), tmp_path / "untrained.safetensors"), images, tmp_path) <= 0.5, "chance is 0.25"
    assert top1(trained, images, tmp_path) >= 0.9
