"""Seconds of each part of ``detkit detect`` with the detector inside the package; run by :mod:`benchmarks.startup` in a new process.

    python tools/benchmarks/first_box.py STARTED IMAGE FOLDER

``STARTED`` is ``time.time()`` just before the process was started. The parts are printed as JSON, in the order in which they run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS: dict[str, float] = {"interpreter": time.time() - float(sys.argv[1])} if len(sys.argv) > 1 else {}


@contextmanager
def part(name: str) -> Iterator[None]:
    """Time a block."""
    start = time.perf_counter()
    yield
    PARTS[name] = time.perf_counter() - start


def main(image: Path, folder: Path) -> None:
    """Detect on one image as the command does, and print the seconds of each part."""
    with part("imports of the command"):
        from detkit.cli.detect import command  # noqa: F401
        from detkit.cli.flags import min_score
        from detkit.cli.process import collect_rarely

        collect_rarely()
    with part("imports of the runtime"):
        from detkit.cli.detect.formats import as_json
        from detkit.cli.detect.results import ImageResult
        from detkit.cli.drawing_writer import DrawingWriter
        from detkit.drawing import draw_detections
        from detkit.inference import light
        from detkit.inference.exported import onnx  # noqa: F401
        from detkit.weights import embedded_onnx_path, embedded_path
    with part("import of onnxruntime"):
        import onnxruntime  # noqa: F401
    model, file = embedded_path(), embedded_onnx_path()
    if model is None or file is None:
        raise FileNotFoundError("the package has no detector inside; reinstall detkit")
    with part("session"):
        predictor = light.load_exported(file, min_score=min_score(None, model)[0])
    with part("decode"):
        pixels = light.as_pixels(image)
    with part("resize"):
        prepared = predictor.prepare(pixels)
    runtime = predictor.runtime
    run, network = runtime.run, [0.0]  # type: ignore[attr-defined]

    def timed_run(*words: object) -> object:
        start = time.perf_counter()
        outputs = run(*words)
        network[0] += time.perf_counter() - start
        return outputs

    runtime.run = timed_run  # type: ignore[attr-defined]
    with part("selection"):
        (detections,) = predictor.detect([prepared])
    PARTS["inference"] = network[0]
    PARTS["selection"] = PARTS.pop("selection") - network[0]
    with part("drawing"):
        drawing = draw_detections(pixels, detections, predictor.class_names)
    with part("writing"):
        DrawingWriter(str(folder), [image]).write(image.stem, drawing)
        result = ImageResult(str(image), pixels.shape[:2], detections)
        (folder / "detections.json").write_text(as_json([result], {}, predictor.class_names), "utf-8")
    print(json.dumps(PARTS))


if __name__ == "__main__":
    main(Path(sys.argv[2]), Path(sys.argv[3]))
