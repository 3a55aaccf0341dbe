"""The progress bar of commands that read or write all images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def image_progress(title: str | None = None) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes the number of images done and that of all, and shows them if stderr is a terminal."""
    from detkit.cli.report import progress_bar

    with progress_bar(0, "image", title) as bar:

        def update(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield update
