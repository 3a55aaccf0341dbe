"""What one picture costs a trained detector, as a person runs it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice

from benchmarks.timing import Report
from detkit.data.images import read_image
from detkit.experiment.evaluate import labelled_data
from detkit.inference import load
from detkit.inference.measure import profile

WARM_UP = 3


def detector(checkpoint: str, data: str, split: str | None, limit: int) -> Report:
    """Parameters, GFLOPs at the data's commonest picture size, and seconds from pixels to detections, in the default precision."""
    found = labelled_data(checkpoint, data, split=split)
    pictures = [read_image(record.path) for record in islice(found.records, limit)]
    predictor = load(checkpoint, "cpu")
    for picture in pictures[:WARM_UP]:
        predictor(picture)
    seconds = []
    for picture in pictures:
        begun = time.perf_counter()
        predictor(picture)
        seconds.append(time.perf_counter() - begun)
    size = Counter((picture.shape[0], picture.shape[1]) for picture in pictures).most_common(1)[0][0]
    counted = profile(predictor.detector, predictor.preprocess, size)
    numbers = {"parameters": counted.parameters, "gflops": counted.flops / 1e9, "picture": size, "precision": predictor.precision}
    notes = [f"{counted.parameters:,} parameters (norms folded), {counted.flops / 1e9:.1f} GFLOPs on a picture of {size[0]}x{size[1]}"]
    return Report(f"{checkpoint} on {len(pictures)} pictures of {found.name}", {predictor.precision: seconds}, {}, notes, numbers)
