"""Detectors on precomputed proposals: R-CNN computes each region by itself, the others pool all regions from shared feature maps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Report, in_turn

RCNN, SPP_ONE, SPP_FIVE, FAST = "R-CNN", "SPPNet, one scale", "SPPNet, five scales", "Fast R-CNN"
TARGETS = {FAST: 20.0}
"""Target speed-up over R-CNN, where there is one."""
FEATURES_TARGET = 2.0
"""Target speed-up of R-CNN's pass over the regions of an image over a loop over single regions."""
CROPS = 100
"""Number of regions in the comparison with a loop."""
CLASSES = 20
NO_DETECTIONS = 0.999
"""Minimum score of a detection: the detectors are untrained, so none is reported and postprocessing costs nothing."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the detectors: number of proposals, side of R-CNN's warped regions in pixels, width of the fully connected layers."""

    proposals: int = 2000
    warp: int = 227
    hidden: int = 4096


def regions(rounds: int, backbone: str, sizes: Sizes, image: str | None = None) -> Report:
    """Time detection without proposals, the proposals separately, and R-CNN's pass over regions against a loop."""
    from detkit.proposals import ProposalsConfig

    pixels = _pixels(image)
    proposer = ProposalsConfig(mode="quality", max_proposals=sizes.proposals).build()
    proposals = proposer(pixels)
    start = time.perf_counter()
    proposer(pixels)
    search_seconds = time.perf_counter() - start
    predictors = {name: _predictor(config, proposals) for name, config in _configs(backbone, sizes).items()}
    passes, loop = _feature_passes(predictors[RCNN], pixels, rounds)
    sides: dict[str, Callable[[], object]] = {name: partial(predictor, pixels) for name, predictor in predictors.items()}
    # R-CNN is warm by now, and one round is enough, because it processes many regions.
    seconds = in_turn({RCNN: sides.pop(RCNN)}, 1, warm_up=0) | in_turn(sides, rounds, warm_up=1)
    gain, medians = statistics.median(loop) / statistics.median(passes), {name: statistics.median(times) for name, times in seconds.items()}
    between = medians[FAST] < medians[SPP_FIVE] < medians[RCNN]
    notes = [
        f"{len(proposals)} proposals by selective search (quality) in {search_seconds:.3f} s, which every side needs in addition",
        f"SPPNet with five scales is faster than R-CNN and slower than Fast R-CNN: {'reached' if between else 'MISSED'}",
        f"R-CNN's features of {min(CROPS, len(proposals))} regions: {statistics.median(passes):.3f} s; one crop at a time in fp32: "
        f"{statistics.median(loop):.3f} s, {gain:.1f}x (target {FEATURES_TARGET:g}x: {'reached' if gain >= FEATURES_TARGET else 'MISSED'})",
    ]
    numbers = {
        "proposals": len(proposals),
        "proposal_seconds": search_seconds,
        "feature_seconds": passes,
        "loop_seconds": loop,
        "feature_gain": gain,
    }
    title = f"Detectors on {len(proposals)} proposals of an image of {pixels.shape[1]}x{pixels.shape[0]}, {backbone}, warp {sizes.warp}"
    return Report(title, seconds, TARGETS, notes, numbers)


def _pixels(image: str | None) -> np.ndarray[Any, Any]:
    from detkit.cli.inputs import sample_photograph
    from detkit.data import read_image

    return read_image(sample_photograph() if image is None else Path(image))


def _configs(backbone: str, sizes: Sizes) -> dict[str, Any]:
    """Return the detectors of the papers on one backbone, with the papers' image sizes."""
    from detkit.backbones import BackboneConfig
    from detkit.heads.region.layers import TwoFCConfig
    from detkit.models.fast_rcnn import FastRCNNConfig
    from detkit.models.rcnn import RCNNConfig
    from detkit.models.sppnet import FIVE_SCALES, SPPNetConfig
    from detkit.preprocess import PreprocessConfig

    def resized(config: Any) -> Any:
        return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=sizes.hidden), min_score=NO_DETECTIONS))

    shared, per_region = (BackboneConfig(name=backbone, weights=None, levels=(level,)) for level in ("c4", "c5"))
    spp = resized(SPPNetConfig(backbone=shared))
    return {
        RCNN: resized(RCNNConfig(backbone=per_region, warp_size=sizes.warp)),
        SPP_FIVE: spp.replace(preprocess=PreprocessConfig(short_side=1200, long_side=2000), scales=FIVE_SCALES),
        SPP_ONE: spp,
        FAST: resized(FastRCNNConfig(backbone=shared, preprocess=PreprocessConfig(short_side=600, long_side=1000))),
    }


def _predictor(config: Any, proposals: Any) -> Any:
    from detkit.inference import Predictor

    torch.manual_seed(0)
    detector = config.build(CLASSES)
    if detector.region.fitted is not None:  # as after the stages that fit them
        detector.region.fitted.has_svm.fill_(True)
        detector.region.fitted.has_boxes.fill_(True)
        detector.region.fitted.svm.bias.data.fill_(-10.0)
    names = [f"class {number}" for number in range(CLASSES)]
    return Predictor(detector, config.preprocess, names, "cpu", proposer=lambda image: proposals)


def _feature_passes(predictor: Any, pixels: np.ndarray[Any, Any], rounds: int) -> tuple[list[float], list[float]]:
    """Time R-CNN's pass over the regions of an image, and a loop over the same crops, one at a time in fp32."""
    from detkit.inference import Predictor
    from detkit.ops.warp import add_context, warp_regions

    torch.manual_seed(0)
    plain = Predictor(predictor.detector.config.build(CLASSES), predictor.preprocess, predictor.class_names, "cpu", reference=True)
    prepared = predictor.prepare(pixels)
    boxes = prepared.proposals.boxes[:CROPS]

    def together() -> None:
        with predictor.running() as detector:
            batch = detector.prepare([prepared.image])
            detector.region.head(detector.region.pooled(detector.region_source(detector.maps(batch.images)), [boxes]))

    def one_by_one() -> None:
        with plain.running() as detector:
            (image,) = detector.prepare([prepared.image]).images
            source, config = detector.region_source((image[None],)), detector.config
            for box in boxes:
                crop = warp_regions(image, add_context(box[None], config.warp_size, config.context_pixels), config.warp_size)
                detector.region.head(source._feature_map(crop))

    seconds = in_turn({"together": together, "one by one": one_by_one}, rounds, warm_up=1)
    return seconds["together"], seconds["one by one"]
