"""Boxes are compared with painted pixels: each object is painted white by itself, augmented with the same seed, and measured."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from detkit.data.augment import AnnotatedImage, AugmentationConfig, Augmenter
from detkit.data.augment.config import FixedSizeConfig, JitterConfig, KeepSizeConfig, ModelSizeConfig, ShortSideConfig
from detkit.data.augment.transforms import IoUCropConfig, MixupConfig, MosaicConfig, PhotometricConfig, RotationConfig, ZoomOutConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Targets

KEEP = KeepSizeConfig()
MODEL = PreprocessConfig(short_side=120, long_side=200)
SMALL = (150, 150)
GEOMETRY = {
    "flip": AugmentationConfig(flip=1.0, resize=KEEP),
    "vertical flip": AugmentationConfig(flip=0.0, vertical_flip=1.0, resize=KEEP),
    "quarter turns": AugmentationConfig(quarter_turns=1.0, vertical_flip=0.5, resize=KEEP),
    "model size": AugmentationConfig(resize=ModelSizeConfig(factors=(0.7, 1.0, 1.5))),
    "short side": AugmentationConfig(resize=ShortSideConfig(sides=(64, 90, 200), max_side=260)),
    "jitter": AugmentationConfig(resize=JitterConfig(size=SMALL, scale=(0.3, 2.0))),
    "stretched": AugmentationConfig(resize=FixedSizeConfig(size=(100, 170), keep_shape=False)),
    "letterbox": AugmentationConfig(resize=FixedSizeConfig(size=(100, 170))),
    "zoom out": AugmentationConfig(zoom_out=ZoomOutConfig(probability=1.0, max_scale=2.0), resize=KEEP),
    "crop": AugmentationConfig(crop=IoUCropConfig(), resize=KEEP),
    "crop of zoomed": AugmentationConfig(crop=IoUCropConfig(), zoom_out=ZoomOutConfig(max_scale=2.0), resize=FixedSizeConfig(size=SMALL)),
    "mosaic": AugmentationConfig(mosaic=MosaicConfig(size=SMALL), resize=KEEP),
    "mixup": AugmentationConfig(mixup=MixupConfig(), resize=KEEP),
    "mosaic and mixup": AugmentationConfig(mosaic=MosaicConfig(size=(200, 160), fill=0), mixup=MixupConfig(), vertical_flip=0.5),
    "mixup after augmentation": AugmentationConfig(
        mosaic=MosaicConfig(probability=0.5, size=SMALL, fill=0),
        mixup=MixupConfig(after_augmentation=True, share_spread=0.05),
        vertical_flip=0.5,
        resize=FixedSizeConfig(size=SMALL, keep_shape=False),
    ),
    "everything": AugmentationConfig(
        mosaic=MosaicConfig(size=(200, 160), probability=0.5, fill=0),
        mixup=MixupConfig(probability=0.5),
        quarter_turns=0.5,
        zoom_out=ZoomOutConfig(max_scale=1.5, fill=(0, 0, 0)),
        crop=IoUCropConfig(probability=0.5),
        resize=JitterConfig(size=(180, 180), scale=(0.8, 1.6), fill=0),
    ),
}

WHOLE = {"flip", "vertical flip", "quarter turns", "model size", "short side", "stretched", "letterbox", "zoom out"}


def rows_of(number: int) -> tuple[tuple[int, int], Targets]:
    """Return size and targets of an image; the label ``4 * image + object`` identifies an object and determines its flags."""
    random_numbers = np.random.default_rng(number)
    height, width = int(random_numbers.integers(90, 150)), int(random_numbers.integers(90, 150))
    corners = random_numbers.integers(0, (width - 45, height - 45), (4, 2))
    boxes = torch.from_numpy(np.concatenate([corners, corners + random_numbers.integers(16, 45, (4, 2))], axis=1)).float()
    labels = torch.arange(4) + 4 * number
    return (height, width), Targets.of(boxes, labels, is_crowd=labels % 4 == 1, is_difficult=labels % 4 == 2)


def painted(number: int, label: int, ellipse: bool = False) -> AnnotatedImage:
    """Return a black image with one white object, if it is in this image; proposals are the boxes, with the labels as scores."""
    size, targets = rows_of(number)
    image = np.zeros((*size, 3), np.uint8)
    for box in targets.boxes[targets.labels == label].int().tolist():
        if ellipse:
            center, axes = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (box[2] - box[0], box[3] - box[1])
            cv2.ellipse(image, (center, axes, 0.0), (255, 255, 255), -1)
        else:
            image[box[1] : box[3], box[0] : box[2]] = 255
    return AnnotatedImage(image, targets, Proposals(targets.boxes, targets.labels.float()))


def augmented(config: AugmentationConfig, seed: int, label: int, ellipse: bool = False) -> AnnotatedImage:
    numbers = iter(range(1, 10))
    return Augmenter(config, MODEL)(
        painted(0, label, ellipse), np.random.default_rng(seed), lambda _: painted(next(numbers), label, ellipse)
    )


def measured(image: np.ndarray, threshold: int) -> tuple[list[int], int]:
    """Return the bounds ``x1 y1 x2 y2`` and the area of the painted pixels; zeros if there are none."""
    mask = image[:, :, 0] > threshold
    if not mask.any():
        return [0, 0, 0, 0], 0
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1], int(mask.sum())


@pytest.mark.parametrize("name", GEOMETRY)
def test_boxes_flags_and_proposals_follow_the_pixels(name: str) -> None:
    config, count = GEOMETRY[name], 0
    threshold = 92 if config.mixup is not None else 185  # fill is 114 to 124; after mixup, paint is at least 127 and fill 57
    for seed in range(5):
        labels = augmented(config, seed, -1).targets.labels.tolist()
        assert len(set(labels)) == len(labels)
        if name in WHOLE:
            assert labels == [0, 1, 2, 3]
        for label in labels:
            result = augmented(config, seed, label)
            row = labels.index(label)
            paint, area = measured(result.image, threshold)
            torch.testing.assert_close(result.targets.boxes[row], torch.tensor(paint).float(), atol=1.6, rtol=0)
            assert float(result.targets.areas[row]) == pytest.approx(area, abs=2 * (paint[2] + paint[3] - paint[0] - paint[1]))
            assert bool(result.targets.is_crowd[row]) == (label % 4 == 1)
            assert bool(result.targets.is_difficult[row]) == (label % 4 == 2)
            same = result.proposals.boxes[result.proposals.scores == label]
            if label % 4 != 1:  # crowds are kept where barely visible proposals are dropped
                torch.testing.assert_close(same, result.targets.boxes[row : row + 1])
            count += 1
    assert count >= 8


@pytest.mark.parametrize(
    "rotation",
    [
        {"rotation": RotationConfig(probability=1.0, degrees=30.0, shear=5.0)},
        {"mosaic": MosaicConfig(size=(300, 300), scale=(0.4, 0.5), fill=0, max_shift=0.1, degrees=30.0), "flip": 0.0},
    ],
    ids=["image", "mosaic"],
)
def test_boxes_bound_rotated_ellipses(rotation: dict[str, Any]) -> None:
    config = AugmentationConfig(**rotation, resize=KEEP, min_visibility=0.9)
    count = 0
    for seed in range(6):
        whole = augmented(config, seed, -1).targets
        for row, label in enumerate(whole.labels.tolist()):
            result = augmented(config, seed, label, ellipse=True)
            paint, _ = measured(result.image, 185)
            torch.testing.assert_close(result.targets.boxes[row], torch.tensor(paint).float(), atol=2.5, rtol=0)
            count += 1
    assert count >= 8


def test_extra_geometric_transforms_move_boxes() -> None:
    config = AugmentationConfig(extra=("Transpose(p=1)", "Pad(padding=(7, 3, 2, 5), p=1)"), flip=0.0, resize=KEEP)
    for label in range(4):
        result = augmented(config, 0, label)
        torch.testing.assert_close(result.targets.boxes[label], torch.tensor(measured(result.image, 185)[0]).float(), atol=1e-3, rtol=0)


def test_boxes_cropped_by_one_transform_do_not_grow_back_when_the_next_pads() -> None:
    extra = ("RandomCrop(height=60, width=60, p=1)", "PadIfNeeded(min_height=200, min_width=200, p=1)")
    config, count = AugmentationConfig(extra=extra, resize=KEEP), 0
    for seed in range(6):
        for row, label in enumerate(augmented(config, seed, -1).targets.labels.tolist()):
            result = augmented(config, seed, label)
            torch.testing.assert_close(result.targets.boxes[row], torch.tensor(measured(result.image, 185)[0]).float(), atol=1e-3, rtol=0)
            count += 1
    assert count >= 6


@pytest.mark.parametrize("name", GEOMETRY)
def test_inputs_are_not_modified_and_empty_images_work(name: str) -> None:
    def image(_: object = None) -> AnnotatedImage:
        return AnnotatedImage(np.full((80, 100, 3), 50, np.uint8), Targets.empty(), Proposals.empty())

    empty = image()
    for seed in range(3):
        result = Augmenter(GEOMETRY[name], MODEL)(empty, np.random.default_rng(seed), image)
        assert len(result.targets) == 0
        assert len(result.proposals) == 0
        assert (empty.image == 50).all()
    full = painted(0, 2)
    before = full.image.copy(), full.targets.boxes.clone()
    Augmenter(GEOMETRY[name], MODEL)(full, np.random.default_rng(0), lambda _: painted(1, 2))
    assert (full.image == before[0]).all()
    torch.testing.assert_close(full.targets.boxes, before[1])


@pytest.mark.parametrize(
    ("preset", "rule", "size"), [("ssd", "fixed", (60, 80)), ("yolox", "letterbox", (96, 64)), ("none", "letterbox", (64, 64))]
)
def test_fixed_input_size(preset: str, rule: str, size: tuple[int, int]) -> None:
    model = PreprocessConfig(rule=rule, input_size=size)
    for seed in range(6):
        augmenter = Augmenter(AugmentationConfig(preset=preset), model)
        assert augmenter(painted(0, 1), np.random.default_rng(seed), lambda _: painted(1, 1)).size == size


def test_sizes_match_the_models_preprocessing() -> None:
    image = painted(3, 12)
    for model in (MODEL, PreprocessConfig(), PreprocessConfig(rule="letterbox", input_size=(96, 120), pad_side="both")):
        result = Augmenter(AugmentationConfig(preset="none"), model)(image, np.random.default_rng(0))
        placement = model.placement(image.size)
        assert result.size == placement.canvas
        torch.testing.assert_close(result.targets.boxes, placement.apply(image.targets).boxes)


def test_pixels_match_the_models_resizing() -> None:
    from detkit.preprocess import preprocess

    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8), (9, 9), 3)
    result = Augmenter(AugmentationConfig(preset="none"), MODEL)(AnnotatedImage(image, Targets.empty()), np.random.default_rng(0))
    expected = preprocess(image, MODEL).image.permute(1, 2, 0).numpy() * 255
    assert np.abs(result.image - expected).max() <= 1.0


def test_color_changes_do_not_affect_boxes_or_fill() -> None:
    config = AugmentationConfig(
        flip=0.0,
        photometric=PhotometricConfig(probability=1.0, brightness=0.5),
        extra=("GaussianBlur(p=1)",),
        resize=FixedSizeConfig(size=(200, 100)),
    )
    image = painted(0, 3)
    result = Augmenter(config, MODEL)(image, np.random.default_rng(1))
    plain = Augmenter(config.replace(photometric=None, extra=()), MODEL)(image, np.random.default_rng(1))
    torch.testing.assert_close(result.targets.boxes, plain.targets.boxes)
    assert (result.image != plain.image).any()
    filled = round(image.size[0] * 100 / image.size[1])
    assert (result.image[filled:] == 114).all()


@pytest.mark.parametrize("calls", ["Affine(rotate=(40, 40), p=1.0)", "Affine(translate_percent=(0.45, 0.45), p=1.0)"])
def test_a_rotation_clips_crowds_and_does_not_drop_them(calls: str) -> None:
    """What is visible of a region to ignore stays one, at its pixels; of an object as little is left and dropped."""
    config = AugmentationConfig(flip=0.0, extra=(calls,), min_visibility=0.9, min_side=50.0, resize=KeepSizeConfig())
    boxes = torch.tensor([[2.0, 2.0, 98.0, 98.0], [1.0, 1.0, 99.0, 99.0], [2.0, 2.0, 98.0, 98.0]])
    targets = Targets.of(boxes, torch.tensor([0, 1, 2]), is_crowd=torch.tensor([False, True, False]))
    pixels = np.full((100, 100, 3), 255, np.uint8)
    crowd = Augmenter(config)(AnnotatedImage(pixels, targets), np.random.default_rng(0)).targets
    assert crowd.labels.tolist() == [1]
    image = np.zeros((100, 100, 3), np.uint8)
    image[1:99, 1:99] = 255
    result = Augmenter(config)(AnnotatedImage(image, targets), np.random.default_rng(0))
    paint, _ = measured(result.image, 128)
    torch.testing.assert_close(result.targets.boxes[0], torch.tensor(paint).float(), atol=2, rtol=0)
