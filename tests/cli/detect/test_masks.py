"""``detkit detect`` with a detector that has masks: every output has them, and what is written is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright import MaskedDetector, image, predictor, saved
from PIL import Image, ImageDraw
from torch import Tensor
from videos import film

import detkit.inference
from detkit.cli.main import main
from detkit.data import SourceConfig, read_source
from detkit.data.mask_pixels import mask_pixels
from detkit.data.media.video import Video
from detkit.drawing.palette import color_of
from detkit.evaluation import evaluate_coco_files
from detkit.structures import Detections, Segmentations
from detkit.structures.run_lengths import mask_array

SIZE = (120, 160)


def shapes() -> np.ndarray:
    """A red ring with a part apart from it, and a green ellipse."""
    drawn = Image.new("RGB", SIZE[::-1])
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((10, 10, 70, 70), fill=(255, 0, 0))
    draw.ellipse((25, 25, 50, 50), fill=(0, 0, 0))
    draw.rectangle((75, 60, 85, 80), fill=(255, 0, 0))
    draw.ellipse((90, 20, 150, 100), fill=(0, 255, 0))
    return np.array(drawn)


TRUE = [shapes()[:, :, 0] > 0, shapes()[:, :, 1] > 0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image of two objects and one without; ``--model bright`` is a detector with masks."""

    def load(*_: Any, **options: Any) -> Any:
        made = predictor(SIZE[0], **{**options, "svd": None})
        return type(made)(MaskedDetector(), made.preprocess, made.class_names, "cpu", "fp32", reference=True, **{**options, "svd": None})

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in", "1.png", shapes())
    saved(tmp_path / "in", "2.png", np.zeros((50, 70, 3), np.uint8))
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "--model", "bright", *words])


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_json_has_run_lengths_or_polygons_or_none(folder: Path) -> None:
    found = {}
    for form in ("rle", "polygons", "none"):
        assert detect("in", "--no-draw", "--mask-format", form, "--json", f"{form}.json", "--csv", f"{form}.csv") == 0
        images = json.loads(Path(f"{form}.json").read_text())["images"]
        assert images[1]["detections"] == []
        found[form] = images[0]["detections"]
    for row, true in zip(found["rle"], TRUE, strict=True):
        assert iou(mask_array(row["mask"]), true) > 0.97
    for row, true in zip(found["polygons"], TRUE, strict=True):
        assert iou(filled(row["polygons"]), true) > 0.94
    assert [len(row["polygons"]) for row in found["polygons"]] == [2, 1]
    assert found["none"][0].keys() == {"class", "label", "score", "box"}
    assert Path("rle.csv").read_text() == Path("none.csv").read_text()


def filled(polygons: list[list[float]]) -> np.ndarray:
    return mask_pixels(Segmentations.of_values([polygons]), 1, SIZE).array(0, SIZE)


def test_coco_results_are_evaluated(folder: Path) -> None:
    assert detect("in", "--no-draw", "--coco", "results.json") == 0
    rows = json.loads(Path("results.json").read_text())
    annotations = [
        {**{key: row[key] for key in ("image_id", "category_id", "bbox", "segmentation")}, "id": number, "iscrowd": 0}
        for number, row in enumerate(rows, 1)
    ]
    images = [{"id": 1, "width": SIZE[1], "height": SIZE[0]}, {"id": 2, "width": 70, "height": 50}]
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]}
    Path("truth.json").write_text(json.dumps(truth))
    numbers = evaluate_coco_files("truth.json", "results.json")
    assert numbers.segm is not None
    assert (numbers.ap, numbers.segm.ap) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo", "labelme", "cvat", "label_studio"])
