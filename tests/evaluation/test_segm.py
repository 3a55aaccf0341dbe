"""AP of masks: equal to pycocotools, through both evaluators, from memory, from files and from a model's detections."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import logging
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detkit.data import SourceConfig, read_source
from detkit.evaluation import COCO_NAMES, CocoNumbers, evaluate_coco, evaluate_coco_files
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.mask_runs import read_segmentation
from detkit.evaluation.segm import WITHOUT_MASK
from detkit.structures import Detections, Masks
from detkit.structures.run_lengths import compressed, decompressed

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "coco_sample"
EVALUATORS = ["hotcoco", "pycocotools"]
SIZE = (60, 80)


def runs(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def blob(rng: np.random.Generator, size: tuple[int, int] = SIZE, largest: int = 40) -> np.ndarray:
    mask = np.zeros(size, bool)
    height, width = rng.integers(1, largest, 2)
    y, x = rng.integers(0, size[0] - 1), rng.integers(0, size[1] - 1)
    mask[y : y + height, x : x + width] = True
    return mask & (rng.random(size) > 0.05)


def annotation(number: int, image: int, category: int, mask: np.ndarray, **values: Any) -> dict[str, Any]:
    ys, xs = np.nonzero(mask)
    box = [int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1] if len(ys) else [0, 0, 0, 0]
    row = {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": int(mask.sum()), "iscrowd": 0}
    return {**row, "segmentation": runs(mask), **values}


def dataset(images: int, annotations: list[dict[str, Any]], size: tuple[int, int] = SIZE) -> dict[str, Any]:
    return {
        "images": [{"id": image, "height": size[0], "width": size[1], "file_name": f"{image}.png"} for image in range(1, images + 1)],
        "categories": [{"id": number, "name": f"class {number}"} for number in (1, 2, 5)],
        "annotations": annotations,
    }


def scene(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Images with up to seven objects and crowds, one without any; masks of one pixel, empty masks, and detections near and far."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, 9):
        for _ in range(rng.integers(0, 8)):
            mask = blob(rng, largest=[2, 12, 40][rng.integers(3)])
            category, crowd = int(rng.choice([1, 2, 5])), bool(rng.random() < 0.2)
            row = annotation(len(annotations) + 1, image, category, mask, iscrowd=int(crowd))
            if crowd:
                row["segmentation"]["counts"] = decompressed(row["segmentation"]["counts"])
            annotations.append(row)
            for _ in range(rng.integers(0, 4)):
                moved = np.roll(mask, rng.integers(-3, 4, 2), (0, 1)) & (rng.random() > 0.1)
                results.append({"image_id": image, "category_id": category, "score": float(rng.random()), "segmentation": runs(moved)})
        results.append({"image_id": image, "category_id": 1, "score": float(rng.random()), "segmentation": runs(blob(rng))})
    return dataset(9, annotations), results


def reference(truth: dict[str, Any], results: list[dict[str, Any]]) -> list[float]:
    """Return the twelve numbers of pycocotools, called as its demo calls it."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = copy.deepcopy(truth)
        ground_truth.createIndex()
        evaluation = COCOeval(ground_truth, ground_truth.loadRes(copy.deepcopy(results)), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats)


