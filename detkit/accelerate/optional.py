"""Compiled kernels that a system may lack."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


def or_none(load: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that imports kernels at its first call, and returns None where numba cannot be used and torch computes instead."""

    @cache
    def loaded() -> Any:
        try:
            return load()
        except Exception:  # numba raises various exceptions when it cannot cache compiled code on disk
            return None

    return loaded
