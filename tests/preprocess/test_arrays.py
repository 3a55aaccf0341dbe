"""Preprocessing in numpy against preprocessing in PyTorch, whose own results differ in the last bit between numbers of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detkit.arrays import ImageArray
from detkit.preprocess import Placement, PreprocessConfig, preprocess, preprocess_array
from detkit.structures import DetectionArrays, Detections

LETTERBOX = PreprocessConfig(rule="letterbox", input_size=(416, 416))
CONFIGS = {
    "short side": PreprocessConfig(short_side=300, long_side=500),
    "letterbox": LETTERBOX,
    "both sides, caffe's order": LETTERBOX.replace(pad_side="both", channel_order="bgr", max_value=255),
    "fixed": PreprocessConfig(rule="fixed", input_size=(96, 128)),
    "center crop": PreprocessConfig(rule="center_crop", input_size=(224, 192), rounding="short_first", antialias=True),
    "bytes": LETTERBOX.replace(interpolation="bilinear_bytes"),
    "nearest": LETTERBOX.replace(interpolation="nearest"),
    "antialiased": PreprocessConfig(short_side=256, long_side=600, rounding="short_first", antialias=True),
}
LAST_BIT = 2.5e-7
SIZES = [(480, 640), (97, 131), (1203, 901), (320, 320), (700, 90), (416, 416)]


def image(size: tuple[int, int]) -> ImageArray:
    return np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("size", SIZES)
def test_equals_pytorch(config: PreprocessConfig, size: tuple[int, int]) -> None:
    pixels = image(size)
    expected, actual = preprocess(pixels, config), preprocess_array(pixels, config)
    assert actual.placement == expected.placement
    assert actual.image.flags.c_contiguous
    assert actual.image.dtype == np.float32
    np.testing.assert_allclose(actual.image, expected.image.numpy(), atol=LAST_BIT * config.max_value, rtol=0)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_bicubic_equals_pytorch_within_rounding(size: tuple[int, int], antialias: bool) -> None:
    config = LETTERBOX.replace(interpolation="bicubic", antialias=antialias)
    np.testing.assert_allclose(
        preprocess_array(image(size), config).image, preprocess(image(size), config).image.numpy(), atol=3e-6, rtol=0
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 9), (20, 30), (3, 2000)])
def test_images_of_a_few_pixels(size: tuple[int, int]) -> None:
    for config in CONFIGS.values():
        expected = preprocess(image(size), config).image.numpy()
        np.testing.assert_allclose(preprocess_array(image(size), config).image, expected, atol=LAST_BIT * config.max_value, rtol=0)


def test_the_image_is_not_modified() -> None:
    pixels = image((97, 131))
    for config in CONFIGS.values():
        preprocess_array(pixels, config)
    np.testing.assert_array_equal(pixels, image((97, 131)))


def test_arrays_of_any_memory_order() -> None:
    pixels = image((97, 131))
    expected = preprocess_array(pixels, LETTERBOX).image
    for other in (np.asfortranarray(pixels), np.ascontiguousarray(pixels[..., ::-1])[..., ::-1]):
        np.testing.assert_array_equal(preprocess_array(other, LETTERBOX).image, expected)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_wrong_shapes(pixels: ImageArray) -> None:
    with pytest.raises(ValueError, match=r"image: expected a non-empty \(H, W, 3\) uint8 array"):
        preprocess_array(pixels, LETTERBOX)


@pytest.mark.parametrize(
    "placement",
    [
        Placement((333, 517), (300, 466), (10, 7), (416, 480)),
        LETTERBOX.replace(box_scaling="factor").placement((333, 517)),
        PreprocessConfig(rule="fixed", input_size=(96, 128)).placement((97, 31)),
    ],
)
def test_boxes_are_mapped_as_tensors_are(placement: Placement) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = Detections(torch.rand(200, 4, generator=generator) * 600 - 50, torch.rand(200, generator=generator), torch.arange(200))
    restored = placement.restore(rows.numpy())
    assert isinstance(restored, DetectionArrays)
    np.testing.assert_array_equal(restored.boxes, placement.restore(rows).boxes.numpy())
