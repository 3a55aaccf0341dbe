"""Flags that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable


def add_device_arguments(parser: argparse.ArgumentParser, precision: str = "auto") -> None:
    """Add ``--device`` and ``--precision``, the latter with the command's own default."""
    parser.add_argument("--device", default="auto", help="auto (the GPU when there is one), cpu, cuda, cuda:1, mps (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default=precision,
        help="auto takes bf16 where the processor has instructions for it (default: %(default)s)",
    )


def unit_interval(text: str) -> float:
    """A number from 0 to 1, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def listed(words: Iterable[str]) -> list[str]:
    """The names that an argument was given, apart or with commas between them."""
    return [name.strip() for word in words for name in word.split(",") if name.strip()]
