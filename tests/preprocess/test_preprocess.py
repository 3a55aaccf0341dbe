from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from detkit.config import ConfigError
from detkit.preprocess import Placement, PreprocessConfig, as_input, preprocess
from detkit.structures import Detections, Targets

SIZES = [(2001, 2999), (1702, 1650), (480, 640), (640, 427), (333, 500), (97, 31), (1200, 1599), (800, 800), (2, 700), (7, 1)]


def random_image(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def torchvision_resize(image: np.ndarray, short: int, long: int, fixed: tuple[int, int] | None = None) -> torch.Tensor:
    transform = GeneralizedRCNNTransform(short, long, [0.0] * 3, [1.0] * 3, fixed_size=fixed)
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    return transform.resize(pixels, None)[0]


def detections(boxes: list[list[float]]) -> Detections:
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Detections(rows, torch.ones(len(rows)), torch.zeros(len(rows), dtype=torch.int64))


@pytest.mark.oracle("torchvision", "resizing of images", tolerance="1e-6")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("short", "long"), [(800, 1333), (320, 1280)])
def test_equals_torchvision(size: tuple[int, int], short: int, long: int) -> None:
    image = random_image(size)
    prepared = preprocess(image, PreprocessConfig(short_side=short, long_side=long))
    torch.testing.assert_close(prepared.image, torchvision_resize(image, short, long), atol=1e-6, rtol=0)
    assert prepared.size == tuple(prepared.image.shape[-2:])


@pytest.mark.oracle("torchvision", "resizing of images to a fixed size", tolerance="1e-6")
def test_fixed_size_equals_torchvision() -> None:
    image = random_image((333, 500))
    prepared = preprocess(image, PreprocessConfig(rule="fixed", input_size=(300, 320)))
    torch.testing.assert_close(prepared.image, torchvision_resize(image, 300, 300, fixed=(320, 300)), atol=1e-6, rtol=0)


def test_downscaling_bytes_equals_downscaling_floats() -> None:
    image = torch.randint(0, 256, (3, 900, 1100), dtype=torch.uint8)
    for config in (
        PreprocessConfig(short_side=100),
        PreprocessConfig(rule="fixed", input_size=(90, 500), channel_order="bgr", max_value=255),
    ):
        fast, plain = preprocess(image, config).image, preprocess(image.float() / 255, config).image
        torch.testing.assert_close(fast, plain, atol=1e-6 * config.max_value, rtol=0)
        assert fast.is_contiguous()


def test_an_image_of_one_row_keeps_one_row() -> None:
    assert preprocess(random_image((1, 5000)), PreprocessConfig()).image.shape == (3, 1, 1333)


def test_inputs_are_not_modified() -> None:
    image = random_image((40, 30))
    tensor = torch.rand(3, 20, 20)
    before, tensor_before = image.copy(), tensor.clone()
    for config in (PreprocessConfig(), PreprocessConfig(short_side=20, long_side=40, max_value=255), PreprocessConfig(channel_order="bgr")):
        preprocess(image, config)
        preprocess(tensor, config)
    np.testing.assert_array_equal(image, before)
    torch.testing.assert_close(tensor, tensor_before)


def test_letterbox_pads_with_gray_in_the_models_range_and_order() -> None:
    image = random_image((100, 200))
    image[..., 0], image[..., 1], image[..., 2] = 10, 20, 30
    config = PreprocessConfig(rule="letterbox", input_size=(416, 416), channel_order="bgr", max_value=255)
    prepared = preprocess(image, config)
    assert prepared.image.shape == (3, 416, 416)
    torch.testing.assert_close(prepared.image[:, 0, 0], torch.tensor([30.0, 20.0, 10.0]))
    torch.testing.assert_close(prepared.image[:, 208:], torch.full((3, 208, 416), 114.0))


def test_letterbox_on_both_sides_restores_the_same_boxes() -> None:
    config = PreprocessConfig(rule="letterbox", input_size=(320, 320), pad_side="both", pad_value=0)
    placement = config.placement((100, 200))
    assert placement == Placement((100, 200), (160, 320), (80, 0), (320, 320))
    prepared = preprocess(np.full((100, 200, 3), 255, np.uint8), config)
    assert prepared.image[:, :80].max() == 0
    assert prepared.image[:, 80:240].min() == 1
    boxes = detections([[10.0, 20.0, 50.0, 60.0]])
    scaled = placement.apply(boxes)
    torch.testing.assert_close(scaled.boxes, torch.tensor([[16.0, 112.0, 80.0, 176.0]]))
    torch.testing.assert_close(prepared.restore(scaled).boxes, boxes.boxes)


@pytest.mark.parametrize(
    "config",
    [
        PreprocessConfig(),
        PreprocessConfig(rule="fixed", input_size=(300, 500)),
        PreprocessConfig(rule="letterbox", input_size=(320, 320), box_scaling="factor"),
        PreprocessConfig(box_scaling="factor"),
    ],
)
def test_apply_and_restore_are_inverse(config: PreprocessConfig) -> None:
    placement = config.placement((333, 517))
    boxes = detections([[0.0, 0.0, 517.0, 333.0], [3.5, 4.25, 100.0, 200.0]])
    torch.testing.assert_close(placement.restore(placement.apply(boxes)).boxes, boxes.boxes, atol=1e-4, rtol=0)


def test_restored_boxes_are_clipped_to_the_image() -> None:
    placement = PreprocessConfig().placement((100, 50))
    far = detections([[-20.0, -5.0, 5000.0, 5000.0]])
    torch.testing.assert_close(placement.restore(far).boxes, torch.tensor([[0.0, 0.0, 50.0, 100.0]]))


