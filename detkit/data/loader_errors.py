"""Errors of the worker processes that prepare batches: killed, or without memory to send a batch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager


class LoaderError(RuntimeError):
    """The worker processes cannot deliver batches; the message says why and what to change."""


class WaitInterrupted(Exception):  # noqa: N818  # a request, not an error
    """The run was asked to stop while it waited for a batch."""


@contextmanager
def explain_worker_errors() -> Iterator[None]:
    """Replace PyTorch's errors about worker processes, which it may raise at any point, by one line that says what to change.

    Raises:
        LoaderError: If a worker was killed, or there is too little shared memory.
    """
    try:
        yield
    except LoaderError:
        raise
    except RuntimeError as error:
        text = str(error)
        if "DataLoader worker" not in text:
            raise
        if "Bus error" in text or "shared memory" in text:
            raise LoaderError(too_little_memory("a worker process could not store a batch")) from error
        raise LoaderError(killed_worker(text.split(".")[0])) from error


def killed_worker(how: str) -> str:
    """Return the message about a worker that was killed, with what to change."""
    return (
        f"a worker process of the loader was killed ({how}), usually because the memory ran out; use less of it: "
        "lower loader.workers, loader.prefetch, loader.cache_megabytes or loader.batch_size"
    )


def too_little_memory(problem: str) -> str:
    """Return the message about a full ``/dev/shm``, with what to change."""
    try:
        size = f" (it has {shutil.disk_usage('/dev/shm').total / 1e6:,.1f} MB)"
    except OSError:
        size = ""
    return (
        f"too little shared memory: {problem}, and /dev/shm is full{size}; give a container more (docker run --shm-size=8g), load in the "
        "training process (loader.workers=0), or use smaller batches (loader.batch_size, loader.prefetch, loader.workers)"
    )