def check(numbers: CocoNumbers | None, expected: list[float]) -> None:
    assert numbers is not None
    got = [-1 if np.isnan(numbers[name]) else numbers[name] for name in COCO_NAMES]
    torch.testing.assert_close(torch.tensor(got, dtype=torch.float64), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.oracle("pycocotools", "AP of masks on random scenes", tolerance="1e-9")
@pytest.mark.parametrize("seed", range(4))
def test_random_scenes_equal_pycocotools(seed: int) -> None:
    truth, results = scene(seed)
    expected = reference(truth, results)
    assert expected[0] > 0.005
    for evaluator in EVALUATORS:
        numbers = evaluate_coco(truth, results, evaluator)  # type: ignore[arg-type]
        check(numbers.segm, expected)
        assert numbers.ap != numbers.segm.ap  # type: ignore[union-attr]


def test_boxes_in_the_results_do_not_change_the_sizes_of_masks() -> None:
    truth, results = scene(1)
    boxes = [{**row, "bbox": [0, 0, 79, 59]} for row in results]
    check(evaluate_coco(truth, boxes).segm, reference(truth, results))


def test_an_area_that_is_not_published_is_that_of_the_mask() -> None:
    truth, results = scene(2)
    bare = copy.deepcopy(truth)
    for row in bare["annotations"]:
        del row["area"]
    check(evaluate_coco(bare, results).segm, reference(truth, results))


def test_a_file_with_masks_alone_has_boxes_around_them(tmp_path: Path) -> None:
    truth, results = scene(3)
    for name, content in (("truth", truth), ("results", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    for evaluator in EVALUATORS:
        numbers = evaluate_coco_files(tmp_path / "truth.json", tmp_path / "results.json", evaluator)  # type: ignore[arg-type]
        check(numbers.segm, reference(truth, results))
        assert numbers.ap == pytest.approx(evaluate_coco(truth, results).ap, abs=1e-12)
    content = json.loads(json.dumps(numbers.to_dict(), allow_nan=False))
    assert content["segm"]["values"]["AP"] == pytest.approx(numbers.segm.ap)  # type: ignore[union-attr]
    assert content["segm"].keys() == {"evaluator", "values", "classes", "counts"}
    assert numbers.all_values["segm_AP50"] == numbers.segm["AP50"]  # type: ignore[index]


@pytest.mark.oracle("pycocotools", "AP of masks from polygons", tolerance="1e-9")
def test_polygons_are_rasterized_as_by_pycocotools() -> None:
    rng = np.random.default_rng(0)
    annotations, results = [], []
    for number in range(1, 13):
        center, angles = rng.uniform(15, 45, 2), np.sort(rng.uniform(0, 2 * np.pi, 9))
        outline = center + rng.uniform(4, 14, (9, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        polygon = outline.reshape(-1).round(2).tolist()
        box = [*outline.min(0).tolist(), *np.ptp(outline, 0).tolist()]
        row = {"id": number, "image_id": 1 + number % 2, "category_id": 1, "bbox": box, "area": box[2] * box[3] / 2, "iscrowd": 0}
        annotations.append({**row, "segmentation": [polygon]})
        moved = (outline + rng.normal(0, 1, 2)).reshape(-1).tolist()
        results.append({"image_id": 1 + number % 2, "category_id": 1, "score": float(rng.random()), "segmentation": [moved]})
    truth = dataset(2, annotations)
    with_runs = [
        {**row, "segmentation": runs(coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(row["segmentation"], *SIZE))))}
        for row in results
    ]
    expected = reference(truth, with_runs)
    assert 0.1 < expected[0] < 1
    check(evaluate_coco(truth, results).segm, expected)


def test_no_results_and_no_objects() -> None:
    truth, results = scene(0)
    assert evaluate_coco(truth, []).segm is None
    empty = evaluate_coco({**truth, "annotations": []}, results)
    assert np.isnan(empty.ap)
    assert empty.segm is None


def test_objects_without_a_mask_are_ignored_and_data_without_any_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    truth, results = scene(0)
    rows = [row for row in truth["annotations"] if not row["iscrowd"]]
    removed = [{key: value for key, value in row.items() if key != "segmentation"} for row in rows[:3]]
    numbers = evaluate_coco({**truth, "annotations": [*removed, *rows[3:]]}, results)
    assert numbers.segm is not None
    assert (numbers.segm.counts.boxes, numbers.segm.counts.ignored) == (len(rows) - 3, 3)
    assert numbers.segm.counts.left_out == {WITHOUT_MASK: 3}
    assert numbers.counts.boxes == len(rows)
    with caplog.at_level(logging.WARNING):
        assert evaluate_coco({**truth, "annotations": removed}, results).segm is None
    assert "no labeled object has a mask" in caplog.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"size": [60, 80], "counts": "11"}, "4,800 pixels"),
        ({"size": [60, 80], "counts": [10, -5, 4795]}, "4,800 pixels"),
        ({"size": [60, 80], "counts": ["a"]}, "whole numbers"),
        ({"size": [60, 80], "counts": "P"}, "compressed run lengths"),
        ({"size": [80, 60], "counts": [4800]}, r"80 x 60 pixels \(width x height\), got 60 x 80"),
        ({"size": [0, 80], "counts": []}, "expected polygons"),
        ({"counts": [4800]}, "expected polygons"),
        ([[1, 2, 3, 4, 5]], "expected polygons"),
        ("mask.png", "expected polygons"),
        (7, "expected polygons"),
        (None, "as in other rows"),
    ],
)
def test_a_wrong_mask_is_named(value: Any, message: str) -> None:
    truth, results = scene(0)
    results = [{**row, "bbox": [0, 0, 9, 9]} for row in results]
    results[4]["segmentation"] = value
    with pytest.raises(ValueError, match=rf"^results\[4\]\.segmentation.*{message}"):
        evaluate_coco(truth, results)


def test_run_lengths_of_any_length_are_checked() -> None:
    rng = np.random.default_rng(3)
    for scale in (3, 40, 5000, 200_000):
        counts = rng.integers(0, scale, 41).tolist()
        size = [1, sum(counts)]
        for value in (counts, compressed(counts), compressed(counts).encode()):
            checked = read_segmentation({"size": size, "counts": value}, "")
            assert isinstance(checked, dict)
            assert checked["counts"] == (counts if isinstance(value, list) else compressed(counts))