def test_restore_empty_detections() -> None:
    assert len(PreprocessConfig().placement((100, 50)).restore(Detections.empty())) == 0


def test_areas_of_targets_are_scaled() -> None:
    targets = Targets.of(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([1]))
    scaled = PreprocessConfig(short_side=200, long_side=400).placement((100, 100)).apply(targets)
    torch.testing.assert_close(scaled.areas, torch.tensor([400.0]))


def test_small_images_are_not_enlarged_if_configured() -> None:
    assert PreprocessConfig(enlarge=False).placement((100, 50)).content == (100, 50)
    assert PreprocessConfig(enlarge=False).placement((2000, 1000)).content == (1333, 666)


def test_antialias_averages_when_reducing() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    plain = preprocess(stripes, PreprocessConfig(short_side=100, long_side=100))
    smooth = preprocess(stripes, PreprocessConfig(short_side=100, long_side=100, antialias=True))
    assert smooth.image[:, 10:-10, 10:-10].std() < 0.05
    assert plain.image.shape == smooth.image.shape


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "bilinear_bytes"])
def test_every_interpolation_stays_in_range(interpolation: str) -> None:
    image = preprocess(random_image((30, 40)), PreprocessConfig(short_side=100, interpolation=interpolation)).image
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.oracle("opencv-python", "letterbox in bytes", tolerance="1e-6")
@pytest.mark.parametrize("size", [(480, 640), (97, 31), (900, 1100), (320, 320)])
def test_bilinear_bytes_equals_opencv(size: tuple[int, int]) -> None:
    image, config = random_image(size), PreprocessConfig(rule="letterbox", input_size=(320, 320), interpolation="bilinear_bytes")
    scale = min(320 / size[0], 320 / size[1])
    height, width = int(size[0] * scale), int(size[1] * scale)
    expected = np.full((320, 320, 3), 114, np.uint8)
    expected[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    expected_image = torch.from_numpy(expected).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(preprocess(image, config).image, expected_image, atol=1e-6, rtol=0)
    floats = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(preprocess(floats, config).image, expected_image, atol=1e-6, rtol=0)


def test_bilinear_bytes_cannot_antialias() -> None:
    with pytest.raises(ConfigError, match="'bilinear_bytes' does not antialias"):
        PreprocessConfig(antialias=True, interpolation="bilinear_bytes")


def test_boxes_can_be_scaled_by_the_unrounded_factor() -> None:
    size, boxes = (100, 333), detections([[0.0, 0.0, 333.0, 100.0]])
    config = PreprocessConfig(rule="letterbox", input_size=(320, 320))
    torch.testing.assert_close(config.placement(size).apply(boxes).boxes, torch.tensor([[0.0, 0.0, 320.0, 96.0]]))
    exact = config.replace(box_scaling="factor").placement(size)
    torch.testing.assert_close(exact.apply(boxes).boxes, torch.tensor([[0.0, 0.0, 320.0, 100 * 320 / 333]]))
    assert exact.content == (96, 320)


def test_as_input_of_bytes_equals_that_of_floats() -> None:
    image = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8)
    for config in (PreprocessConfig(), PreprocessConfig(max_value=255, channel_order="bgr")):
        torch.testing.assert_close(as_input(image, config), as_input(image.float() / 255, config))


def test_json_round_trip() -> None:
    config = PreprocessConfig(rule="letterbox", input_size=(416, 416), channel_order="bgr", max_value=255)
    assert PreprocessConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("values", [{"rule": "fixed"}, {"rule": "letterbox", "input_size": (0, 5)}, {"input_size": (3, 3)}])
def test_a_size_that_does_not_match_the_rule(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="input_size"):
        PreprocessConfig(**values)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_wrong_shapes(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"image"):
        preprocess(image, PreprocessConfig())


def test_wrong_type() -> None:
    with pytest.raises(ValueError, match="uint8, or float"):
        preprocess(torch.zeros(3, 4, 4, dtype=torch.int64), PreprocessConfig())


@pytest.mark.parametrize("size", [(480, 640), (641, 333), (224, 224), (100, 77), (300, 1799), (225, 224)])
def test_center_crop_equals_torchvision(size: tuple[int, int]) -> None:
    """The transforms of CLIP: the short side is resized to 224, bicubic, and the center is cropped."""
    from torchvision.transforms import v2

    config = PreprocessConfig(rule="center_crop", input_size=(224, 224), rounding="short_first", interpolation="bicubic", antialias=True)
    pixels = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    transforms = v2.Compose([v2.Resize(224, v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(224)])
    expected = transforms(pixels).clamp(0, 1)
    prepared = preprocess(pixels, config)
    torch.testing.assert_close(prepared.image, expected, atol=1e-6, rtol=0)
    (box,) = prepared.restore(detections([[0.0, 0.0, 224.0, 224.0]])).boxes
    torch.testing.assert_close(box[2:] - box[:2], torch.full((2,), float(min(size))), atol=2.0, rtol=0)
    torch.testing.assert_close((box[2:] + box[:2]) / 2, torch.tensor([size[1], size[0]]) / 2, atol=1.0, rtol=0)


def test_center_crop_of_a_line_stays_small() -> None:
    placement = PreprocessConfig(rule="center_crop", input_size=(224, 224)).placement((1, 100_000))
    assert placement.content == (224, 50 * 224)
    assert placement.offset == (0, -49 * 112)
