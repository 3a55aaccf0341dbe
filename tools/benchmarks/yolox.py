"""YOLOX-Nano compared with its published ONNX file in onnxruntime, with itself unfused, and with its exported file."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from benchmarks.timing import Report, in_turn
from detkit.arrays import ImageArray
from detkit.cli.report import table
from detkit.data.media.images import read_image
from detkit.export import ExportSettings, export_onnx
from detkit.inference import Predictor, load
from detkit.inference.exported.onnx import OnnxRuntime
from detkit.models.published import load_published
from detkit.preprocess import preprocess

SIDE = 416
PEER, EAGER, FUSED, EXPORTED = "onnxruntime", "detkit eager fp32", "detkit fp32", "detkit exported"
MAX_RATIO, MIN_SPEEDUP = 1.7, 3.0
"""Maximum time relative to the published file in onnxruntime, and minimum speed-up over our unfused model."""


def yolox(rounds: int, onnx: str, weights: str, image_path: str) -> Report:
    """Time the network alone, and the whole call from a decoded image to detections in its pixels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    published = load_published("yolox_nano", weights)
    pixels = read_image(image_path)
    image = preprocess(pixels, published.config.preprocess).image
    blob = (image.flip(0) * 255)[None].numpy()
    sides: dict[str, Callable[[], Any]] = {
        f"{PEER}, network": partial(session.run, None, {"images": blob}),
        f"{PEER}, whole call": partial(_peer, session, pixels),
    }
    predictors = {
        name: Predictor(published.detector, published.config.preprocess, published.class_names, "cpu", "fp32", reference=reference)
        for name, reference in ((EAGER, True), (FUSED, False))
    }
    predictors[EXPORTED] = _exported(predictors[EAGER], pixels)
    for name, predictor in predictors.items():
        sides |= {f"{name}, network": _network(predictor, image), f"{name}, whole call": partial(predictor, pixels)}
    counts = ", ".join(f"{name} {len(sides[f'{name}, whole call']())}" for name in (PEER, *predictors))
    with torch.no_grad():
        seconds = in_turn(sides, rounds, before=2)
    title = f"YOLOX-Nano at {SIDE} pixels, one image of {pixels.shape[0]}x{pixels.shape[1]}"
    return Report(title, seconds, {}, [_comparison(seconds), f"detections: {counts}"])


def _network(predictor: Predictor, image: Tensor) -> Callable[[], Any]:
    """Return a call of the network alone, without padding and without decoding."""
    if isinstance(predictor.runtime, OnnxRuntime):
        return partial(predictor.runtime.run, {"images": predictor.runtime.stack([image.numpy()])})
    return partial(predictor.detector.raw, predictor.detector.prepare([image]))


def _exported(predictor: Predictor, pixels: ImageArray) -> Predictor:
    """Export the detector without NMS, which the peer's file does not hold either, and load the file."""
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(predictor, f"{folder}/yolox.onnx", [pixels], ExportSettings(outputs="locations"))
        return load(f"{folder}/yolox.onnx")


def _comparison(seconds: dict[str, list[float]]) -> str:
    rows = []
    for part, name in itertools.product(("network", "whole call"), (FUSED, EXPORTED)):
        peer, eager, own = (statistics.median(seconds[f"{side}, {part}"]) for side in (PEER, EAGER, name))
        ratio, speedup = own / peer, eager / own
        verdict = "reached" if ratio <= MAX_RATIO and speedup >= MIN_SPEEDUP else "MISSED"
        rows.append(
            (part, name, f"{own * 1e3:.1f}", f"{peer * 1e3:.1f}", f"{ratio:.2f}x", f"{eager * 1e3:.1f}", f"{speedup:.2f}x", verdict)
        )
    target = f"at most {MAX_RATIO}x, at least {MIN_SPEEDUP:g}x"
    headings = ("part", "side", "ms", "onnxruntime ms", "ratio", "eager ms", "speed-up", target)
    return table(rows, headings, set(headings[2:-1]))


def _peer(session: Any, pixels: ImageArray) -> Tensor:
    """Detect as YOLOX's code does: letterbox by OpenCV, decoding and NMS by torch and torchvision."""
    scale = min(SIDE / pixels.shape[0], SIDE / pixels.shape[1])
    height, width = int(pixels.shape[0] * scale), int(pixels.shape[1] * scale)
    canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
    canvas[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)[..., ::-1]
    blob = np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32)[None]
    outputs = torch.from_numpy(session.run(None, {"images": blob})[0])[0]
    best, labels = outputs[:, 5:].max(1)
    scores = outputs[:, 4] * best
    keep = scores >= 0.01
    offsets, strides = _cells()
    centers, halves = (outputs[:, :2] + offsets) * strides, outputs[:, 2:4].exp() * strides / 2
    boxes = torch.cat((centers - halves, centers + halves), 1)[keep] / scale
    rows = batched_nms(boxes, scores[keep], labels[keep], 0.65)
    return torch.cat((boxes[rows], scores[keep][rows, None], labels[keep][rows, None]), 1)


def _cells() -> tuple[Tensor, Tensor]:
    offsets, strides = [], []
    for stride in (8, 16, 32):
        y, x = torch.meshgrid(torch.arange(SIDE // stride), torch.arange(SIDE // stride), indexing="ij")
        offsets.append(torch.stack((x, y), 2).reshape(-1, 2))
        strides.append(torch.full((len(offsets[-1]), 1), stride))
    return torch.cat(offsets), torch.cat(strides)
