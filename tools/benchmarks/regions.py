"""Detectors that are told where to look, at the same proposals: each region by itself, or all of them from maps of the whole image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Report, in_turn

RCNN, SPP_ONE, SPP_FIVE, FAST = "R-CNN", "SPPNet, one scale", "SPPNet, five scales", "Fast R-CNN"
TARGETS = {FAST: 20.0}
"""How many times as fast as R-CNN a detector should be, where that is an aim."""
FEATURES_TARGET = 2.0
"""How many times as fast R-CNN's pass over the regions of a image should be as a loop over them."""
CROPS = 100
"""Regions of the comparison with a loop."""
CLASSES = 20
NOTHING_SHOWN = 0.999
"""Least score of a detection: which regions are chosen, where nothing was learned, is no matter of speed."""


@dataclass(frozen=True)
class Sizes:
    """What the detectors are made of: how many proposals, pixels of R-CNN's regions, and numbers behind each fully connected layer."""

    proposals: int = 2000
    warp: int = 227
    hidden: int = 4096


def regions(rounds: int, backbone: str, sizes: Sizes, image: str | None = None) -> Report:
    """Seconds from pixels to detections, proposals left out; what those take apart; and R-CNN's pass over regions against a loop."""
    from detkit.proposals import ProposalsConfig

    pixels = _pixels(image)
    proposer = ProposalsConfig(mode="quality", max_proposals=sizes.proposals).build()
    found = proposer(pixels)
    begun = time.perf_counter()
    proposer(pixels)
    searching = time.perf_counter() - begun
    predictors = {name: _predictor(config, found) for name, config in _configs(backbone, sizes).items()}
    passes, loop = _feature_passes(predictors[RCNN], pixels, rounds)
    sides: dict[str, Callable[[], object]] = {name: (lambda one=one: one(pixels)) for name, one in predictors.items()}  # type: ignore[misc]
    # R-CNN is warm by now, and looks at so many regions that once is enough.
    seconds = in_turn({RCNN: sides.pop(RCNN)}, 1, warm_up=0) | in_turn(sides, rounds, warm_up=1)
    gain, medians = statistics.median(loop) / statistics.median(passes), {name: statistics.median(times) for name, times in seconds.items()}
    between = medians[FAST] < medians[SPP_FIVE] < medians[RCNN]
    notes = [
        f"{len(found)} proposals by selective search (quality) in {searching:.3f} s, which every side needs besides",
        f"SPPNet with five scales between the two: {'reached' if between else 'MISSED'}",
        f"R-CNN's features of {min(CROPS, len(found))} regions: {statistics.median(passes):.3f} s; one crop at a time in fp32: "
        f"{statistics.median(loop):.3f} s, {gain:.1f}x (wanted {FEATURES_TARGET:g}x: {'reached' if gain >= FEATURES_TARGET else 'MISSED'})",
    ]
    numbers = {
        "proposals": len(found),
        "proposal_seconds": searching,
        "feature_seconds": passes,
        "loop_seconds": loop,
        "feature_gain": gain,
    }
    title = f"Detectors on {len(found)} proposals of a image of {pixels.shape[1]}x{pixels.shape[0]}, {backbone}, warp {sizes.warp}"
    return Report(title, seconds, TARGETS, notes, numbers)


def _pixels(image: str | None) -> np.ndarray[Any, Any]:
    from detkit.cli.inputs import sample_photograph
    from detkit.data import read_image

    return read_image(sample_photograph() if image is None else Path(image))


def _configs(backbone: str, sizes: Sizes) -> dict[str, Any]:
    """The papers' detectors on one backbone; the numbers by which images are resized are the papers'."""
    from detkit.backbones import BackboneConfig
    from detkit.heads.region import TwoFCConfig
    from detkit.models.fast_rcnn import FastRCNNConfig
    from detkit.models.rcnn import RCNNConfig
    from detkit.models.sppnet import FIVE_SCALES, SPPNetConfig
    from detkit.preprocess import PreprocessConfig

    def made(config: Any) -> Any:
        return config.replace(region=config.region.replace(head=TwoFCConfig(hidden=sizes.hidden), min_score=NOTHING_SHOWN))

    whole, each = (BackboneConfig(name=backbone, weights=None, levels=(level,)) for level in ("c4", "c5"))
    spp = made(SPPNetConfig(backbone=whole))
    return {
        RCNN: made(RCNNConfig(backbone=each, warp_size=sizes.warp)),
        SPP_FIVE: spp.replace(preprocess=PreprocessConfig(short_side=1200, long_side=2000), scales=FIVE_SCALES),
        SPP_ONE: spp,
        FAST: made(FastRCNNConfig(backbone=whole, preprocess=PreprocessConfig(short_side=600, long_side=1000))),
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
    """Seconds of R-CNN's pass over regions of a image as it is made, and of one over the same crops one at a time, in fp32."""
    from detkit.inference import Predictor
    from detkit.ops.warp import warped, with_context

    torch.manual_seed(0)
    plain = Predictor(predictor.detector.config.build(CLASSES), predictor.preprocess, predictor.class_names, "cpu", reference=True)
    prepared = predictor.prepare(pixels)
    boxes = prepared.proposals.boxes[:CROPS]

    def together() -> None:
        with predictor.running() as detector:
            batch = detector.prepare([prepared.image])
            detector.region.head(detector.region.pooled(detector.source(detector.maps(batch.images)), [boxes]))

    def one_by_one() -> None:
        with plain.running() as detector:
            (image,) = detector.prepare([prepared.image]).images
            source, config = detector.source((image[None],)), detector.config
            for box in boxes:
                crop = warped(image, with_context(box[None], config.warp, config.context), config.warp)
                detector.region.head(source._seen(crop))

    seconds = in_turn({"together": together, "one by one": one_by_one}, rounds, warm_up=1)
    return seconds["together"], seconds["one by one"]
