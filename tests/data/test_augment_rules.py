from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from detkit.config import Config, apply_overrides
from detkit.data.augment import PRESETS, AnnotatedImage, AugmentationConfig, Augmenter
from detkit.data.augment.annotated_image import crop_rows, drop_small
from detkit.data.augment.config import KeepSizeConfig
from detkit.data.augment.geometry import visible_patch
from detkit.data.augment.library import LibraryTransforms
from detkit.data.augment.transforms import IoUCropConfig, MosaicConfig
from detkit.data.augment.views import iou_crop
from detkit.ops.windows import Window
from detkit.structures import Proposals, Targets


class Settings(Config):
    augmentation: AugmentationConfig = AugmentationConfig()


def image(seed: int = 0) -> AnnotatedImage:
    image = np.random.default_rng(seed).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    return AnnotatedImage(image, Targets.of(torch.tensor([[5.0, 5.0, 40.0, 30.0], [30.0, 20.0, 75.0, 55.0]]), torch.tensor([0, 1])))


def test_cropping_drops_barely_visible_rows_but_keeps_visible_crowds() -> None:
    boxes = torch.tensor([[-90.0, 0, 10, 10], [-89.0, 0, 10, 10], [-99.0, 0, 1, 10], [-20.0, 0, -10, 10], [5.0, 5, 15, 15]])
    crowd = torch.tensor([False, False, True, True, False])
    rows = Targets.of(boxes, torch.arange(5), is_crowd=crowd).replace(areas=torch.tensor([500.0, 500, 500, 500, 50]))
    cropped = crop_rows(rows, Window(0, 0, 10, 20), 0.1005)
    assert cropped.labels.tolist() == [1, 2, 4]
    torch.testing.assert_close(cropped.boxes, torch.tensor([[0.0, 0, 10, 10], [0, 0, 1, 10], [5, 5, 10, 15]]))
    torch.testing.assert_close(cropped.areas, torch.tensor([500 * 10 / 99, 5.0, 25.0]))
    assert crop_rows(Proposals(boxes, torch.arange(5.0)), Window(0, 0, 10, 20), 0.1005).scores.tolist() == [1.0, 4.0]


def test_drop_small() -> None:
    rows = Targets.of(torch.tensor([[0.0, 0, 1, 9], [0.0, 0, 0.9, 9], [0.0, 0, 5, 0.5]]), torch.arange(3))
    assert drop_small(rows, 1.0).labels.tolist() == [0]


@pytest.mark.parametrize("trial", range(200))
def test_patches_are_inside_image_and_bounds_and_fill_them(trial: int) -> None:
    random_numbers = np.random.default_rng(trial)
    size = tuple(int(n) for n in random_numbers.integers(1, 60, 2))
    scale = tuple(random_numbers.uniform(0.02, 5.0, 2).tolist())
    corner = tuple(random_numbers.uniform(-80, 60, 2).tolist())
    x1, y1 = (int(n) for n in random_numbers.integers(0, 30, 2))
    bounds = (x1, y1, x1 + int(random_numbers.integers(1, 40)), y1 + int(random_numbers.integers(1, 40)))
    patch = visible_patch(size, scale, corner, bounds)
    ends = [(corner[i], corner[i] + size[i] * scale[i]) for i in (0, 1)]
    limits = [(bounds[1], bounds[3]), (bounds[0], bounds[2])]
    if patch is None:
        assert any(end <= low or start >= high for (start, end), (low, high) in zip(ends, limits, strict=True))
        return
    for axis, ((start, end), (low, high)) in enumerate(zip(ends, limits, strict=True)):
        first, last = patch.corner[axis], patch.corner[axis] + patch.size[axis]
        assert low <= first < last <= high
        assert 0 <= patch.window[1 - axis] < patch.window[3 - axis] <= size[axis]
        assert first == low if start <= low else abs(first - start) <= 1
        assert last == high if end >= high else abs(last - end) <= 1


