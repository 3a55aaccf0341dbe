"""The flags of ``detkit propose``, the options that they fill, and the combinations that are refused."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.values import positive

OUTPUT_ENDINGS = (".json", ".npz")


@dataclass(frozen=True, kw_only=True)
class ProposeOptions:
    """Options of ``detkit propose``.

    Attributes:
        image_words: Images, folders of them, and patterns.
        data: Labeled data to propose on instead.
        images: Folder of the images of ``data``.
        split: Part of the data; None: val, else test.
        backend: Algorithm that computes the proposals.
        model: A Faster R-CNN whose region proposal network is used instead.
        latest: Whether to use that of the newest run.
        mode: Thoroughness of selective search.
        max_proposals: Number of the best proposals to keep per image; None: all.
        min_area: Smallest area of a box, in square pixels.
        max_aspect: Largest ratio of the longer to the shorter side.
        seed: Seed of the random numbers in the ranking.
        cache: Folder that caches the proposals.
        cache_megabytes: Largest size of the cache.
        processes: Images processed in parallel.
        output: File of all proposals.
        recall: Whether to report recall against the labels of ``data``.
        json: File of the recall numbers.
        plot: File of the plot of recall; None: one in a new folder.
    """

    image_words: tuple[str, ...] = ()
    data: str | None = None
    images: str | None = None
    split: str | None = None
    backend: str = "detkit"
    model: str | None = None
    latest: bool = False
    mode: Literal["single", "fast", "quality"] = "fast"
    max_proposals: int | None = None
    min_area: float = 0.0
    max_aspect: float = math.inf
    seed: int = 0
    cache: str | None = None
    cache_megabytes: float = 2000.0
    processes: int = 1
    output: str | None = None
    recall: bool = False
    json: str | None = None
    plot: str | None = None


def add_propose_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit propose``."""
    parser.add_argument("image_words", nargs="*", metavar="IMAGE", help="images, folders of them, or patterns such as 'photos/**/*.jpg'")
    add_flags(parser, "--data", "--images")
    add_flags(parser, "--split", help="part of the data (default: val, else test, if the data has such parts)")
    parser.add_argument("--backend", metavar="NAME", help="algorithm that computes the proposals (default: %(default)s)")
    add_flags(parser, "--model", help=f"a Faster R-CNN whose region proposal network is used instead of --backend: {MODEL_HELP}")
    add_flags(parser, "--latest")
    parser.add_argument(
        "--mode",
        choices=("single", "fast", "quality"),
        help="thoroughness of selective search (default: %(default)s)",
    )
    parser.add_argument("--max-proposals", type=positive, metavar="N", help="keep only the N best proposals per image (default: all)")
    parser.add_argument("--min-area", type=float, metavar="A", help="drop smaller boxes, in square pixels (default: keep all)")
    parser.add_argument(
        "--max-aspect",
        type=float,
        metavar="R",
        help="drop boxes with a larger ratio of the longer to the shorter side",
    )
    add_flags(parser, "--seed", help="seed of the random numbers in the ranking (default: %(default)s)")
    parser.add_argument("--cache", metavar="DIR", help="folder that caches the proposals of every image")
    parser.add_argument("--cache-megabytes", type=float, metavar="MB", help="largest size of the cache (default: %(default)g)")
    parser.add_argument("--processes", type=positive, metavar="N", help="images processed in parallel (default: %(default)s)")
    add_flags(parser, "--output", help="write all proposals: .json, or .npz (smaller)")
    parser.add_argument("--recall", action="store_true", help="report recall against the labels of --data, and plot it")
    add_flags(parser, "--json", help="write the numbers of --recall as JSON")
    add_flags(parser, "--plot", help="PNG file for the plot of --recall (default: recall.png in a new runs/propose-N)")


def check_propose_options(options: ProposeOptions) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If two flags contradict each other, or one needs another.
    """
    if bool(options.image_words) == (options.data is not None):
        raise ValueError("propose: expected images, or labeled data with --data PATH; got " + ("both" if options.data else "neither"))
    for name in ("recall", "split", "images"):
        if getattr(options, name) and options.data is None:
            raise ValueError(f"--{name} needs labeled data; give --data PATH instead of {' '.join(options.image_words[:3])}")
    if (options.model is not None or options.latest) and options.backend != "detkit":
        raise ValueError(f"--{'latest' if options.latest else 'model'} replaces --backend {options.backend}; give one of the two")
    if options.output and Path(options.output).suffix.lower() not in OUTPUT_ENDINGS:
        raise ValueError(f"--output {options.output}: expected a file ending in {' or '.join(OUTPUT_ENDINGS)}")
    for name in ("json", "plot"):
        if getattr(options, name) and not options.recall:
            raise ValueError(f"--{name} writes the results of --recall; give that flag too")
    if options.plot and Path(options.plot).suffix.lower() != ".png":
        raise ValueError(f"--plot {options.plot}: expected a file ending in .png")
