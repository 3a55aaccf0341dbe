"""Detection on tiles: where they are, what is merged at their borders, and that an image of one tile is detected as it is."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright import NAMES, BrightDetector, image, predictor, saved

from detkit.arrays import ImageArray
from detkit.data.media import regions
from detkit.data.media.image_regions import ArrayRegions
from detkit.inference import ImagePyramid, Predictor, detect_files, load_exported
from detkit.inference.views import plan
from detkit.inference.views.merging import with_joined
from detkit.ops.windows import Window
from detkit.preprocess import PreprocessConfig
from detkit.structures import Detections, Proposals
from detkit.structures.detection import DetectionArrays
from detkit.weights import embedded_onnx_path

OWN = PreprocessConfig(short_side=64, long_side=64, interpolation="nearest")


def native(**options: Any) -> Predictor:
    """A detector of bright regions that sees tiles of 64 pixels as they are."""
    return Predictor(BrightDetector(), OWN, NAMES, "cpu", "fp32", reference=True, **options)  # type: ignore[arg-type]


def black(height: int = 200, width: int = 200, *boxes: tuple[int, int, int, int]) -> ImageArray:
    """Return a black image with red rectangles."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2, 0] = 255
    return pixels


def windows(size: tuple[int, int], **options: Any) -> list[Window]:
    return [view.window for view in ImagePyramid(native(), (), tiles=64, **options).views(size)]


def same(first: Any, second: Any) -> bool:
    rows, others = first.numpy(), second.numpy()
    return all(np.array_equal(getattr(rows, name), getattr(others, name)) for name in ("boxes", "scores", "labels"))


def test_tiles_overlap_by_the_fraction_and_end_at_the_border() -> None:
    starts = sorted({window.x1 for window in windows((64, 200))})
    assert starts == [0, 45, 91, 136]
    assert max(after - before for before, after in itertools.pairwise(starts)) <= 64 * 0.8
    assert {window.x2 - window.x1 for window in windows((64, 200))} == {64}
    assert len(windows((640, 640), tile_overlap=0.0)) == 100


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 1), 1), ((64, 64), 1), ((10, 64), 1), ((65, 64), 2), ((64, 65), 2), ((65, 65), 4), ((1, 200), 4)],
)
def test_sizes_around_that_of_a_tile(size: tuple[int, int], expected: int) -> None:
    found = windows(size)
    assert len(found) == expected
    assert all(window.x2 <= size[1] and window.y2 <= size[0] for window in found)
    assert len(ImagePyramid(native(), tiles=64)(np.zeros((*size, 3), np.uint8))) == 0


def test_small_objects_are_found_and_merged_once() -> None:
    """The detector takes all red of its input as one object, so each tile must have seen its own."""
    pixels = black(200, 200, (10, 10, 20, 20), (100, 100, 112, 110), (180, 180, 190, 196))
    detections = ImagePyramid(native(), (), tiles=64)(pixels)
    assert sorted(detections.boxes.tolist()) == [[10, 10, 20, 20], [100, 100, 112, 110], [180, 180, 190, 196]]
    assert len(native()(pixels)) == 1


def test_large_objects_come_from_the_whole_image() -> None:
    pixels = black(200, 200, (40, 40, 170, 160))
    whole = ImagePyramid(native(), tiles=64)(pixels)
    assert len(whole) == 1
    np.testing.assert_allclose(whole.boxes[0], [40, 40, 170, 160], atol=4)


def test_parts_of_objects_that_every_tile_cuts_are_joined() -> None:
    """The object is wider than the overlap of two tiles, and lies on a border of them."""
    pixels = black(64, 200, (30, 10, 80, 50))
    detections = ImagePyramid(native(), (), tiles=64)(pixels)
    assert detections.boxes.tolist() == [[30, 10, 80, 50]]