def test_iou_crops_have_the_minimum_iou() -> None:
    boxes = np.array([[10.0, 10, 40, 40], [60.0, 20, 90, 50]])
    config, cropped = IoUCropConfig(min_ious=(0.3,)), 0
    for seed in range(40):
        view = np.array(iou_crop((0, 0, 100, 60), boxes, config, np.random.default_rng(seed)))
        intersection = np.clip(np.minimum(view[2:], boxes[:, 2:]) - np.maximum(view[:2], boxes[:, :2]), 0, None).prod(1)
        union = (view[2:] - view[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - intersection
        whole = view.tolist() == [0, 0, 100, 60]
        assert whole or (intersection / union).max() >= 0.3
        cropped += not whole
    assert cropped >= 30
    assert iou_crop((0, 0, 100, 60), boxes[:0], config, np.random.default_rng(0)) != (0, 0, 100, 60)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_reproducible_and_survive_json_and_pickling(preset: str) -> None:
    config = AugmentationConfig(preset=preset)
    assert AugmentationConfig.from_json(config.to_json()) == config
    assert Settings.from_json(Settings(augmentation=config).to_json()).augmentation == config
    assert apply_overrides(Settings(), [f"augmentation={preset}"]).augmentation == config
    first = Augmenter(config)
    second = pickle.loads(pickle.dumps(first))
    distinct = set()
    for seed in range(3):
        results = [
            augmenter(image(), np.random.default_rng(seed), lambda r: image(int(r.integers(9))), 0) for augmenter in (first, second, first)
        ]
        for result in results[1:]:
            assert (result.image == results[0].image).all()
            torch.testing.assert_close(result.targets.boxes, results[0].targets.boxes, atol=0, rtol=0)
        distinct.add(results[0].image.tobytes())
    assert len(distinct) == 1 if preset == "none" else len(distinct) > 1


def test_single_values_of_a_preset_can_be_overridden() -> None:
    config = apply_overrides(
        Settings(),
        [
            "augmentation=ssd",
            "augmentation.flip=0.25",
            "augmentation.crop.trials=3",
            "augmentation.zoom_out=none",
            "augmentation.mosaic=0.5",
        ],
    ).augmentation
    assert (config.preset, config.flip, config.crop.trials, config.zoom_out, config.mosaic.probability) == ("ssd", 0.25, 3, None, 0.5)
    assert config.crop.min_scale == AugmentationConfig(preset="ssd").crop.min_scale
    other = apply_overrides(Settings(augmentation=config), ["augmentation.preset=multiscale"]).augmentation
    assert other == AugmentationConfig(preset="multiscale")
    kept = apply_overrides(Settings(), ["augmentation.flip=0.25", "augmentation.preset=ssd"]).augmentation
    assert (kept.preset, kept.flip) == ("ssd", 0.25)
    sizes = apply_overrides(Settings(), ["augmentation.resize=short_side", "augmentation.resize.sides=64,96"]).augmentation.resize
    assert sizes.sides == (64, 96)


def test_multiscale_matches_detectron2_for_a_model_of_800() -> None:
    augmenter = Augmenter(AugmentationConfig(preset="multiscale"))
    sizes = {min(augmenter(image(), np.random.default_rng(seed)).size) for seed in range(60)}
    assert sizes == {640, 672, 704, 736, 768, 800}


def test_extra_transforms_split_at_commas_are_joined() -> None:
    text = "augmentation.extra=GaussianBlur(blur_limit=(3, 7), p=1.0),MedianBlur(p=0.5)"
    config = apply_overrides(Settings(), [text]).augmentation
    assert config.extra == ("GaussianBlur(blur_limit=(3, 7), p=1.0)", "MedianBlur(p=0.5)")
    blurred = Augmenter(config.replace(flip=0.0, resize=KeepSizeConfig()))(image(), np.random.default_rng(0))
    assert blurred.image.std() < image().image.std()


def test_flips_along_both_axes_are_independent() -> None:
    steps = LibraryTransforms([("HorizontalFlip", {"p": 0.5}), ("VerticalFlip", {"p": 0.5})])
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 255
    corners = [
        tuple(np.argwhere(steps(AnnotatedImage(image, Targets.empty()), np.random.default_rng(s)).image[:, :, 0])[0]) for s in range(80)
    ]
    assert all(10 <= corners.count(corner) <= 34 for corner in ((0, 0), (0, 1), (1, 0), (1, 1)))


def test_mosaics_end_at_the_configured_epoch() -> None:
    config = AugmentationConfig(mosaic=MosaicConfig(size=(32, 32)), mix_until_epoch=3, flip=0.0, resize=KeepSizeConfig())
    augmenter = Augmenter(config)
    sizes = [augmenter(image(), np.random.default_rng(0), lambda _: image(1), epoch).size for epoch in (0, 2, 3, 9)]
    assert sizes == [(32, 32), (32, 32), (60, 80), (60, 80)]
    assert augmenter(image(), np.random.default_rng(0)).size == (60, 80)
