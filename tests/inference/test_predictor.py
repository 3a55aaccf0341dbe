from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bright import image, predictor, saved
from PIL import Image

from detkit.inference.device import pick_device, pick_dtype

RED = torch.tensor([[10.0, 20.0, 30.0, 40.0]])


def test_boxes_are_in_original_pixels() -> None:
    for short_side in (30, 60, 100, 333):
        detections = predictor(short_side)(image())
        torch.testing.assert_close(detections.boxes[:1], RED, atol=1.1, rtol=0)
    exact = predictor(60)(image())
    torch.testing.assert_close(exact.boxes, torch.tensor([[10.0, 20.0, 30.0, 40.0], [40.0, 5.0, 60.0, 15.0]]))
    assert exact.labels.tolist() == [0, 1]


def test_all_image_types_give_the_same(tmp_path: Path) -> None:
    pixels = image()
    tensor, bgr = torch.from_numpy(pixels).permute(2, 0, 1), np.ascontiguousarray(pixels[..., ::-1])
    path = saved(tmp_path, "a.png", pixels)
    run = predictor(60)
    expected = run(pixels).boxes
    for equivalent in (path, str(path), Image.fromarray(pixels), tensor, tensor.float() / 255, np.asfortranarray(pixels), bgr[..., ::-1]):
        torch.testing.assert_close(run(equivalent).boxes, expected)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    upright = image()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "rotated.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(path, exif=exif)
    run = predictor(60)
    torch.testing.assert_close(run(path).boxes, run(upright).boxes)
    with Image.open(path) as opened:
        torch.testing.assert_close(run(opened).boxes, run(upright).boxes)


def test_gray_and_transparent_images(tmp_path: Path) -> None:
    gray = np.zeros((60, 80), np.uint8)
    gray[20:40, 10:30] = 255
    run = predictor(60)
    assert run(gray).labels.tolist() == [0, 1]
    assert run(gray[:, :, None]).labels.tolist() == [0, 1]
    rgba = np.dstack([image(), np.full((60, 80), 255, np.uint8)])
    torch.testing.assert_close(run(Image.fromarray(rgba)).boxes, run(image()).boxes)


def test_lists_keep_their_order_and_are_batched() -> None:
    run = predictor(60, batch_size=2)
    images = [image(red=(1 + i, 20, 30, 40)) for i in range(5)]
    images.insert(2, image(height=90))
    detections = run(images)
    assert [float(rows.boxes[0, 0]) for rows in detections] == pytest.approx([1, 2, 10, 3, 4, 5], abs=0.8)
    assert run.detector.calls == [2, 2, 1, 1]
    assert run([]) == []
    assert len(run((images[0],))) == 1


def test_unnamed_classes_are_never_reported() -> None:
    assert predictor(60)(image()).labels.tolist() == [0, 1]


def test_classes_and_min_score() -> None:
    assert predictor(60, classes=["green"])(image()).labels.tolist() == [1]
    assert predictor(60, classes=[])(image()).labels.tolist() == []
    assert predictor(60, min_score=0.7)(image()).labels.tolist() == [0]
    with pytest.raises(ValueError, match="class 'gren' is not among the 2 classes of the model: did you mean 'green'"):
        predictor(60, classes=["gren"])


def test_blank_image_has_no_detections() -> None:
    detections = predictor()(np.zeros((50, 50, 3), np.uint8))
    assert len(detections) == 0
    assert detections.boxes.shape == (0, 4)


def test_image_and_training_mode_are_not_modified() -> None:
    run = predictor(60)
    pixels = image()
    run.detector.train()
    detections = run(pixels)
    assert run.detector.training
    assert not detections.boxes.requires_grad
    np.testing.assert_array_equal(pixels, image())


def test_boxes_are_clipped_to_the_image() -> None:
    run = predictor(60)
    run.detector.scale.data.fill_(50.0)
    boxes = run(image()).boxes
    assert boxes[:, 0::2].max() <= 80
    assert boxes[:, 1::2].max() <= 60


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "expected an array of uint8, got float32"),
        (np.zeros((4, 4, 3), np.uint16), "16 bits must be divided by 257"),
        (np.zeros((4, 4, 4), np.uint8), r"drop the fourth channel"),
        (np.zeros((3, 40, 40), np.uint8), r"looks like \(3, H, W\)"),
        (np.zeros((0, 4, 3), np.uint8), "expected a non-empty"),
        (torch.zeros(2, 3, 4, 4), r"give a list of images: list\(batch\)"),
        (torch.full((3, 4, 4), 200.0), r"expected floats in \[0, 1\], got 200 to 200"),
        (torch.full((3, 4, 4), 200), r"expected a tensor of uint8, or of floats in \[0, 1\], got torch.int64; give uint8"),
        (torch.full((3, 4, 4), float("nan")), r"expected floats in \[0, 1\], got nan"),
        (7, "expected a path, a PIL image, an array or a tensor, got int"),
    ],
)
def test_invalid_images(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictor()(value)  # type: ignore[call-overload]


def test_devices_and_precisions() -> None:
    cpu = pick_device("cpu")
    assert pick_dtype("fp32", cpu) == torch.float32
    assert pick_dtype("bf16", cpu) == torch.bfloat16
    with pytest.raises(ValueError, match="expected auto, cpu, cuda"):
        pick_device("gpu")
    with pytest.raises(ValueError, match="expected one of auto, fp32"):
        pick_dtype("int8", cpu)
    with pytest.raises(ValueError, match="use bf16 or fp32"):
        pick_dtype("fp16", cpu)
    if torch.cuda.device_count() < 8:
        with pytest.raises(ValueError, match="device 'cuda:7' is not available"):
            pick_device("cuda:7")


def test_long_list_is_prepared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = predictor(60, batch_size=2)
    window_sizes: list[int] = []
    detect = run.detect
    monkeypatch.setattr(run, "detect", lambda prepared: window_sizes.append(len(prepared)) or detect(prepared))
    images = [image(red=(3 * i, 20, 3 * i + 10, 40)) for i in range(19)]
    detections = run(images)
    assert window_sizes == [8, 8, 3]
    assert [round(float(rows.boxes[0, 0])) for rows in detections] == [3 * i for i in range(19)]
    assert run([]) == []


def test_a_batch_has_a_image() -> None:
    with pytest.raises(ValueError, match="batch_size: expected 1 or more, got 0"):
        predictor(60, batch_size=0)


def test_reported_classes() -> None:
    assert predictor(60).reported == ("red", "green")
    assert predictor(60, classes=["green"]).reported == ("green",)
