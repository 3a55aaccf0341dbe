"""Flags that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

_MIN_SCORE = 0.5


def add_device_arguments(parser: argparse.ArgumentParser, precision: str = "auto") -> None:
    """Add ``--device`` and ``--precision``, the latter with the command's own default."""
    parser.add_argument("--device", default="auto", help="auto (the GPU when there is one), cpu, cuda, cuda:1, mps (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default=precision,
        help="auto takes bf16 where the processor has instructions for it (default: %(default)s)",
    )


def add_min_score(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--min-score``, which :func:`min_score` reads."""
    parser.add_argument(
        "--min-score", type=unit_interval, metavar="S", help=f"{what} (default: what the checkpoint suggests, else {_MIN_SCORE})"
    )


def min_score(args: argparse.Namespace, weights: str | Path) -> tuple[float, str]:
    """The lowest score that is shown, as given, else what the checkpoint suggests, else a half; and what to tell about it."""
    from detkit.inference import suggested_min_score

    if args.min_score is not None:
        return args.min_score, ""
    suggested = suggested_min_score(weights)
    if suggested is None:
        return _MIN_SCORE, ""
    return suggested, f"shown from score {suggested:g} on, as these weights suggest; --min-score takes another"


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


def positive(text: str) -> int:
    """A whole number of 1 or more, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def named_classes(words: Sequence[str] | None, known: Collection[str | None]) -> list[str] | None:
    """The classes that ``--classes`` was given, apart or with commas between them.

    Args:
        words: As they were typed; None where the flag was not given.
        known: Names of classes; a word that is one of them stays whole, commas and all.

    Returns:
        At least one name, or None where the flag was not given.

    Raises:
        ValueError: there is no name in the words.
    """
    if words is None:
        return None
    parts = [part for word in words for part in ([word] if word in known else map(str.strip, word.split(",")))]
    names = [part for part in parts if part]
    if not names:
        raise ValueError(f"--classes: expected names of classes, such as cat,dog; got {' '.join(words)!r}")
    return names
