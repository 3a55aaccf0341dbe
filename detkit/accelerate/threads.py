"""Python threads for compiled kernels that release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])
Job = tuple[Callable[..., None], tuple[Any, ...]]


def compiled(fastmath: bool) -> Callable[[Function], Function]:
    """Decorator: compile with numba at the first call, cache the result on disk, and release the GIL during calls."""
    from numba import njit

    decorate: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath=fastmath)
    return cast(Callable[[Function], Function], decorate)


def run_jobs(jobs: Sequence[Job]) -> None:
    """Call every function with its arguments on as many threads as torch uses; jobs must not write to the same memory."""
    threads = torch.get_num_threads()
    if threads == 1 or len(jobs) <= 1:
        for function, arguments in jobs:
            function(*arguments)
        return
    for future in [_threads(threads).submit(function, *arguments) for function, arguments in jobs]:
        future.result()


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="detkit-kernels")


if hasattr(os, "register_at_fork"):  # a forked child does not inherit the parent's threads
    os.register_at_fork(after_in_child=_threads.cache_clear)
