"""``detkit train --show-batches``: the batches of a training as images, without training."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.cli.main import main
from detkit.cli.subjects import load_target
from detkit.data import DataConfig
from detkit.data.synthetic import make_sample
from detkit.experiment import Experiment
from detkit.experiment.build import build_parts, read_images, run_data
from detkit.experiment.first_batches import first_batches
from detkit.experiment.smoke import smoke_config
from detkit.structures import Targets
from detkit.training.drawings import as_pixels, draw_inputs
from detkit.training.process.distributed import Processes

FAMILIES = ["embedded", "classify_bccd_crops"]
SLOW_FAMILIES = [
    "faster_rcnn_lite0_bccd",
    "fast_rcnn_lite0_bccd",
    "rcnn_lite0_bccd",
    "detr_lite0_bccd",
    "yolov1_lite0_bccd",
    "ssd_lite0_bccd",
]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return make_sample(tmp_path_factory.mktemp("data") / "sample", 8, "coco", short_side=64, val_images=2)


def small(name: str, sample: DataConfig, folder: Path) -> Experiment:
    """Return a config of the zoo on the sample, with small images and batches of three."""
    config = smoke_config(load_target(name), folder)
    return config.replace(data=sample, loader=config.loader.replace(batch_size=3, workers=0))


@pytest.mark.parametrize("name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_FAMILIES)])
def test_the_images_and_boxes_are_those_of_the_loader(name: str, sample: DataConfig, tmp_path: Path) -> None:
    config = small(name, sample, tmp_path)
    parts = build_parts(config, read_images(config, load_weights=False), load_weights=False)
    expected = list(islice(run_data(config, parts, Processes(), torch.device("cpu")).batches(0), 2))
    shown = list(first_batches(config, 2))
    assert len(shown) == 2
    for inputs, batch in zip(shown, expected, strict=True):
        assert inputs.batch.paths == batch.paths
        for image, size, pixels in zip(inputs.images, inputs.sizes, batch.images, strict=True):
            assert size == tuple(pixels.shape[-2:])
            assert (as_pixels(image)[: size[0], : size[1]] == pixels.permute(1, 2, 0).numpy()).all()
        for targets, rows in zip(inputs.targets, batch.targets, strict=True):
            torch.testing.assert_close(targets.boxes, rows.boxes)
            assert targets.labels.tolist() == rows.labels.tolist()
    assert len({tuple(image.shape) for image in shown[0].images}) == 1  # padded to one size


def test_workers_make_the_same_batches(sample: DataConfig, tmp_path: Path) -> None:
    config = small("embedded", sample, tmp_path)
    (alone,) = first_batches(config, 1)
    (with_workers,) = first_batches(config.replace(loader=config.loader.replace(workers=2)), 1)
    assert alone.batch.paths == with_workers.batch.paths
    for image, other in zip(alone.images, with_workers.images, strict=True):
        torch.testing.assert_close(image, other)


def test_global_random_state_stays(sample: DataConfig, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    list(first_batches(small("embedded", sample, tmp_path), 1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_padding_is_hatched_and_nothing_else_changes() -> None:
    image = torch.full((3, 600, 700), 0.5)
    (drawn,) = draw_inputs([image], [(500, 600)], [Targets.empty()], ("cat",))
    assert (drawn[:500, :600] == 128).all()
    lines = (drawn[500:] == 255).all(2)
    assert 0.05 < lines.mean() < 0.4
    assert ((drawn[:, 600:] == 255).all(2)).any()


def test_ignore_regions_are_dashed() -> None:
    boxes, image = torch.tensor([[50.0, 100.0, 450.0, 450.0]]), torch.zeros(3, 500, 500)
    labels, crowd = torch.tensor([0]), torch.tensor([True])
    plain, dashed = (draw_inputs([image], [(500, 500)], [Targets.of(boxes, labels, flag)], ("cat",))[0] for flag in (~crowd, crowd))
    edge: list[Any] = [drawn[200:430, 50].any(1) for drawn in (plain, dashed)]
    assert edge[0].all()
    assert 0.2 < np.mean(edge[1]) < 0.8


def test_the_command_writes_sheets_and_nothing_else(
    sample: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "small.json"
    config.write_text(small("embedded", sample, tmp_path).replace(output=None).to_json())
    assert main(["train", str(config), "--show-batches", "2", "loader.batch_size=3"]) == 0
    text = capsys.readouterr().out
    assert f"{Path('train_batches/batch_1.png')}: 3 images of 224 x 224 pixels, " in text
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file() and "data" not in path.parts)
    assert files == ["small.json", "train_batches/batch_1.png", "train_batches/batch_2.png"]
    assert Image.open(tmp_path / "train_batches" / "batch_1.png").format == "PNG"
    assert main(["train", str(config), "--show-batches", "1", "--output", "mine", "loader.batch_size=20"]) == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["batch_1_sheet_1.png", "batch_1_sheet_2.png"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [["--smoke"], ["--resume"]])
def test_it_is_about_a_new_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "embedded", "--show-batches", "1", *words]) == 2
    assert "leave out --smoke and --resume" in capsys.readouterr().err


def test_it_needs_data_or_a_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--show-batches", "1"]) == 2
    assert "expected labeled images or a config, got neither" in capsys.readouterr().err