def test_joined_parts_yield_to_complete_objects_and_keep_classes_apart() -> None:
    def rows(*boxes: list[float], labels: list[int]) -> DetectionArrays:
        scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
        return DetectionArrays(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(labels, np.int64))

    complete = rows([0, 0, 100, 50], labels=[0])
    cut = rows([0, 0, 64, 50], [30, 0, 100, 50], [0, 0, 64, 50], [30, 0, 100, 50], [300, 0, 310, 50], labels=[0, 0, 1, 1, 1])
    merged = with_joined(complete, cut)
    assert merged.labels.tolist() == [0, 1, 1]
    assert merged.boxes.tolist() == [[0, 0, 100, 50], [0, 0, 100, 50], [300, 0, 310, 50]]
    np.testing.assert_allclose(merged.scores, [0.9, 0.7, 0.5])
    assert with_joined(complete, cut[:0]).boxes.tolist() == complete.boxes.tolist()
    assert with_joined(complete[:0], cut[:2]).boxes.tolist() == [[0, 0, 100, 50]]


@pytest.mark.parametrize("pixels", [image(), image(60, 80)[:1, :1], image(60, 40)])
def test_an_image_of_one_tile_is_detected_as_without_tiles(pixels: ImageArray) -> None:
    for options in ({}, {"min_score": 0.7}, {"classes": ["green"]}):
        alone = predictor(60, **options)
        assert same(ImagePyramid(alone, tiles=80)(pixels), alone(pixels))
        assert same(ImagePyramid(alone, (), tiles=80)(pixels), alone(pixels))
    flipped = ImagePyramid(predictor(60), (1,), flip=True)(pixels)
    assert same(ImagePyramid(predictor(60), tiles=80, flip=True)(pixels), flipped)


def test_overlapping_detections_of_one_view_stay() -> None:
    """A detector without NMS may report several boxes of a class that overlap."""

    class Twice(BrightDetector):
        def _one(self, image: torch.Tensor) -> Detections:
            return Detections.cat([super()._one(image)] * 2)

    alone = Predictor(Twice(), OWN, NAMES, "cpu", "fp32", reference=True)  # type: ignore[arg-type]
    assert len(alone(image(60, 64))) == 4
    assert same(ImagePyramid(alone, tiles=64)(image(60, 64)), alone(image(60, 64)))


def test_the_embedded_detector_runs_on_tiles_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = load_exported(embedded_onnx_path(), min_score=0.05, threads=1)
    photograph = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    detections = ImagePyramid(alone, tiles=640)(photograph)
    assert isinstance(detections, DetectionArrays)
    assert same(detections, alone(photograph))
    assert same(ImagePyramid(alone, tiles=640)([photograph, photograph[:50]])[1], alone(photograph[:50]))


def test_batches_hold_views_of_one_size_and_never_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = native(batch_size=4)
    pyramid = ImagePyramid(alone, (), tiles=64)
    most = 0
    original = Predictor.detect

    def detect(self: Predictor, prepared: Any) -> Any:
        nonlocal most
        most = max(most, len(prepared))
        return original(self, prepared)

    monkeypatch.setattr(Predictor, "detect", detect)
    images = [black(200, 200, (10, 10, 20, 20)), black(60, 60)]
    prepared = [pyramid.prepare(pixels) for pixels in images]
    assert len(prepared[0].views) == 16
    results = pyramid.detect(prepared)
    assert most == 4
    assert [len(rows) for rows in results] == [1, 0]
    assert same(results[0], pyramid(images[0]))


def test_tiles_ask_for_proposals_of_their_own() -> None:
    asked: list[tuple[int, ...]] = []

    def propose(pixels: ImageArray) -> Proposals:
        asked.append(pixels.shape[:2])
        return Proposals(torch.tensor([[0.0, 0, 10, 10]]), torch.ones(1))

    class Proposed(BrightDetector):
        takes_proposals = True

        def forward(self, images: Any, targets: None = None, proposals: Any = None) -> list[Detections]:
            return [Detections(row.boxes, torch.ones(1) * 0.5, torch.zeros(1).long()) for row in proposals]

    alone = Predictor(Proposed(), OWN, NAMES, "cpu", "fp32", reference=True, proposer=propose)  # type: ignore[arg-type]
    detections = ImagePyramid(alone, tiles=64, tile_overlap=0.0)(black(64, 128))
    assert sorted(asked) == [(64, 64), (64, 64), (64, 128)]
    assert sorted(box[0] for box in detections.boxes.tolist()) == [0, 64]
    small = black(50, 64)
    assert same(ImagePyramid(alone, tiles=64)(small), alone(small))


