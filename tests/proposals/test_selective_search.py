from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from skimage.measure import label as connected_components

from detkit.data import SourceConfig, read_image, read_source
from detkit.ops.boxes import box_iou
from detkit.proposals import SelectiveSearchConfig, Strategy, selective_search
from detkit.proposals.color_spaces import segmentation_values
from detkit.proposals.grouping import group
from detkit.proposals.region_features import region_features, texture_bins
from detkit.proposals.segmentation import SegmentationGraph

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from growth import growths_in

SINGLE = SelectiveSearchConfig.of("single")


def painted() -> tuple[np.ndarray, torch.Tensor]:
    """Return an image of three uniform rectangles on a uniform background, and their boxes."""
    image = np.full((120, 160, 3), (40, 60, 200), dtype=np.uint8)
    boxes = [(10, 10, 60, 50), (90, 20, 140, 100), (20, 70, 70, 110)]
    for (x1, y1, x2, y2), color in zip(boxes, ((250, 40, 40), (40, 220, 60), (240, 230, 50)), strict=True):
        image[y1:y2, x1:x2] = color
    return image, torch.tensor(boxes, dtype=torch.float32)


@pytest.mark.parametrize("mode", ["single", "fast", "quality"])
def test_uniform_objects_are_found(mode: str) -> None:
    image, boxes = painted()
    proposals = selective_search(image, mode)
    best = box_iou(boxes, proposals.boxes).amax(1)
    assert (best > 0.9).all(), best


def test_boxes_are_in_the_image_best_first_without_duplicates() -> None:
    image = data.chelsea()[::2, ::2].copy()
    proposals = selective_search(image, "fast").checked()
    assert (proposals.boxes[:, :2] >= 0).all()
    assert (proposals.boxes[:, 2] <= image.shape[1]).all()
    assert (proposals.boxes[:, 3] <= image.shape[0]).all()
    assert (proposals.scores[:-1] >= proposals.scores[1:]).all()
    assert len(torch.unique(proposals.boxes, dim=0)) == len(proposals)


def test_result_depends_only_on_image_and_seed() -> None:
    image = data.coffee()[::4, ::4].copy()
    original = image.copy()
    one, again = selective_search(image, "fast", threads=1), selective_search(image, "fast", threads=3)
    torch.testing.assert_close(one.boxes, again.boxes, rtol=0, atol=0)
    np.testing.assert_array_equal(image, original)
    other = selective_search(image, config=SelectiveSearchConfig.of("fast", seed=1))
    assert {tuple(box) for box in one.boxes.tolist()} == {tuple(box) for box in other.boxes.tolist()}
    assert not torch.equal(one.boxes, other.boxes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (40, 50)])
@pytest.mark.parametrize("mode", ["single", "quality"])
def test_blank_images_of_any_shape_give_the_whole_image(shape: tuple[int, int], mode: str) -> None:
    proposals = selective_search(np.full((*shape, 3), 7, dtype=np.uint8), mode)
    assert [shape[1], shape[0]] in proposals.boxes[:, 2:].tolist()


def test_large_image_is_shrunk_and_boxes_are_in_original_pixels() -> None:
    image, boxes = painted()
    large = image.repeat(12, 0).repeat(12, 1)
    proposals = selective_search(large, config=SINGLE.replace(max_pixels=120 * 160))
    assert (box_iou(boxes * 12, proposals.boxes).amax(1) > 0.9).all()


@pytest.mark.slow
def test_memory_of_twelve_megapixels_is_close_to_that_of_the_shrunk_image() -> None:
    """For noise, in which every pixel differs from the next, a blank image and a photograph."""
    growths = growths_in(Path(__file__).with_name("search_memory.py"))
    assert len(growths) == 6
    assert max(growths) < 150, growths
    for small, large in zip(growths[::2], growths[1::2], strict=True):
        assert large < small + 20, growths


def test_time_is_bounded() -> None:
    """An image of twelve megapixels takes about as long as one of 400,000 pixels."""
    noise = np.random.default_rng(0).integers(256, size=(500, 667, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    times: list[float] = []
    for image in (noise[:60, :60], noise[::5, ::5], noise):  # the first loads the compiled code
        start = time.process_time()
        selective_search(np.ascontiguousarray(image), "single", threads=1)
        times.append(time.process_time() - start)
    assert times[2] < 2 * times[1] + 0.3, times


def test_filters_and_maximum_number() -> None:
    image = data.chelsea()[::2, ::2].copy()
    unfiltered = selective_search(image, config=SINGLE)
    config = SINGLE.replace(min_area=400.0, max_aspect=2.0, max_proposals=20)
    filtered = selective_search(image, config=config)
    width, height = (filtered.boxes[:, 2:] - filtered.boxes[:, :2]).unbind(1)
    assert len(filtered) == 20
    assert (width * height >= 400).all()
    assert (torch.maximum(width, height) <= 2 * torch.minimum(width, height)).all()
    assert {tuple(box) for box in filtered.boxes.tolist()} <= {tuple(box) for box in unfiltered.boxes.tolist()}


def test_modes_match_the_paper() -> None:
    configs = {mode: SelectiveSearchConfig.of(mode) for mode in ("single", "fast", "quality")}
    assert [len(c.color_spaces) * len(c.scales) * len(c.strategies) for c in configs.values()] == [1, 8, 80]
    config = configs["quality"]
    assert SelectiveSearchConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)])
