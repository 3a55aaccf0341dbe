"""Progress over the frames of videos, cameras and streams."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from detkit.cli.report import count, progress_bar
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data.media.source import FrameSource

_TITLE = 40
"""Characters of a name in front of the bar."""
_LIVE_FORMAT = "{desc}: {n_fmt} frames in {elapsed}, {rate_noinv_fmt}{postfix}"
_LINE_SECONDS = 10.0
"""Time between two lines about live sources where there is no terminal."""


class FrameStatus:
    """A progress bar on a terminal; without one, a line from time to time about live sources.

    Args:
        sources: What is processed together: one file, or live sources.
        every: Step between the frames that are processed.
    """

    def __init__(self, sources: Sequence[FrameSource], every: int = 1) -> None:
        self._live = any(source.live for source in sources)
        lengths = [source.length for source in sources]
        self._total = None if self._live or None in lengths else sum(-(-(length or 0) // every) for length in lengths)
        name = sources[0].name if self._live else sources[0].name.rpartition("/")[2]
        self._title = printable(name, _TITLE) if len(sources) == 1 else count(len(sources), "live source")
        self._bar: Any = None
        self._frames = 0
        self._start = self._last = time.monotonic()

    def __enter__(self) -> FrameStatus:
        self._bar = progress_bar(self._total, "frame", self._title).__enter__()
        if self._live:
            self._bar.bar_format = _LIVE_FORMAT
        self._start = self._last = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.__exit__(kind, error, trace)

    def update(self, found: str, dropped: int = 0) -> None:
        """Count a frame.

        Args:
            found: The findings so far, such as ``12 detections``.
            dropped: Number of frames of live sources dropped so far.
        """
        self._frames += 1
        if self._live:
            self._bar.set_postfix_str(f"{dropped:,} dropped, {found}", refresh=False)
        self._bar.update()
        now = time.monotonic()
        if self._live and self._bar.disable and now - self._last >= _LINE_SECONDS:
            self._last, rate = now, self._frames / (now - self._start)
            line = f"{self._title}: {count(self._frames, 'frame')} ({rate:.1f} frames/s), {dropped:,} dropped, {found}"
            print(line, file=sys.stderr, flush=True)
