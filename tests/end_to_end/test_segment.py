"""Semantic segmentation as a user runs it: training on label maps, evaluation, label maps of images, and these as labels again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detkit.cli.main import main
from detkit.data import DataConfig, SourceConfig, make_sample, read_source
from detkit.data.augment import AugmentationConfig
from detkit.data.loader import LoaderConfig
from detkit.experiment import Experiment, train
from detkit.heads.semantic.losses import PixelLossConfig
from detkit.models.semantic.contracting_path import PaperUNetConfig
from detkit.models.semantic.unet import UNetConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import TrainingConfig
from detkit.training.optim.optimizer import AdamWConfig

CLASSES = ("red", "blue")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create images of red and blue rectangles on noise, with label maps; the last image of each part has none."""
    folder, random = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for kind in ("images", "masks"):
            (folder / kind / part).mkdir(parents=True)
        for number in range(count):
            pixels, labels = random.integers(0, 120, (56, 72, 3)).astype(np.uint8), np.zeros((56, 72), np.uint8)
            for value in (1, 2) if number < count - 1 else ():
                y, x, height, width = (int(random.integers(low, high)) for low, high in ((2, 30), (2, 40), (12, 24), (12, 30)))
                labels[y : y + height, x : x + width] = value
                pixels[y : y + height, x : x + width] = (230, 20, 20) if value == 1 else (20, 20, 230)
            labels[0] = 255
            Image.fromarray(pixels).save(folder / "images" / part / f"{number}.png")
            Image.fromarray(labels).save(folder / "masks" / part / f"{number}.png")
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = UNetConfig(
        preprocess=PreprocessConfig(rule="letterbox", input_size=(64, 64)),
        paper=PaperUNetConfig(channels=(8, 16, 32), padding="same", norm="batch", dropout=0.0),
        losses=PixelLossConfig(dice_weight=1.0),
    )
    config = Experiment(
        name="shapes",
        model=model,
        data=DataConfig(train=SourceConfig(path=str(shapes))),
        augmentation=AugmentationConfig(preset="flip"),
        loader=LoaderConfig(batch_size=4, workers=0, cache_megabytes=10),
        optimizer=AdamWConfig(lr=5e-3, lr_scaling="none"),
        training=TrainingConfig(precision="fp32", steps=120, evaluations=1, best_metric="miou"),
        output=str(tmp_path_factory.mktemp("runs") / "shapes"),
    )
    result = train(config, device="cpu", progress=False)
    assert result.numbers["miou"] > 0.9  # 0.89 after half of the steps
    return result.folder


@pytest.mark.slow
def test_label_maps_are_learned_evaluated_and_written(run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = tmp_path / "numbers.json"
    assert main(["evaluate", str(run), "--device", "cpu", "--json", str(numbers)]) == 0
    out = capsys.readouterr().out
    assert "mIoU" in out
    assert "background" in out
    content = json.loads(numbers.read_text())
    assert content["miou"] > 0.9
    assert set(content["by_class"]) == {*CLASSES, "background"}
    assert content["ignored_pixels"] == 4 * 72
    assert content["intervals"]["miou"][0] < content["miou"] <= content["intervals"]["miou"][1]
    assert main(["evaluate", str(run), "--device", "cpu", "--against", str(run), "--json", str(numbers)]) == 0
    assert json.loads(numbers.read_text())["against"]["numbers"][0]["difference"] == 0
    assert main(["evaluate", str(run), "--device", "cpu", "--tiles", "48", "--flip", "--json", str(numbers)]) == 0
    assert json.loads(numbers.read_text())["miou"] > 0.8
    maps, images = tmp_path / "label_maps", shapes / "images" / "val"
    tiles = ["--tiles", "100", "--tiles-only"]
    files = [*tiles, "--label-maps", str(maps), "--json", str(tmp_path / "found.json"), "--output", str(tmp_path / "drawn")]
    assert main(["detect", str(images), "--model", str(run), "--device", "cpu", *files]) == 0
    (tmp_path / "images").symlink_to(images)
    written = read_source(SourceConfig(path=str(maps)))
    assert (len(written), written.class_names) == (4, CLASSES)
    truth = np.asarray(Image.open(shapes / "masks" / "val" / "0.png"))
    with Image.open(maps / "0.png") as image:
        assert (np.asarray(image) == truth)[truth != 255].mean() > 0.97
    found = json.loads((tmp_path / "found.json").read_text())
    assert {row["class"] for row in found["images"][0]["detections"]} == set(CLASSES)


@pytest.mark.slow
def test_what_needs_objects_is_refused(run: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--details"]) == 2
    assert "--details concerns objects" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--tiles", "48", "--merge", "fusion"]) == 2
    assert "--merge is about boxes, and the model predicts the class of each pixel" in capsys.readouterr().err
    make_sample(tmp_path / "boxes", 2, short_side=64)
    assert main(["evaluate", str(run), "--data", str(tmp_path / "boxes"), "--device", "cpu"]) == 2
    assert "expected masks, which semantic segmentation needs" in capsys.readouterr().err