def test_labels_to_correct_have_outlines_that_are_read_back(folder: Path, kind: str) -> None:
    assert detect("in", "--no-draw", "--labels", "made", "--labels-format", kind) == 0
    data = read_source(SourceConfig(path="made", split="train"))
    records = {Path(record.path).name: record for record in data.records}
    assert len(records["2.png"].targets) == 0
    targets = records["1.png"].targets
    masks = mask_pixels(targets.segmentations, len(targets), SIZE)
    order = [data.class_names[label] for label in targets.labels.tolist()]
    for name, true in zip(("red", "green"), TRUE, strict=True):
        assert iou(masks.array(order.index(name), SIZE), true) > 0.94
    if kind == "coco":
        assert sorted(targets.areas.tolist()) == pytest.approx(sorted(float(true.sum()) for true in TRUE), rel=0.02)


def test_formats_without_outlines_get_boxes(folder: Path) -> None:
    assert detect("in", "--no-draw", "--labels", "made", "--labels-format", "csv") == 0
    (record,) = [record for record in read_source(SourceConfig(path="made", split="train")).records if record.path.stem == "1"]
    assert len(record.targets) == 2
    assert record.targets.segmentations is None


def test_crops_are_transparent_outside_the_mask(folder: Path) -> None:
    assert detect("in", "--no-draw", "--crops", "crops", "--crop-margin", "0.1") == 0
    names = sorted(path.relative_to("crops").as_posix() for path in Path("crops").rglob("*.*"))
    assert names == ["green/1_2.png", "red/1_1.png"]
    with Image.open("crops/red/1_1.png") as opened:
        crop = np.array(opened)
    assert crop.shape[2] == 4
    assert iou(crop[:, :, 3] > 0, crop[:, :, 0] > 128) > 0.97


def test_drawn_and_blurred(folder: Path) -> None:
    assert detect("in/1.png", "--output", "drawn") == 0
    assert detect("in/1.png", "--output", "blurred", "--blur", "red") == 0
    drawn, blurred = (np.array(Image.open(f"{name}/1.jpg").resize(SIZE[::-1])).astype(int) for name in ("drawn", "blurred"))
    assert (
        abs(drawn[60, 120] - (0.6 * np.array([0, 255, 0]) + 0.4 * np.array(color_of(1)))).max() < 12
    )  # green under the translucent color of its class
    assert abs(drawn[37, 37]).max() < 30  # the hole
    assert abs(blurred[60, 120] - drawn[60, 120]).max() < 12
    assert blurred[40, 15, 0] < 250  # the ring is mixed with what is around it


def test_videos(folder: Path) -> None:
    film(folder / "clip.mp4", frames=3)
    assert detect("clip.mp4", "--output", "drawn", "--json", "found.json") == 0
    (video,) = json.loads(Path("found.json").read_text())["videos"]
    assert len(video["frames"]) == 3
    for frame in video["frames"]:
        for row in frame["detections"]:
            assert row["mask"]["size"] == [video["height"], video["width"]]
            assert mask_array(row["mask"]).any()
    assert Video(Path("drawn/clip.mp4")).length == 3


def test_many_objects_and_an_empty_mask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(self: MaskedDetector, image: Tensor) -> Detections:
        corners = torch.randint(0, 100, (500, 2), generator=torch.Generator().manual_seed(0)).float()
        boxes, grids = torch.cat([corners, corners + 3], 1), torch.ones(500, 4, 4)
        grids[::4] = 0
        return Detections(boxes, torch.linspace(0.99, 0.6, 500), torch.zeros(500, dtype=torch.int64), mask_probabilities=grids)

    monkeypatch.setattr(MaskedDetector, "_one", many)
    assert detect("in/1.png", "--json", "found.json", "--mask-format", "polygons", "--labels", "made", "--crops", "crops") == 0
    rows = json.loads(Path("found.json").read_text())["images"][0]["detections"]
    assert [len(row["polygons"]) for row in rows[:4]] == [0, 1, 1, 1]
    assert len(Path("made/labels/train/1.txt").read_text().splitlines()) == 500


def test_the_image_itself_is_unchanged_without_detections(folder: Path) -> None:
    saved(folder / "in", "dark.png", image() // 4)
    assert detect("in/dark.png", "--output", "drawn", "--blur", "red", "--labels", "made") == 0
    assert Path("made/labels/train/dark.txt").read_text() == ""