def test_scores_and_limits_apply_after_merging() -> None:
    pixels = image(100, 150)
    pyramid = ImagePyramid(native(), tiles=64, min_score=0.7)
    assert set(pyramid(pixels).labels.tolist()) == {0}
    assert pyramid.best_left_out is not None
    assert (round(pyramid.best_left_out.score, 3), pyramid.best_left_out.class_name) == (0.6, "green")
    limited = ImagePyramid(native(), tiles=64, max_detections=1)
    assert len(limited(pixels)) == 1
    assert limited.cut_images == 1
    assert ImagePyramid(native(), tiles=64).max_detections is None
    assert ImagePyramid(native(), (0.5, 1)).max_detections == 100


@pytest.mark.parametrize("merge", ["hard", "linear", "gaussian", "fusion"])
def test_ways_of_merging(merge: Any) -> None:
    """An object in the overlap of two tiles is complete in both, and in the whole image."""
    detections = ImagePyramid(native(), tiles=64, merge=merge, min_score=0.5)(black(64, 115, (52, 20, 63, 40)))
    assert len(detections) == 1
    assert float(detections.scores[0]) == pytest.approx(0.9)


def test_fusion_counts_tiles_only_for_objects_that_they_show() -> None:
    pyramid = ImagePyramid(native(), tiles=64)
    boxes = np.array([[10, 10, 20, 20], [10, 10, 150, 20]], np.float32)
    assert pyramid.plan.sources(boxes, (200, 200)).tolist() == [2, 1]


def test_huge_images_are_read_in_parts_and_reduced_for_the_whole_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGE_PIXELS", 1000)
    pixels = black(300, 300, (10, 10, 30, 30), (100, 100, 260, 280))
    pyramid = ImagePyramid(native(), tiles=64)
    assert [view.reduction for view in pyramid.views((300, 300))][:2] == [2, 1]
    detections = pyramid(pixels)
    assert same(detections, pyramid(ArrayRegions(pixels)))
    assert same(detections, pyramid(torch.from_numpy(pixels).permute(2, 0, 1)))
    assert [10, 10, 30, 30] in detections.boxes.tolist()


def test_files_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, "a.tif", black(200, 200, (10, 10, 20, 20)))
    monkeypatch.setattr(regions, "LARGE_PIXELS", 1000)
    (result,) = detect_files(ImagePyramid(native(), (), tiles=64), [path])
    assert isinstance(result.image, regions.TiffRegions)
    assert result.detections is not None
    assert result.detections.boxes.tolist() == [[10, 10, 20, 20]]
    data = path.read_bytes()
    path.write_bytes(data[:1000])
    (result,) = detect_files(ImagePyramid(native(), (), tiles=64), [path])
    assert str(path) in str(result.error)
    (plain,) = detect_files(native(), [saved(tmp_path, "b.tif", black())])
    assert isinstance(plain.image, np.ndarray)


def test_description() -> None:
    assert str(ImagePyramid(native(), tiles=(64, 128), tile_overlap=0.25, flip=True, merge="fusion")) == (
        "tiles of 64 x 64 and 128 x 128 pixels that overlap by 25 % and the whole image at short sides 64 pixels "
        "(1 times the detector's own size), each also flipped, merged by fusion"
    )
    assert str(ImagePyramid(native(), (), tiles=64)) == "tiles of 64 x 64 pixels that overlap by 20 %, merged by hard NMS"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tiles": 0}, "tiles: expected sides in whole pixels, from 32 to 65536; got 0"),
        ({"tiles": 10.5}, "got 10.5"),
        ({"tiles": 64, "tile_overlap": 1.0}, "tile_overlap: expected a number from 0 to below 1, got 1"),
        ({"tiles": 64, "tile_overlap": -0.1}, "tile_overlap: expected a number from 0 to below 1, got -0.1"),
        ({"tiles": 64, "sizes": ((0, 10),)}, "sizes: expected one range for each of 1 scales and 1 sizes of tiles, got 1"),
        ({"scales": ()}, "scales: expected factors .* got none"),
    ],
)
def test_invalid_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImagePyramid(native(), **options)
