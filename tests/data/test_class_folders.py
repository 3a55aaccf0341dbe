"""Data for classifiers: class folders, and crops of the objects of a detection data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from detkit.data import DataConfig, DetectionData, ImageRecord, Records, SourceConfig, load_data, read_source
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.augment.config import JitterConfig
from detkit.data.augment.transforms import IoUCropConfig
from detkit.data.crops import CropConfig, classification_data, require_two_classes
from detkit.data.loader import DetectionDataset, LoaderConfig, build_loader
from detkit.data.record_image import read_record
from detkit.data.report import ReadIssue
from detkit.data.unlabeled import append_unlabeled
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets


def image(path: Path, size: tuple[int, int] = (20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    gradient = np.arange(size[0] * size[1] * 3, dtype=np.uint32).reshape(*size, 3) % 251
    Image.fromarray(gradient.astype(np.uint8)).save(path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("train/dog/a.png", "train/dog/below/b.png", "train/cat/c.png", "val/cat/d.png", "val/dog/e.png"):
        image(tmp_path / name)
    return tmp_path


def boxes_data(tmp_path: Path) -> DetectionData:
    image(tmp_path / "one.png", (100, 200))
    boxes = torch.tensor([[10.0, 20.0, 50.0, 40.0], [150.0, 60.0, 200.0, 100.0], [0.0, 0.0, 5.0, 50.0], [0.0, 0.0, 90.0, 90.0]])
    crowd = torch.tensor([False, False, False, True])
    targets = Targets.of(boxes, torch.tensor([0, 1, 1, 0]), is_crowd=crowd)
    return DetectionData.of("toy", ["round", "flat"], [ImageRecord(tmp_path / "one.png", 7, (100, 200), targets)])


def test_class_folders_and_their_splits(folders: Path) -> None:
    train, val = load_data(DataConfig(train=SourceConfig(path=str(folders))))
    assert train.class_names == val.class_names == ("cat", "dog")
    assert train.is_classification
    assert val.is_classification
    assert [Path(path).name for path in train.records.paths] == ["c.png", "a.png", "b.png"]
    assert train.records.labels.tolist() == [0, 1, 1]
    assert_close(train.records[1].targets.boxes, torch.tensor([[0.0, 0.0, 30.0, 20.0]]))
    assert classification_data(train, CropConfig()) is train


def test_without_splits_a_fraction_is_held_out(folders: Path) -> None:
    train, val = load_data(DataConfig(train=SourceConfig(path=str(folders / "train")), val_fraction=0.4))
    assert len(train) + len(val) == 3
    assert val.is_classification


def test_other_files_are_counted(folders: Path) -> None:
    (folders / "train/dog/notes.txt").write_text("no image")
    (folders / "train/dog/cut.png").write_bytes(b"\x89PNG")
    (folders / "train/dog/.hidden").write_text("")
    data = read_source(SourceConfig(path=str(folders), split="train"))
    assert len(data) == 3
    assert data.report.count(ReadIssue.NOT_AN_IMAGE) == 1
    assert data.report.count(ReadIssue.UNREADABLE_IMAGE) == 1
    assert "dog/notes.txt" in data.report.summary()[0] + data.report.summary()[1]


def test_labels_with_boxes_take_precedence(tmp_path: Path) -> None:
    from detkit.data.writers import write_labels

    data = boxes_data(tmp_path / "images" / "train")
    write_labels(data, tmp_path, "coco", "train")
    assert not read_source(SourceConfig(path=str(tmp_path), split="train")).is_classification


def test_crops_are_square_with_a_margin_and_inside_the_image(tmp_path: Path) -> None:
    data = classification_data(boxes_data(tmp_path), CropConfig(margin=0.1))
    assert data.is_classification
    assert data.class_names == ("round", "flat")
    first, second = data.records
    # 40 x 20 around (30, 30): 48 pixels each way, from 6 to 54.
    assert first.window == (6, 6, 54, 54)
    assert first.size == (48, 48)
    assert second.window == (145, 50, 200, 100)
    assert (first.image_id, second.image_id) == ("7 object 1", "7 object 2")
    whole = np.asarray(Image.open(tmp_path / "one.png"))
    np.testing.assert_array_equal(read_record(second), whole[50:100, 145:200])
    tight = classification_data(boxes_data(tmp_path), CropConfig(margin=0.0, square=False))
    assert tight.records[0].window == (10, 20, 50, 40)


def test_records_keep_their_windows(tmp_path: Path) -> None:
    data = classification_data(boxes_data(tmp_path), CropConfig())
    table, plain = data.records, boxes_data(tmp_path).records
    assert table.take([1])[0].window == table[1].window
    assert table[:1][0].window == table[0].window
    combined = Records.cat([plain, table])
    assert combined[0].window == (0, 0, 200, 100)
    assert combined[2].window == table[1].window
    assert Records.cat([plain, plain]).windows is None
    assert Records.of(list(table))[1].window == table[1].window
    assert append_unlabeled(data, [])[0].is_classification


def test_labels_are_kept_whatever_is_cropped(tmp_path: Path) -> None:
    data = classification_data(boxes_data(tmp_path), CropConfig())
    config = AugmentationConfig(crop=IoUCropConfig(min_scale=0.1), resize=JitterConfig(size=None, scale=(1.0, 5.0)))
    augmenter = Augmenter(config, PreprocessConfig(rule="letterbox", input_size=(32, 48)))
    dataset = DetectionDataset(data.records, augmenter, is_classification=True)
    for epoch in range(20):
        sample = dataset[epoch, 1]
        assert sample.targets.labels.tolist() == [1]
        assert sample.targets.boxes.tolist() == [[0, 0, 48, 32]]
    for cache in (0.0, 10.0):
        loader = build_loader(data, augmenter, LoaderConfig(batch_size=2, workers=0, cache_megabytes=cache), stop_step=2)
        assert all(len(targets) == 1 for batch in loader for targets in batch.targets)


def test_image_smaller_than_its_window(tmp_path: Path) -> None:
    data = classification_data(boxes_data(tmp_path), CropConfig())
    image(tmp_path / "one.png", (50, 60))
    with pytest.raises(ValueError, match=r"one.png: its labels are for at least 200 x 100 pixels, but the image has 60 x 50; was it"):
        read_record(data.records[1])


def test_class_without_images(folders: Path) -> None:
    (folders / "train" / "bird").mkdir()
    with pytest.raises(ValueError, match=r"train/bird: no readable image .* in this class folder; add images, or remove it"):
        read_source(SourceConfig(path=str(folders), split="train"))


def test_only_one_class(tmp_path: Path) -> None:
    image(tmp_path / "dog" / "a.png")
    with pytest.raises(ValueError, match=r": expected a folder for each of two or more classes, got one: dog; "):
        read_source(SourceConfig(path=str(tmp_path)))
    with pytest.raises(ValueError, match=r"expected images of two or more classes for a classifier, got images of b only"):
        require_two_classes(
            DetectionData.of("toy", ["a", "b"], [ImageRecord(tmp_path, 1, (9, 9), Targets.of(torch.zeros(1, 4), torch.tensor([1])))])
        )


def test_a_class_without_a_visible_name(folders: Path) -> None:
    image(folders / "train" / " " / "a.png")
    with pytest.raises(ValueError, match=r"the name of the folder ' ' is a class without a visible character; rename the folder"):
        read_source(SourceConfig(path=str(folders / "train")))


def test_splits_are_not_classes(tmp_path: Path) -> None:
    for name in ("train/a.png", "valid/b.png", "test/c.png"):
        image(tmp_path / name)
    with pytest.raises(ValueError, match="no labels in a known format; expected .*; the folder contains test, train, valid"):
        read_source(SourceConfig(path=str(tmp_path)))
    image(tmp_path / "dog" / "d.png")
    assert read_source(SourceConfig(path=str(tmp_path))).class_names == ("dog", "test", "train", "valid")


def test_separate_image_folder_is_rejected(folders: Path) -> None:
    with pytest.raises(ValueError, match=r"class folders contain their own images; remove images="):
        read_source(SourceConfig(path=str(folders), images=str(folders), split="train"))


def test_all_objects_too_small_to_crop(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^toy: all of its 4 objects are crowds, or have a side below 99.*; lower data.crops.min_side$"):
        classification_data(boxes_data(tmp_path), CropConfig(min_side=99))
