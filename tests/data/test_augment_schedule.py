from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from detkit.config import ConfigError, apply_overrides
from detkit.data.augment import PRESETS, AnnotatedImage, AugmentationConfig, Augmenter
from detkit.data.augment.config import FixedSizeConfig, KeepSizeConfig
from detkit.data.augment.schedule import changes_within, is_within
from detkit.data.augment.transforms import IoUCropConfig, MixupConfig, MosaicConfig, PhotometricConfig, ZoomOutConfig
from detkit.structures import Targets

KEEP = KeepSizeConfig()


def plain(value: int, size: tuple[int, int] = (40, 60), label: int = 0) -> AnnotatedImage:
    """Return an image of one gray value with one object."""
    return AnnotatedImage(np.full((*size, 3), value, np.uint8), Targets.of(torch.tensor([[10.0, 10, 30, 20]]), torch.tensor([label])))


def test_spans_have_their_start_and_not_their_end_except_that_of_the_training() -> None:
    assert [is_within(progress, (0.25, 0.75)) for progress in (0.0, 0.2499, 0.25, 0.7499, 0.75, 1.0)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert [is_within(progress, (0.0, 1.0)) for progress in (0.0, 0.5, 1.0)] == [True, True, True]
    assert changes_within([(0.0, 0.9), (0.1, 0.5), (0.1, 1.0)]) == (0.1, 0.5, 0.9)


@pytest.mark.parametrize("epochs", [58, 72, 132])
def test_a_span_of_epochs_ends_exactly_after_them(epochs: int) -> None:
    """The fraction ``stop / epochs`` of a run of whole epochs is met exactly by the first step of epoch ``stop``."""
    for stop in range(1, epochs):
        for per_epoch in (1, 7, 924):
            steps = epochs * per_epoch
            assert is_within((stop * per_epoch - 1) / steps, (0.0, stop / epochs))
            assert not is_within(stop * per_epoch / steps, (0.0, stop / epochs))


def test_a_config_has_only_the_changes_that_are_applied_then() -> None:
    config = AugmentationConfig(preset="deim", flip=0.25)
    assert config.changes == (0.03, 0.48, 0.9)
    active = [
        {name for name in ("photometric", "zoom_out", "crop", "mosaic", "mixup") if getattr(config.at(progress), name) is not None}
        for progress in (0.0, 0.03, 0.48, 0.9, 1.0)
    ]
    strong = {"photometric", "zoom_out", "crop"}
    assert active == [set(), strong | {"mosaic", "mixup"}, strong, set(), set()]
    assert config.at(0.5).flip == 0.25
    assert config.at(0.5).crop == config.crop
    assert config.describe() == "photometric, zoom_out, crop, mosaic, mixup"
    assert config.at(1.0).describe() == "no change but flips and the size"
    whole = AugmentationConfig(preset="yolox")
    assert whole.changes == ()
    assert whole.at(0.5) is whole


@pytest.mark.parametrize("preset", PRESETS)
def test_every_part_of_a_preset_survives_json(preset: str) -> None:
    config = AugmentationConfig(preset=preset)
    for progress in (0.0, *config.changes):
        part = config.at(progress)
        assert AugmentationConfig.from_json(part.to_json()) == part
        assert part.at(progress) == part


def test_spans_are_set_on_the_command_line_and_checked() -> None:
    config = apply_overrides(AugmentationConfig(preset="deim"), ["mosaic.between=0.1,0.4", "mosaic.probability=1"])
    assert config.mosaic is not None
    assert config.mosaic.between == (0.1, 0.4)
    with pytest.raises(ConfigError, match=r"expected fractions of the training in ascending order, \(start, end\), got \(0\.5, 0\.5\)"):
        MosaicConfig(between=(0.5, 0.5))
    with pytest.raises(ConfigError, match="between"):
        MosaicConfig(between=(0.5, 72.0))


@pytest.mark.parametrize(
    "change",
    [{"zoom_out": ZoomOutConfig(probability=1.0, fill=(255, 255, 255))}, {"crop": IoUCropConfig(min_ious=(0.0,))}],
    ids=["zoom out", "crop"],
)
@pytest.mark.parametrize("skip_crops", [True, False])
def test_mosaics_are_neither_cropped_nor_zoomed_out_if_so_configured(change: dict[str, Any], skip_crops: bool) -> None:
    mosaic = MosaicConfig(probability=0.5, size=(40, 60), fill=0, scale=(0.3, 0.3), skip_crops=skip_crops)
    augmenter = Augmenter(AugmentationConfig(preset="none", resize=KEEP, mosaic=mosaic, **change))
    images = [augmenter(plain(100), np.random.default_rng(seed), lambda _: plain(100)) for seed in range(40)]
    mosaics = [image for image in images if (image.image == 0).any()]
    changed = [sum(image.size != (40, 60) for image in group) for group in (images, mosaics)]
    assert 10 <= len(mosaics) <= 30
    assert changed[0] - changed[1] >= 8
    assert (changed[1] == 0) == skip_crops


def test_the_shift_of_a_mosaic_is_limited() -> None:
    config = AugmentationConfig(
        preset="none", resize=KEEP, mosaic=MosaicConfig(size=(200, 200), scale=(2.0, 2.0), max_shift=0.1, probability=1.0)
    )
    augmenter, gray = Augmenter(config), iter([60, 90, 120] * 50)
    for seed in range(50):  # tiles of twice the canvas cover it up to the point where they meet
        image = augmenter(plain(30), np.random.default_rng(seed), lambda _: plain(next(gray))).image[:, :, 0]
        x, y = int((image[0] == 30).sum()), int((image[:, 0] == 30).sum())
        assert 60 <= x <= 140
        assert 60 <= y <= 140


def test_two_augmented_images_are_blended() -> None:
    config = AugmentationConfig(
        preset="none",
        mixup=MixupConfig(probability=1.0, after_augmentation=True, share=0.5, share_spread=0.1),
        zoom_out=ZoomOutConfig(probability=1.0, max_scale=1.0),
        resize=FixedSizeConfig(size=(80, 80), keep_shape=False),
    )
    shares, augmenter = [], Augmenter(config)
    for seed in range(20):
        result = augmenter(plain(0), np.random.default_rng(seed), lambda _: plain(200, (20, 40), 1))
        assert result.size == (80, 80)
        assert len(np.unique(result.image)) == 1
        shares.append(1 - result.image[0, 0, 0] / 200)
        assert result.targets.labels.tolist() == [0, 1]
        expected = torch.tensor([[10 * 80 / 60, 20.0, 40.0, 40.0], [20.0, 40.0, 60.0, 80.0]])
        torch.testing.assert_close(result.targets.boxes, expected)
    assert min(shares) >= 0.395
    assert max(shares) <= 0.605
    assert max(shares) - min(shares) > 0.1
    assert Augmenter(config)(plain(0), np.random.default_rng(0)).targets.labels.tolist() == [0]


def test_an_image_of_another_size_is_stretched_before_it_is_blended() -> None:
    config = AugmentationConfig(preset="none", resize=KEEP, mixup=MixupConfig(probability=1.0, after_augmentation=True))
    result = Augmenter(config)(plain(0), np.random.default_rng(0), lambda _: plain(200, (20, 120), 1))
    assert result.size == (40, 60)
    assert (result.image == 100).all()
    torch.testing.assert_close(result.targets.boxes, torch.tensor([[10.0, 10, 30, 20], [5.0, 20, 15, 40]]))


def _changed_fraction(photometric: PhotometricConfig, count: int = 120) -> float:
    augmenter = Augmenter(AugmentationConfig(preset="none", resize=KEEP, photometric=photometric))
    image = AnnotatedImage(np.random.default_rng(0).integers(60, 180, (6, 6, 3)).astype(np.uint8), Targets.empty())
    return sum(bool((augmenter(image, np.random.default_rng(s)).image != image.image).any()) for s in range(count)) / count


def test_color_changes_are_drawn_together_or_one_by_one() -> None:
    colors = PhotometricConfig(probability=0.5, brightness=0.4, contrast=0.0, saturation=0.5, hue=0.0)
    assert _changed_fraction(colors) == pytest.approx(0.5, abs=0.12)
    assert _changed_fraction(colors.replace(independent=True)) == pytest.approx(0.75, abs=0.12)  # two of the four changes are above 0
    assert _changed_fraction(colors.replace(independent=True, channel_shuffle=0.5)) > 0.8


def test_channels_are_shuffled() -> None:
    augmenter = Augmenter(
        AugmentationConfig(preset="none", resize=KEEP, photometric=PhotometricConfig(probability=0.0, channel_shuffle=1.0))
    )
    image = AnnotatedImage(np.full((4, 4, 3), (10, 20, 30), np.uint8), Targets.empty())
    seen = {tuple(augmenter(image, np.random.default_rng(seed)).image[0, 0].tolist()) for seed in range(60)}
    assert len(seen) >= 5
    assert all(sorted(colors) == [10, 20, 30] for colors in seen)
