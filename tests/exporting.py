"""Small detectors that are exported in tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.backbones import BackboneConfig
from detkit.inference import Predictor
from detkit.models import MODELS
from detkit.models.detector import DetectorConfig
from detkit.preprocess import PreprocessConfig

NAMES = ("a", None, "c")
SMALL = PreprocessConfig(short_side=96, long_side=192)
FIXED = PreprocessConfig(rule="fixed", input_size=(96, 128))


def small_config(kind: str) -> DetectorConfig:
    config: Any = MODELS.get(kind)()  # type: ignore[operator]
    backbone = BackboneConfig(name="resnet18", weights=None, levels=config.backbone.levels)
    if kind == "ssd":
        return config.replace(
            backbone=config.backbone.replace(weights=None), preprocess=PreprocessConfig(rule="fixed", input_size=(300, 300))
        )  # type: ignore[no-any-return]
    if kind == "yolov1":
        head = config.head.replace(hidden=(8,), by_cell=True)
        return config.replace(backbone=backbone, preprocess=FIXED, neck=config.neck.replace(channels=(16,)), head=head)  # type: ignore[no-any-return]
    if kind == "detr":
        head = config.head.replace(channels=32, hidden=64, num_queries=9, encoder_layers=1, decoder_layers=2)
        return config.replace(backbone=backbone, preprocess=SMALL, head=head)  # type: ignore[no-any-return]
    if kind in {"rtdetr", "dfine"}:
        neck = config.neck.replace(channels=32, attention_heads=4, hidden=64, depth=0.34, expansion=0.5)
        head = config.head.replace(num_queries=20, channels=32, attention_heads=4, hidden=64, layers=2)
        return config.replace(backbone=backbone, preprocess=FIXED, neck=neck, head=head)  # type: ignore[no-any-return]
    if kind in {"fcos", "retinanet"}:
        config = config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))
    letterbox = config.preprocess.replace(input_size=(96, 96)) if kind == "yolox" else SMALL
    return config.replace(backbone=backbone, preprocess=letterbox)  # type: ignore[no-any-return]


def predictor_of(kind: str, names: tuple[str | None, ...] = NAMES) -> Predictor:
    """Return a predictor with spread scores, so that it has detections everywhere."""
    torch.manual_seed(0)
    config = small_config(kind)
    detector = config.build(len(names)).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
            if kind != "ssd" and "logits" in name and parameter.ndim > 1 and parameter.std() < 0.02:
                parameter.mul_(20)
    detector.hide_unnamed_classes(names)
    return Predictor(detector, config.preprocess, names, "cpu", "fp32", reference=True)


def noise_images(*sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


PHOTO_SHAPES = ((512, 512), (300, 451), (427, 640), (640, 427), (1000, 250), (96, 128))
"""``(height, width)`` of :func:`photographs`."""


def photographs() -> list[NDArray[np.uint8]]:
    """Return 16 photographs, or parts of one, of which no two neighbors have the same shape."""
    import cv2
    from skimage import data

    sources = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.stereo_motorcycle()[0], data.immunohistochemistry()]
    images = []
    for number in range(16):
        source = sources[number % len(sources)]
        part = source[: source.shape[0] - 40 * (number // 6), 30 * (number // 6) :]
        height, width = PHOTO_SHAPES[(number + number // 6) % len(PHOTO_SHAPES)]
        images.append(np.asarray(cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA), np.uint8))
    return images
