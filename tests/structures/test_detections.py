"""Detections as people use them: names, iteration, text, drawing, conversions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.structures import Detection, Detections, Masks, Targets
from detkit.structures.run_lengths import mask_array

NAMES = ("cat", "dog", None)


@pytest.fixture
def detections() -> Detections:
    boxes = torch.tensor([[1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 70.5, 80.25], [0.0, 0.0, 9.0, 9.0]])
    return Detections(boxes, torch.tensor([0.9, 0.5, 0.25]), torch.tensor([1, 0, 2]), class_names=NAMES)


def test_iteration_gives_plain_values(detections: Detections) -> None:
    rows = list(detections)
    assert rows[0] == Detection((1.0, 2.0, 30.0, 40.0), pytest.approx(0.9), 1, "dog")
    assert [row.class_name for row in rows] == ["dog", "cat", None]
    assert [type(value) for value in (*rows[1].box, rows[1].score, rows[1].label)] == [float] * 5 + [int]


def test_one_row_by_index(detections: Detections) -> None:
    assert detections[0] == next(iter(detections))
    assert detections[-1] == list(detections)[-1]
    for index in (np.int64(1), np.array(1), torch.tensor(1), torch.tensor(-2)):
        assert detections[index] == list(detections)[1]  # type: ignore[call-overload]
        assert detections.numpy()[index] == list(detections)[1]  # type: ignore[call-overload]
    with pytest.raises(IndexError):
        detections[3]


def test_several_rows_keep_the_names(detections: Detections) -> None:
    for rows in (detections[detections.scores > 0.4], detections[:2], detections[[0, 1]], detections[torch.tensor([0, 1])]):
        assert isinstance(rows, Detections)
        assert (len(rows), rows.class_names) == (2, NAMES)
    assert detections.to("cpu").class_names == Detections.cat([detections, detections]).class_names == NAMES
    assert detections.replace(class_names=None).class_names is None
    assert Detections.empty().class_names is None


def test_a_number_is_no_index_of_other_rows() -> None:
    targets = Targets.of(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([0]))
    with pytest.raises(
        TypeError, match=r"Targets\[0\]: expected a mask, an index tensor, a list of rows or a slice, got a number; use \[\[0\]\]"
    ):
        targets[0]
    for index in (torch.tensor(0), np.int64(0)):
        with pytest.raises(TypeError, match="got a number; use"):
            targets[index]  # type: ignore[index]


def test_repr(detections: Detections) -> None:
    assert repr(detections) == "Detections(3: 1 dog, 1 cat, 1 label 2; best score 0.900)"
    assert repr(detections[:0]) == "Detections(none)"
    many = Detections(torch.zeros(9, 4), torch.full((9,), 0.5), torch.arange(9))
    assert repr(many).endswith("and 3 more classes; best score 0.500)")


def test_draw_takes_paths_arrays_and_pil(detections: Detections, tmp_path: Path) -> None:
    pixels = np.full((90, 120, 3), 200, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    drawn = detections.draw(pixels)
    assert drawn.shape == pixels.shape
    assert not np.array_equal(drawn, pixels)
    assert np.array_equal(drawn, detections.draw(str(tmp_path / "photo.png")))
    assert np.array_equal(drawn, detections.draw(Image.fromarray(pixels)))
    assert np.array_equal(pixels, np.full((90, 120, 3), 200, np.uint8))  # the image itself is not modified
    assert np.array_equal(detections.draw(pixels, min_score=0.95), pixels)
    assert detections.draw(pixels, scale=2).shape == (180, 240, 3)
    with pytest.raises(FileNotFoundError):
        detections.draw("nowhere.jpg")


def test_to_dict_is_json(detections: Detections) -> None:
    rows = json.loads(json.dumps(detections.to_dict()))["detections"]
    assert rows[0] == {"class": "dog", "label": 1, "score": pytest.approx(0.9), "box": [1.0, 2.0, 30.0, 40.0]}
    assert rows[2]["class"] is None
    assert detections[:0].to_dict() == {"detections": []}


@pytest.fixture
def masked(detections: Detections) -> Detections:
    square = np.ones((10, 20), bool)
    return detections.replace(masks=Masks.of([(square, 5, 6), (square, 40, 50), (square[:0], 0, 0)]))


def test_masks_of_rows_and_of_dicts(masked: Detections) -> None:
    size = (90, 120)
    for rows in (masked, masked.numpy()):
        second = list(rows)[1].mask
        assert second is not None
        assert np.array_equal(second.array(0, size), masked.masks.array(1, size))  # type: ignore[union-attr]
        assert rows[1].mask.boxes.tolist() == [[40, 50, 60, 60]]  # type: ignore[union-attr]
        content = json.loads(json.dumps(rows.to_dict(size)))["detections"]
        assert mask_array(content[0]["mask"]).sum() == 200
        assert mask_array(content[2]["mask"]).sum() == 0
        assert "mask" not in rows.to_dict()["detections"][0]
    assert masked[:0].to_dict(size) == {"detections": []}
    assert masked[0] == masked.replace(masks=None)[0]


def test_masks_in_supervision(masked: Detections) -> None:
    pytest.importorskip("supervision")
    converted = masked.to_supervision((90, 120))
    assert converted.mask.shape == (3, 90, 120)
    assert np.array_equal(converted.mask, masked.masks.arrays((90, 120)))  # type: ignore[union-attr]
    assert len(masked[:0].to_supervision((90, 120))) == 0
    with pytest.raises(ValueError, match=r"expected the size of the image for the masks.*image\.shape\[:2\]"):
        masked.to_supervision()


def test_to_pandas(detections: Detections) -> None:
    pytest.importorskip("pandas")
    frame = detections.to_pandas()
    assert list(frame.columns) == ["x1", "y1", "x2", "y2", "score", "label", "class_name"]
    assert frame.shape == (3, 7)
    assert frame.loc[1, "y2"] == 80.25
    assert len(detections[:0].to_pandas()) == 0


@pytest.mark.oracle("supervision", "conversion of detections", tolerance="equal")
def test_to_supervision(detections: Detections) -> None:
    supervision = pytest.importorskip("supervision")
    converted = detections.to_supervision()
    assert isinstance(converted, supervision.Detections)
    assert np.array_equal(converted.xyxy, detections.boxes.numpy())
    assert np.array_equal(converted.confidence, detections.scores.numpy())
    assert converted.data["class_name"].tolist() == ["dog", "cat", "class 2"]
    assert len(detections[:0].to_supervision()) == 0


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_missing_library_is_one_sentence(package: str, detections: Detections, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    real = importlib.import_module

    def missing(name: str, *args: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=rf"to_{package}\(\) needs the package {package}, which is not installed: pip install {package}"):
        getattr(detections, f"to_{package}")()
