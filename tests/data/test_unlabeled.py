from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.data import DetectionData, ImageRecord, SourceConfig
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.config import KeepSizeConfig
from detkit.data.augment.transforms import MixupConfig, MosaicConfig
from detkit.data.loader import LoaderConfig, SampleBatch, batch_plan, build_loader
from detkit.data.unlabeled import append_unlabeled, load_unlabeled
from detkit.data.writers import image_folder, write_labels
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets

LETTERBOX = PreprocessConfig(rule="letterbox", input_size=(64, 64))


def write_images(folder: Path, names: list[str], gray: int = 90) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 60, 3), gray, np.uint8)).save(path)
    return folder


def write_labeled(folder: Path, count: int = 3) -> DetectionData:
    images = write_images(image_folder(folder, "coco", "train"), [f"{number}.png" for number in range(count)], gray=200)
    paths = sorted(images.iterdir())
    rows = Targets.of(torch.tensor([[5.0, 5.0, 30.0, 30.0]]), torch.tensor([0]))
    data = DetectionData.of("labeled", ["cat"], [ImageRecord(path, index + 1, (40, 60), rows) for index, path in enumerate(paths)])
    write_labels(data, folder, "coco", "train")
    return data


def test_folders_are_searched_recursively(tmp_path: Path) -> None:
    write_images(tmp_path, ["b.png", "a/c.JPG", "a/d.png"])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.jpg").write_bytes(b"no image either")
    (data,) = load_unlabeled([SourceConfig(path=str(tmp_path))])
    assert data.records.image_ids == ("a/c.JPG", "a/d.png", "b.png")
    assert data.records[0].size == (40, 60)
    assert len(data.records.labels) == 0
    assert any("cannot be read" in line for line in data.report.summary())


def test_labels_are_ignored(tmp_path: Path) -> None:
    write_labeled(tmp_path)
    (data,) = load_unlabeled([SourceConfig(path=str(tmp_path))])
    assert len(data) == 3
    assert len(data.records.labels) == 0
    assert data.class_names == ()


def test_validation_images_are_skipped(tmp_path: Path) -> None:
    labeled = write_labeled(tmp_path)
    folder = SourceConfig(path=str(Path(labeled.records.paths[0]).parent))
    (data,) = load_unlabeled([folder], [labeled.take([1])])
    assert data.records.image_ids == ("0.png", "2.png")
    assert data.name.endswith("without 1 training or validation images")
    with pytest.raises(ValueError, match="all 3 are training or validation images already; remove it"):
        load_unlabeled([folder], [labeled])


def test_images_in_two_folders_are_used_once(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.png", "a/b/2.png"])
    loaded = load_unlabeled([SourceConfig(path=str(tmp_path / "a" / "b")), SourceConfig(path=str(tmp_path / "a"))])
    assert [data.records.image_ids for data in loaded] == [("2.png",), ("1.png",)]


def batches(tmp_path: Path, augmentation: AugmentationConfig, count: int = 6, times: float = 1.0) -> list[SampleBatch]:
    labeled = write_labeled(tmp_path / "labeled")
    unlabeled = load_unlabeled([SourceConfig(path=str(write_images(tmp_path / "more", [f"{n}.png" for n in range(5)])))])
    data, flags = append_unlabeled(labeled, unlabeled)
    assert flags.tolist() == [True] * 3 + [False] * 5
    config = LoaderConfig(batch_size=4, workers=0)
    augmenter = Augmenter(augmentation, LETTERBOX)
    return list(build_loader(data, augmenter, config, stop_step=count, is_labeled=flags, labeled_repeats=times))


def test_labeled_and_unlabeled_images_share_one_stream(tmp_path: Path) -> None:
    for batch in batches(tmp_path, AugmentationConfig(preset="none", resize=KeepSizeConfig())):
        for path, labeled, targets in zip(batch.paths, batch.is_labeled, batch.targets, strict=True):
            assert labeled == ("/more/" not in path)
            assert len(targets) == labeled


def test_labeled_images_are_mixed_only_with_labeled_ones(tmp_path: Path) -> None:
    mixes = AugmentationConfig(preset="none", mosaic=MosaicConfig(), mixup=MixupConfig())
    mixed = batches(tmp_path, mixes)
    for batch in mixed:
        for image, path, labeled in zip(batch.images, batch.paths, batch.is_labeled, strict=True):
            assert labeled == ("/more/" not in path)
            if labeled:  # gray 200, and 114 for the fill; unlabeled images have 90
                assert int(image.min()) >= 113
    assert {labeled for batch in mixed for labeled in batch.is_labeled} == {True, False}


def test_mixes_with_unlabeled_images_are_unlabeled(tmp_path: Path) -> None:
    labeled = write_labeled(tmp_path / "labeled")
    image = np.zeros((40, 60, 3), np.uint8)
    labeled_image, other = AnnotatedImage(image, labeled.records[0].targets), AnnotatedImage(image, Targets.empty(), is_labeled=False)
    for mixes in (AugmentationConfig(preset="none", mosaic=MosaicConfig()), AugmentationConfig(preset="none", mixup=MixupConfig())):
        augmenter = Augmenter(mixes, LETTERBOX)
        assert augmenter(labeled_image, np.random.default_rng(0), lambda random: labeled_image).is_labeled
        flags = [augmenter(labeled_image, np.random.default_rng(seed), lambda random: other).is_labeled for seed in range(4)]
        assert flags == [False] * 4
        assert not augmenter(other, np.random.default_rng(0)).is_labeled


def test_labeled_images_can_be_repeated(tmp_path: Path) -> None:
    labeled = write_labeled(tmp_path / "labeled")
    unlabeled = load_unlabeled([SourceConfig(path=str(write_images(tmp_path / "more", ["1.png", "2.png"])))])
    data, flags = append_unlabeled(labeled, unlabeled)
    plan = batch_plan(data, LoaderConfig(batch_size=11), 0, flags, 3.0)
    assert plan.steps_per_epoch == 1
    assert sorted(key.record for key in plan.batch(0)) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4]
    plan = batch_plan(data, LoaderConfig(batch_size=5, skip_empty=True), 0, flags)
    assert sorted(key.record for key in plan.batch(0)) == [0, 1, 2, 3, 4]  # images without labels are not empty
