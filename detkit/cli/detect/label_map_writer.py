"""Write the class of each pixel as an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.outputs import check_empty, write_output
from detkit.cli.results.names import UnusedStems, safe_file_stem

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector

CLASSES = "classes.txt"
"""Name of the list of the classes; line N is the class of value N."""


class LabelMapWriter:
    """A folder with a palette PNG for each image, in which value 0 is background and value N the N-th line of ``classes.txt``.

    Pascal VOC's ``SegmentationClass`` has the same form, and detkit reads it as labels.

    Args:
        folder: A new or empty folder.

    Attributes:
        written: Number of images written.

    Raises:
        ValueError: If the folder is not empty.
    """

    def __init__(self, folder: str) -> None:
        check_empty("--label-maps", folder, "so that it holds the label maps of one command")
        self.folder = Path(folder)
        self.written = 0
        self._palette: list[int] = []
        self._stems = UnusedStems()

    def begin(self, detector: FileDetector) -> None:
        """Write the list of the classes, before the first image.

        Raises:
            ValueError: If the model detects objects, which overlap.
        """
        from detkit.drawing.palette import color_of

        runtime: Any = getattr(getattr(detector, "predictor", detector), "runtime", None)  # a pyramid runs a predictor
        if runtime is None or not runtime.info.segments:
            raise ValueError("--label-maps: expected a model for semantic segmentation, got one that detects objects; use --json for masks")
        names: ClassNames = detector.class_names
        write_output(str(self.folder / CLASSES), "".join(f"{name or '?'}\n" for name in names))
        self._palette = [0, 0, 0, *(int(value) for label in range(len(names)) for value in color_of(label))]

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Write the label map of an image or a frame."""
        del pixels
        from PIL import Image

        from detkit.checkpoint import atomic_write
        from detkit.structures.label_maps import IGNORED, label_map

        labels = label_map(result.detections, result.size, IGNORED) + 1  # what no class covers, 255, becomes 0
        frame = "" if result.frame is None else f"_{result.frame:06d}"
        stem = self._stems.unused(f"{safe_file_stem(result.stem)}{frame}")
        image = Image.fromarray(labels)
        image.putpalette(self._palette)
        with atomic_write(self.folder / f"{stem}.png", sync=False) as temporary:
            image.save(temporary, "PNG")
        self.written += 1
