"""OpenCV's selective search in a process of its own, which needs only OpenCV with its contributed modules.

    PYTHON propose_opencv.py MODE THREADS OUTPUT.npz < paths

It is separate because opencv-contrib-python would replace the OpenCV that detkit uses.
"""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np


def search(image: object, mode: str) -> object:
    """Return ``(N, 4)`` boxes ``x y width height``, best first."""
    searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    searcher.setBaseImage(image)
    {
        "single": searcher.switchToSingleStrategy,
        "fast": searcher.switchToSelectiveSearchFast,
        "quality": searcher.switchToSelectiveSearchQuality,
    }[mode]()
    return np.asarray(searcher.process(), dtype=np.float32).reshape(-1, 4)


def main() -> int:
    """Search every image whose path is on the standard input once; write the boxes and the seconds."""
    mode, threads, output = sys.argv[1:]
    cv2.setNumThreads(int(threads))
    arrays: dict[str, object] = {}
    seconds, cpu = [], []
    search(np.zeros((32, 32, 3), np.uint8), mode)  # threads are started by the first search
    for number, path in enumerate(sys.stdin.read().splitlines()):
        image = cv2.imread(path)
        start, start_cpu = time.perf_counter(), time.process_time()
        arrays[f"boxes{number}"] = search(image, mode)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    np.savez(output, seconds=np.array(seconds), processor_seconds=np.array(cpu), version=np.array(cv2.__version__), **arrays)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
