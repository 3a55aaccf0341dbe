"""A limit on the time of live sources."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detkit.data.media.source import FrameSource

_AGAIN_SECONDS = 0.5
"""Time between two attempts to end the sources."""


@contextmanager
def stopping_after(seconds: float | None, sources: Sequence[FrameSource]) -> Iterator[None]:
    """Let the live ones of some sources end after a time inside the block, as if nothing more came; None: never."""
    if seconds is None:
        yield
        return
    live: list[Any] = [source for source in sources if source.live and hasattr(source, "interrupt")]
    done = threading.Event()

    def interrupt() -> None:
        wait: float = seconds
        while not done.wait(wait):  # more than once, as a source that has not begun ignores it
            for source in live:
                source.interrupt()
            wait = _AGAIN_SECONDS

    threading.Thread(target=interrupt, name="limit on time", daemon=True).start()
    try:
        yield
    finally:
        done.set()
