"""The drawn video of a video, camera or stream."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from detkit.cli.drawing_writer import DrawingWriter

if TYPE_CHECKING:
    from detkit.arrays import ImageArray
    from detkit.data.media.source import FrameSource
    from detkit.drawing.video import VideoWriter

_DEFAULT_RATE = 25.0
"""Frame rate of a drawn video if its source states none."""


class DrawnVideo:
    """Drawn frames of a source, written to a video; leaving the ``with`` block, also by an error, makes it playable.

    A frame of another size, such as that of a stream that continues with another resolution, begins another file. A file that cannot be
    written is not drawn further, and does not stop the detection.

    Args:
        drawings: Gives the names of the files.
        source: The source.
        every: Step between the frames of the source that are drawn.

    Attributes:
        paths: The files; none before the first frame.
        error: The error of writing them, or None.
    """

    def __init__(self, drawings: DrawingWriter, source: FrameSource, every: int = 1) -> None:
        self.paths: list[Path] = []
        self.error: OSError | None = None
        self._drawings, self._source, self._every = drawings, source, every
        self._writer: VideoWriter | None = None
        self._shape: tuple[int, ...] = ()
        self._first = 0.0

    def write(self, pixels: ImageArray, seconds: float | None = None) -> None:
        """Add a frame.

        Args:
            pixels: ``(H, W, 3)`` uint8 RGB.
            seconds: Time of the frame in its source; None: right after the frame before.
        """
        if self._writer is None or pixels.shape != self._shape:
            self.close()
            if self.error is None:
                self._open(pixels.shape, seconds or 0.0)
        if self._writer is None:
            return
        try:
            self._writer.write(pixels, None if seconds is None else seconds - self._first)
        except OSError as error:
            self._fail(error)

    def _open(self, shape: tuple[int, ...], first: float) -> None:
        from detkit.drawing.video import VideoWriter

        self.paths.append(self._drawings.video_path(self._source.stem))
        rate = (self._source.frames_per_second or _DEFAULT_RATE) / self._every
        self._writer, self._shape, self._first = VideoWriter(self.paths[-1], rate), shape, first

    def close(self) -> None:
        """Complete the file."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error, self._writer = error, None
        self.paths.pop()

    def __enter__(self) -> DrawnVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
