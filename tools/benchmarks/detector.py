"""Cost of one image for a trained detector, as users run it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice

from benchmarks.timing import Report
from detkit.data.media.images import read_image
from detkit.diagnostics.cost import profile
from detkit.experiment.evaluation_run import labeled_data
from detkit.inference import load
from detkit.inference.detectors import load_detector

WARM_UP = 3


def detector(checkpoint: str, data: str, split: str | None, limit: int) -> Report:
    """Report parameters, GFLOPs at the most common image size, and seconds from pixels to detections, in the default precision."""
    labeled = labeled_data(checkpoint, data, split=split)
    images = [read_image(record.path) for record in islice(labeled.records, limit)]
    predictor = load(checkpoint, "cpu")
    for image in images[:WARM_UP]:
        predictor(image)
    seconds = []
    for image in images:
        start = time.perf_counter()
        predictor(image)
        seconds.append(time.perf_counter() - start)
    size = Counter((image.shape[0], image.shape[1]) for image in images).most_common(1)[0][0]
    # The predictor's own network is optimized for the processor: its kernels and folded norms would not be counted.
    counted = profile(load_detector(checkpoint).detector, predictor.preprocess, size)
    numbers = {"parameters": counted.parameters, "gflops": counted.flops / 1e9, "image": size, "precision": predictor.precision}
    notes = [f"{counted.parameters:,} parameters, {counted.flops / 1e9:.1f} GFLOPs on an image of {size[0]}x{size[1]}"]
    return Report(f"{checkpoint} on {len(images)} images of {labeled.name}", {predictor.precision: seconds}, {}, notes, numbers)
