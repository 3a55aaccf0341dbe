"""Tiles and other views of models for semantic segmentation: probabilities are averaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from detkit.arrays import Floats, ImageArray
from detkit.backbones import BackboneConfig
from detkit.inference import ImagePyramid, Predictor
from detkit.inference.pixels import blending
from detkit.models.semantic.unet import UNetConfig, UNetDecoderConfig
from detkit.ops.windows import cover
from detkit.preprocess import PreprocessConfig
from detkit.structures.label_maps import label_map

NAMES = ("cat", "dog")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """A segmenter of random weights whose classes all occur, on inputs of 64 x 64 pixels."""
    torch.manual_seed(0)
    backbone = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=("c2", "c3", "c4"))
    preprocess = PreprocessConfig(rule="letterbox", input_size=(64, 64))
    model = UNetConfig(backbone=backbone, decoder=UNetDecoderConfig(channels=(8, 8)), preprocess=preprocess).build(2).eval()
    torch.nn.init.normal_(model.head.logits.weight, std=3.0)
    return Predictor(model, preprocess, NAMES, "cpu", reference=True)


@pytest.fixture
def image() -> ImageArray:
    values: Any = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return np.kron(values, np.ones((10, 10, 1), np.uint8))


def probabilities(predictor: Predictor, image: ImageArray) -> Floats:
    """The probability of each class, background last, in each pixel of an image of 64 x 64."""
    model = predictor.detector
    batch = model.prepare([torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255])
    with torch.no_grad():
        values: Floats = model.raw(batch)[0].softmax(1)[0, :, : image.shape[0], : image.shape[1]].numpy()
    return values


def test_an_image_of_one_tile_is_that_without_tiles(predictor: Predictor, image: ImageArray) -> None:
    plain, tiled = predictor(image), ImagePyramid(predictor, tiles=200)(image)
    assert len(plain) == 2
    for column in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(plain, column), getattr(tiled, column))
    assert_array_equal(plain.masks.arrays(image.shape[:2]), tiled.masks.arrays(image.shape[:2]))  # type: ignore[union-attr]
    assert tiled.class_names == NAMES


@pytest.mark.parametrize("numbers", [1 << 27, 2 * 120 * 25], ids=["at once", "in bands"])
@pytest.mark.parametrize("flip", [False, True])
def test_overlapping_tiles_are_averaged(
    predictor: Predictor, image: ImageArray, flip: bool, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blending, "BAND_NUMBERS", numbers)
    sums, counts = np.zeros((3, 90, 120), np.float32), np.zeros((90, 120), np.float32)
    for x1, y1, x2, y2 in cover((90, 120), (64, 64), 0.25):
        part = image[y1:y2, x1:x2]
        sums[:, y1:y2, x1:x2] += probabilities(predictor, part)
        counts[y1:y2, x1:x2] += 1
        if flip:
            sums[:, y1:y2, x1:x2] += probabilities(predictor, part[:, ::-1])[..., ::-1]
            counts[y1:y2, x1:x2] += 1
    assert counts.min() == 1 + flip
    assert counts.max() > 2
    expected = (sums / counts).argmax(0)
    rows = ImagePyramid(predictor, (), tiles=64, tile_overlap=0.25, flip=flip)(image)
    labels = label_map(rows, (90, 120), 2)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert (labels != expected).mean() < 1e-3  # equal but for ties
    for row in rows:
        mean = (sums[row.label] / counts)[labels == row.label].mean()
        assert row.score == pytest.approx(float(mean), abs=1e-4)


def test_the_whole_image_is_a_view_too(predictor: Predictor, image: ImageArray) -> None:
    tiles, both = ImagePyramid(predictor, (), tiles=64), ImagePyramid(predictor, tiles=64)
    assert str(both).endswith("averaged")
    assert not torch.equal(tiles(image).scores, both(image).scores)


def test_unreported_classes_and_sizes(predictor: Predictor, image: ImageArray) -> None:
    only = Predictor(predictor.detector, predictor.preprocess, NAMES, "cpu", reference=True, classes=["dog"])
    assert ImagePyramid(only, tiles=64)(image).labels.tolist() == [1]
    with pytest.raises(ValueError, match="predicts the class of each pixel, not objects with sizes; leave out sizes"):
        ImagePyramid(predictor, (), tiles=64, sizes=((0, 10),))


def test_a_tile_that_no_other_overlaps_is_an_image_of_its_own(predictor: Predictor, image: ImageArray) -> None:
    labels = label_map(ImagePyramid(predictor, (), tiles=60, tile_overlap=0.0)(image), (90, 120), 2)
    corner = label_map(predictor(image[:60, :60].copy()), (60, 60), 2)
    assert_array_equal(labels[:30, :60], corner[:30])  # the tiles below begin at row 30
