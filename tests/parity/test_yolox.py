"""YOLOX compared with an independent implementation under the names of its files, and with its ONNX file run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision.ops import batched_nms
from yolox_reference import SIZES, YOLOX

from detkit.data.media.images import read_image
from detkit.inference import Predictor
from detkit.models.detector import Detector
from detkit.models.loading.checkpoints import LoadedDetector
from detkit.models.published import load_published, publication
from detkit.models.published.yolox import convert, execution_order, stem_weights
from detkit.ops.boxes import clip_boxes
from detkit.preprocess import preprocess

SIDE = 416


def raw_outputs(detector: Detector, images: list[Tensor]) -> Tensor:
    """Raw outputs ``(B, N, 85)`` in the order of the published network, deltas first."""
    logits, objectness, deltas = detector.raw(detector.prepare(images))[:3]
    return torch.cat((deltas, objectness.sigmoid(), logits.sigmoid()), -1)


def decode_outputs(outputs: Tensor) -> Tensor:
    """``(N, 85)`` for 416 x 416 pixels with center and size in pixels (the code's ``decode_outputs``)."""
    rows = []
    for stride in (8, 16, 32):
        y, x = torch.meshgrid(torch.arange(SIDE // stride), torch.arange(SIDE // stride), indexing="ij")
        rows.append(torch.stack((x, y, torch.full_like(x, stride)), 2).reshape(-1, 3))
    cells = torch.cat(rows)
    corner, stride = cells[:, :2], cells[:, 2:]
    return torch.cat(((outputs[:, :2] + corner) * stride, outputs[:, 2:4].exp() * stride, outputs[:, 4:]), 1)


def fill(model: nn.Module) -> None:
    """Set random weights under which values neither vanish nor amplify rounding errors: norms change their input only a little."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="linear")
        if isinstance(part, nn.BatchNorm2d):
            for value, low, high in (
                (part.running_mean, -0.1, 0.1),
                (part.running_var, 0.7, 1.4),
                (part.weight, 1.3, 1.7),
                (part.bias, -0.2, 0.2),
            ):
                nn.init.uniform_(value, low, high)
    model.backbone.backbone.stem.conv.conv.weight.div_(128)  # for inputs of 0 to 255


@pytest.mark.oracle(
    "independent YOLOX",
    "names and shapes of all tensors of the released files",
    tolerance="equal",
    version="written for the test, under the names of the released files",
    tensors=("yolox_nano", "yolox_tiny", "yolox_s", "yolox_m", "yolox_l", "yolox_x"),
)
@pytest.mark.parametrize("size", SIZES)
def test_the_tensors_of_every_released_file_can_be_converted(size: str) -> None:
    with torch.device("meta"):
        reference = YOLOX(size).state_dict()
        entry = publication(f"yolox_{size}")
        own = entry.config.build(80).state_dict()
    converted = entry.convert(reference)
    assert {name: tuple(tensor.shape) for name, tensor in converted.items()} == {name: tuple(tensor.shape) for name, tensor in own.items()}


@pytest.mark.oracle(
    "independent YOLOX",
    "raw outputs of YOLOX",
    tolerance="1e-4 of the largest",
    version="written for the test, under the names of the released files",
    models=("yolox_nano", "yolox_tiny", "yolox_s", "yolox_m"),
)
@pytest.mark.parametrize("size", ["nano", *(pytest.param(size, marks=pytest.mark.slow) for size in ("tiny", "s", "m"))])
@torch.no_grad()
def test_a_released_file_gives_the_same_outputs(size: str, photographs: list[Tensor], tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = photographs[0][None]
    reference = YOLOX(size)
    fill(reference)
    torch.save({"model": reference.eval().state_dict(), "start_epoch": 300}, tmp_path / f"yolox_{size}.pth")
    detector = load_published(f"yolox_{size}", tmp_path / f"yolox_{size}.pth").detector
    expected = reference(images.flip(1) * 255)
    assert float(expected[..., :4].std()) > 0.01  # otherwise agreement would mean little
    torch.testing.assert_close(raw_outputs(detector, list(images)), expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_the_converted_stem_equals_the_published_focus_layer() -> None:
    torch.manual_seed(0)
    weights, image = torch.randn(5, 12, 3, 3), torch.rand(1, 3, 10, 14)
    blocks = torch.cat([image.flip(1)[..., top::2, left::2] for left in (0, 1) for top in (0, 1)], 1)
    expected = nn.functional.conv2d(blocks, weights, padding=1)
    torch.testing.assert_close(nn.functional.conv2d(image, stem_weights(weights), stride=2, padding=2), expected)


@pytest.fixture(scope="module")
def convolutions(shared: Path) -> Path:
    return shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz"


@pytest.fixture(scope="module")
def nano(convolutions: Path) -> LoadedDetector:
    return load_published("yolox_nano", convolutions)


@pytest.fixture(scope="module")
def session(shared: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(str(shared / "weights" / "yolox_nano_coco.onnx"), providers=["CPUExecutionProvider"])


def onnx_outputs(session: Any, image: Tensor) -> Tensor:
    """Outputs ``(N, 85)``, deltas first, for an RGB image in [0, 1]."""
    return torch.from_numpy(session.run(None, {"images": (image.flip(0) * 255)[None].numpy()})[0])[0]


def photograph_files(shared: Path) -> dict[int, Path]:
    truth = json.loads((shared / "data" / "coco_sample" / "instances.json").read_text())
    return {row["id"]: shared / "data" / "coco_sample" / "images" / row["file_name"] for row in truth["images"]}


def test_convolutions_run_in_the_order_of_the_file(convolutions: Path, nano: LoadedDetector) -> None:
    parts = [nano.detector.get_submodule(name) for name in execution_order(nano.detector)]
    stated = json.loads(convolutions.with_suffix(".json").read_text())
    assert len(parts) == len(stated) == 113
    for part, row in list(zip(parts, stated, strict=True))[1:]:  # the first is the stem, which has another shape in detkit
        actual = {
            "shape": list(part.weight.shape),
            "stride": list(part.stride),
            "group": part.groups,
            "pads": [*part.padding, *part.padding],
        }
        assert actual == {key: row[key] for key in actual}


def test_a_file_with_another_number_of_convolutions_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected 113 convolutions, numbered from 000, each with weight and bias, got 1 tensors"):
        convert({"000.weight": torch.zeros(16, 12, 3, 3)}, publication("yolox_nano").config)


@pytest.mark.oracle("onnxruntime", "raw outputs of the published ONNX file of YOLOX-Nano", tolerance="1e-3", models=("yolox_nano",))
@torch.no_grad()
def test_raw_outputs_equal_onnxruntime(shared: Path, nano: LoadedDetector, session: Any) -> None:
    for path in list(photograph_files(shared).values())[:2]:
        image = preprocess(read_image(path), nano.config.preprocess).image
        torch.testing.assert_close(raw_outputs(nano.detector, [image])[0], onnx_outputs(session, image), atol=1e-3, rtol=0)


@pytest.mark.oracle(
    "onnxruntime",
    "detections of the published ONNX file and postprocessing of YOLOX-Nano",
    tolerance="boxes 1e-3 px, scores 1e-5, same labels",
)
@torch.no_grad()
def test_detections_equal_the_published_postprocessing(shared: Path, nano: LoadedDetector, session: Any) -> None:
    path = next(iter(photograph_files(shared).values()))
    image = preprocess(read_image(path), nano.config.preprocess).image
    boxes, scores, labels = published_postprocess(onnx_outputs(session, image))
    (detections,) = nano.detector([image])
    assert len(detections) == len(scores) > 10
    torch.testing.assert_close(detections.scores, scores, atol=1e-5, rtol=0)
    assert torch.equal(detections.labels, labels)
    torch.testing.assert_close(detections.boxes, boxes.clamp(0, SIDE), atol=1e-3, rtol=0)


def published_postprocess(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and labels by the rules of the code's evaluation (``yolox_base.py``: .01 and .65)."""
    outputs = decode_outputs(outputs)
    best, labels = outputs[:, 5:].max(1)
    scores = outputs[:, 4] * best
    keep = scores >= 0.01
    boxes, scores, labels = (
        torch.cat((outputs[:, :2] - outputs[:, 2:4] / 2, outputs[:, :2] + outputs[:, 2:4] / 2), 1)[keep],
        scores[keep],
        labels[keep],
    )
    rows = batched_nms(boxes, scores, labels, 0.65)
    return boxes[rows], scores[rows], labels[rows]


def published_letterbox(pixels: np.ndarray) -> tuple[Tensor, float]:
    """The result of the code's ``preproc`` with OpenCV, as RGB in [0, 1], and its scale."""
    import cv2

    scale = min(SIDE / pixels.shape[0], SIDE / pixels.shape[1])
    height, width = int(pixels.shape[0] * scale), int(pixels.shape[1] * scale)
    canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
    canvas[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(canvas).permute(2, 0, 1).float() / 255, scale


def average_precision(truth: COCO, results: list[dict[str, Any]]) -> float:
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def rows_of(image: int, boxes: Tensor, scores: Tensor, categories: list[int]) -> list[dict[str, Any]]:
    sides = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1).tolist()
    rows = zip(sides, scores.tolist(), categories, strict=True)
    return [{"image_id": image, "category_id": category, "bbox": box, "score": score} for box, score, category in rows]


@pytest.mark.oracle("opencv-python", "letterbox of YOLOX's published code", tolerance="1e-6")
def test_letterbox_equals_the_published_code(shared: Path, nano: LoadedDetector) -> None:
    for path in list(photograph_files(shared).values())[:8]:
        pixels = read_image(path)
        torch.testing.assert_close(preprocess(pixels, nano.config.preprocess).image, published_letterbox(pixels)[0], atol=1e-6, rtol=0)


@pytest.mark.oracle("onnxruntime", "AP of the published ONNX file of YOLOX-Nano, whole pipelines", tolerance="AP 0.0003")
@pytest.mark.slow
@torch.no_grad()
def test_ap_equals_that_of_the_onnx_file(shared: Path, nano: LoadedDetector, session: Any) -> None:
    """Compare the full pipelines: detkit's predictor, and the ONNX file with the code's letterbox, postprocessing and scale.

    They differ in one thing: detkit clips detections to the image, while the code's evaluation keeps boxes that extend beyond it. Such a
    box has a lower IoU with ground truth that ends at the edge, so the ONNX file is evaluated both ways: clipped, AP is equal; otherwise,
    it is 0.0007 lower.
    """
    files = photograph_files(shared)
    truth = COCO(str(shared / "data" / "coco_sample" / "instances.json"))
    ids = {row["name"]: row["id"] for row in truth.dataset["categories"]}
    categories = [ids[name] for name in nano.class_names]
    predictor = Predictor(nano.detector, nano.config.preprocess, nano.class_names, "cpu", "fp32")
    own, clipped, unclipped = [], [], []
    for image_id, path in files.items():
        image = read_image(path)
        detections = predictor(image)
        own += rows_of(image_id, detections.boxes, detections.scores, [categories[label] for label in detections.labels.tolist()])
        pixels, scale = published_letterbox(image)
        boxes, scores, labels = published_postprocess(onnx_outputs(session, pixels))
        names = [categories[label] for label in labels.tolist()]
        unclipped += rows_of(image_id, boxes / scale, scores, names)
        clipped += rows_of(image_id, clip_boxes(boxes / scale, (image.shape[0], image.shape[1])), scores, names)
    ap, clipped_ap, unclipped_ap = (average_precision(truth, rows) for rows in (own, clipped, unclipped))
    print(f"AP on coco_sample: detkit {ap:.4f}, ONNX file {clipped_ap:.4f}, without clipping {unclipped_ap:.4f}")
    assert ap == pytest.approx(clipped_ap, abs=0.0003)
    assert ap == pytest.approx(unclipped_ap, abs=0.001)
