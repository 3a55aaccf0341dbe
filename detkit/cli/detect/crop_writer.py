"""Write each detected object as an image of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.outputs import check_empty
from detkit.cli.results.names import UnusedStems, folder_names, safe_file_stem

if TYPE_CHECKING:
    from detkit.structures.masks import Masks

_QUALITY = 95
_MAX_JPEG_SIDE = 65500
"""Longest side of a JPEG file, in pixels, that the library can write."""


class CropWriter:
    """A folder with a folder for each class, in which each detected object is an image, ``CLASS/STEM_N.jpg``.

    N is the row of the detection in its image, from 1, best first; the frames of a video have their index before it,
    ``CLASS/STEM_FRAME_N.jpg``. Boxes are cut to the image, and those of which nothing remains are skipped. An object with a mask is a PNG
    file in which what is outside the mask is transparent, with its colors kept for programs that ignore transparency.

    Args:
        folder: A new or empty folder.
        margin: Margin on each side, as a fraction of the box's side; it ends at the border of the image.

    Attributes:
        written: Number of images written.
        skipped: Number of boxes without area inside their image.

    Raises:
        ValueError: If the folder is not empty.
    """

    def __init__(self, folder: str, margin: float = 0.0) -> None:
        check_empty("--crops", folder, "so that it holds the objects of one command")
        self.folder, self.margin = Path(folder), margin
        self.written = self.skipped = 0
        self._folders: Sequence[str] = ()
        self._stems = UnusedStems()

    def begin(self, class_names: ClassNames) -> None:
        """Set the class name of each label, before the first image."""
        self._folders = folder_names(class_names)

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Write the objects of an image, ``(H, W, 3)`` uint8 RGB."""
        from detkit.drawing.windows import pixel_windows

        rows = result.detections.numpy()
        if not len(rows):
            return
        stem = self._stem(result)
        windows = pixel_windows(rows.boxes, result.size, self.margin).tolist()
        for number, (label, (x1, y1, x2, y2)) in enumerate(zip(rows.labels.tolist(), windows, strict=True), 1):
            if x2 > x1 and y2 > y1:
                path = self.folder / self._folders[label] / f"{stem}_{number}"
                self._write(path, _with_mask(pixels[y1:y2, x1:x2], rows.masks, number - 1, (x1, y1, x2, y2)))
            else:
                self.skipped += 1

    def _stem(self, result: ImageResult) -> str:
        """Return a name that no other image or frame has."""
        frame = "" if result.frame is None else f"_{result.frame:06d}"
        return self._stems.unused(f"{safe_file_stem(result.stem)}{frame}")

    def _write(self, path: Path, pixels: Any) -> None:
        import numpy as np
        from PIL import Image

        from detkit.checkpoint import atomic_write

        suffix, kind = (".jpg", "JPEG") if max(pixels.shape) <= _MAX_JPEG_SIDE and pixels.shape[2] == 3 else (".png", "PNG")
        with atomic_write(path.with_name(path.name + suffix), sync=False) as temporary:
            Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, kind, quality=_QUALITY)
        self.written += 1


def _with_mask(pixels: Any, masks: Masks | None, row: int, window: tuple[int, int, int, int]) -> Any:
    """Return the pixels of a window of an image, with the mask of an object as a fourth channel if it has one."""
    import numpy as np

    if masks is None:
        return pixels
    mask = masks[[row]].cropped(window).array(0, (pixels.shape[0], pixels.shape[1]))
    return np.dstack([pixels, np.where(mask, 255, 0).astype(np.uint8)]) if mask.any() else pixels