def test_invalid_image_is_rejected(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected a \(H, W, 3\) uint8 RGB image, got"):
        selective_search(image)


def test_unknown_mode_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected mode single, fast or quality, got 'slow'"):
        selective_search(np.zeros((4, 4, 3), np.uint8), "slow")  # type: ignore[arg-type]


def segmented() -> tuple[np.ndarray, np.ndarray]:
    """Return the painted image, and its segmentation: background 0, rectangles 1, 2 and 3."""
    image, boxes = painted()
    labels = np.zeros(image.shape[:2], dtype=np.int32)
    for number, (x1, y1, x2, y2) in enumerate(boxes.int().tolist(), start=1):
        labels[y1:y2, x1:x2] = number
    return image, labels


def test_region_features() -> None:
    image, labels = segmented()
    regions = region_features(labels, 4, image, texture_bins(image))
    np.testing.assert_array_equal(np.bincount(labels.ravel()), regions.sizes)
    np.testing.assert_allclose(regions.colors.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(regions.textures.sum(1), 1, rtol=1e-5)
    assert sorted(tuple(pair) for pair in regions.neighbors.tolist()) == [(0, 1), (0, 2), (0, 3)]
    assert regions.boxes.tolist() == [[0, 0, 160, 120], *painted()[1].int().tolist()]
    # All pixels of a rectangle have one color: one full bin in each channel.
    assert (np.sort(regions.colors[1])[-3:] == np.float32(1 / 3)).all()


def test_grouping_merges_neighbors_until_one_region_is_left() -> None:
    image, labels = segmented()
    regions = region_features(labels, 4, image, texture_bins(image))
    for strategy in (Strategy(), Strategy(color=False), Strategy(color=False, texture=False, fill=False)):
        boxes = group(regions, strategy.uses, labels.size)
        assert len(boxes) == 7
        # The rectangles touch only the background, so every merged region contains it and spans the image.
        assert (boxes[4:] == [0, 0, 160, 120]).all()


def test_size_similarity_merges_the_smallest_neighbors_first() -> None:
    # Stripes of widths 10, 20, 40 and 90 merge from the left.
    labels = np.repeat(np.array([0, 1, 2, 3], dtype=np.int32), [10, 20, 40, 90])[None].repeat(30, 0)
    image = np.zeros((30, 160, 3), dtype=np.uint8)
    regions = region_features(np.ascontiguousarray(labels), 4, image, texture_bins(image))
    assert group(regions, (False, False, True, False), labels.size)[4:, 2].tolist() == [30, 70, 160]


def test_color_similarity_merges_similar_colors_first() -> None:
    labels = np.repeat(np.array([0, 1, 2], dtype=np.int32), [40, 40, 40])[None].repeat(30, 0)
    image = np.zeros((30, 120, 3), dtype=np.uint8)
    image[:, 40:80], image[:, 80:] = 200, 203
    regions = region_features(np.ascontiguousarray(labels), 3, image, texture_bins(image))
    assert group(regions, (True, False, False, False), labels.size)[3:].tolist() == [[40, 0, 120, 30], [0, 0, 120, 30]]


def test_hsv_cone_treats_hue_as_an_angle() -> None:
    """Reds on both sides of hue 0 are close, greens are far from both; grays with random hue form one region."""
    saturated = segmentation_values("hsv_cone", np.array([[[1, 200, 90], [178, 200, 90], [60, 200, 90]]], np.uint8))[0]
    assert np.linalg.norm(saturated[0] - saturated[1]) < 11
    assert np.linalg.norm(saturated[0] - saturated[2]) > 150
    assert np.linalg.norm(saturated[0] - saturated[2]) == pytest.approx(200 * np.sin(np.deg2rad(59)), abs=0.01)
    noise = np.random.default_rng(0).integers(180, size=(60, 80))
    grays = np.stack([noise, np.full((60, 80), 4), np.full((60, 80), 120)], 2).astype(np.uint8)
    assert SegmentationGraph(segmentation_values("hsv_cone", grays)).regions(100.0, 100)[1] == 1
    assert SegmentationGraph(segmentation_values("hsv", grays)).regions(100.0, 100)[1] > 1
    all_hues = np.stack([*np.meshgrid(np.arange(180), [0, 128, 255], indexing="ij"), np.zeros((180, 3))], 2).astype(np.uint8)
    assert np.ptp(segmentation_values("hsv_cone", all_hues), axis=(0, 1)).max() <= 255


def test_segmentation_gives_connected_regions() -> None:
    image = data.coffee()[::4, ::4].copy()
    graph = SegmentationGraph(image)
    fine, fine_count = graph.regions(50.0, 50)
    coarse, coarse_count = graph.regions(300.0, 300)
    assert 1 < coarse_count < fine_count
    for labels, count, min_size in ((fine, fine_count, 50), (coarse, coarse_count, 300)):
        sizes = np.bincount(labels.ravel(), minlength=count)
        assert len(sizes) == count
        assert sizes.min() >= min_size
        assert all(connected_components(labels == number, return_num=True, connectivity=2)[1] == 1 for number in range(count))


@pytest.mark.slow
def test_recall_on_photographs(shared: Path) -> None:
    best: list[float] = []
    source = read_source(
        SourceConfig(
            path=str(shared / "data" / "voc100" / "annotations" / "pascalvoc_format"), images=str(shared / "data" / "voc100" / "images")
        )
    )
    for record in source.records[:12]:
        proposals = selective_search(read_image(record.path), "fast")
        best += box_iou(record.targets.boxes, proposals.boxes).amax(1).tolist()
    assert np.mean(np.array(best) >= 0.5) > 0.85