def model_detections(results: list[dict[str, Any]], image: int) -> Detections:
    rows = [row for row in results if row["image_id"] == image]
    masks = Masks.of_arrays([coco_mask.decode(row["segmentation"]) for row in rows])
    labels = torch.tensor([{1: 0, 2: 2, 5: 1}[row["category_id"]] for row in rows], dtype=torch.int64)
    scores = torch.tensor([row["score"] for row in rows], dtype=torch.float64).float()
    return Detections(torch.from_numpy(masks.boxes), scores, labels, masks=masks)


NAMES = ("class 1", "class 5", "class 2", "other")


@pytest.mark.oracle("pycocotools", "AP of a model's masks", tolerance="1e-9")
@pytest.mark.parametrize("kind", ["file", "records"])
def test_a_model_with_masks_on_a_data_set(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    truth, results = scene(5)
    for row in results:
        row["score"] = float(np.float32(row["score"]))
    truth["annotations"] = [row for row in truth["annotations"] if row["bbox"][2]]  # readers leave out objects without area
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for image in truth["images"]:
        Image.new("RGB", SIZE[::-1]).save(tmp_path / image["file_name"])
    data = read_source(SourceConfig(path=str(tmp_path / "truth.json")))
    if kind == "records":
        data = dataclasses.replace(data, coco_file=None)
    evaluator = Evaluator(data, NAMES)
    for record in data.records:
        evaluator.add(record, model_detections(results, int(record.image_id)))
    check(evaluator.numbers().segm, reference(truth, results))
    evaluator.write_results(tmp_path / "written.json")
    written = evaluate_coco_files(tmp_path / "truth.json", tmp_path / "written.json")
    check(written.segm, reference(truth, results))
    assert written.values == pytest.approx(evaluator.numbers().values, nan_ok=True)


def test_detections_without_masks_have_no_segm() -> None:
    truth, results = scene(5)
    assert evaluate_coco(truth, [{**row, "bbox": [0, 0, 9, 9], "segmentation": row["segmentation"]} for row in results]).segm is not None
    boxes = [{key: value for key, value in {**row, "bbox": [0, 0, 9, 9]}.items() if key != "segmentation"} for row in results]
    numbers = evaluate_coco(truth, boxes)
    assert numbers.segm is None
    assert "segm" not in numbers.to_dict()


def test_500_objects_of_a_large_image_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    size = (1000, 1200)
    crops = [(rng.random((20, 20)) > 0.2, int(x), int(y)) for x, y in rng.integers(0, 980, (500, 2))]
    masks = Masks.of(crops)  # type: ignore[arg-type]
    rows = [
        {
            "id": row + 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [x, y, 20, 20],
            "area": int(crop.sum()),
            "iscrowd": 0,
            "segmentation": masks.runs(row, size),
        }
        for row, (crop, x, y) in enumerate(crops)
    ]
    results = [{"image_id": 1, "category_id": 1, "score": 1 - row["id"] / 1000, "segmentation": row["segmentation"]} for row in rows]
    truth = dataset(1, rows, size)
    tracemalloc.start()
    numbers = evaluate_coco(truth, results)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # all at once as arrays: 600 MB
    assert numbers.segm is not None
    assert numbers.segm["AR100"] == pytest.approx(0.2)


@pytest.mark.oracle("pycocotools", "AP of perturbed masks of COCO", tolerance="1e-9")
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/coco_sample")
def test_perturbed_masks_of_coco_equal_pycocotools() -> None:
    truth = json.loads((SHARED / "instances.json").read_text())
    rng, sizes = np.random.default_rng(0), {row["id"]: (row["height"], row["width"]) for row in truth["images"]}
    known = sorted({row["image_id"] for row in truth["annotations"] if row["segmentation"]})[::8]  # the others have no masks
    truth["images"] = [row for row in truth["images"] if row["id"] in known]
    truth["annotations"] = [row for row in truth["annotations"] if row["image_id"] in known and row["segmentation"]]
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = truth
        ground_truth.createIndex()
    results = []
    for row in truth["annotations"]:
        if row["iscrowd"] or rng.random() < 0.2:
            continue
        mask = np.roll(ground_truth.annToMask(row), rng.integers(-4, 5, 2), (0, 1))
        assert mask.shape == sizes[row["image_id"]]
        keys = {key: row[key] for key in ("image_id", "category_id")}
        results.append({**keys, "score": float(rng.random()), "segmentation": runs(mask)})
    expected = reference(truth, results)
    assert 0.3 < expected[0] < 0.9
    check(evaluate_coco(truth, results).segm, expected)
    check(evaluate_coco(truth, results, "pycocotools").segm, expected)
