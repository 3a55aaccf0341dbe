"""``detkit data example``: a small labeled data set, generated offline."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.values import positive

Actions = argparse._SubParsersAction


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """Options of ``detkit data example``.

    Attributes:
        folder: The new folder.
        train_images: Number of training images.
        val_images: Number of validation images; None: a third of ``train_images``.
        format: Format of the labels.
        short_side: Short side of the images in pixels.
        seed: Seed of the random numbers.
        large: Whether to make large images of small objects.
        masks: Whether to label the pixels of each object too.
    """

    folder: Path
    train_images: int = 120
    val_images: int | None = None
    format: str = "coco"
    short_side: int = 192
    seed: int = 0
    large: bool = False
    masks: bool = False


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "example",
        help="make a small labeled data set, offline",
        description="Make labeled images of cats, coins, cups, rockets and wheels from the photographs of scikit-image.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, such as data/sample")
    parser.add_argument("--train-images", type=positive, metavar="N", help="number of training images (default: %(default)s)")
    parser.add_argument("--val-images", type=positive, metavar="N", help="number of validation images (default: a third of --train-images)")
    add_flags(parser, "--format")
    parser.add_argument("--short-side", type=positive, metavar="N", help="short side of the images in pixels (default: %(default)s)")
    add_flags(parser, "--seed", help="seed of the random numbers; another seed gives other images (default: %(default)s)")
    parser.add_argument(
        "--large", action="store_true", help="make images of 6 x 8 times the size, with 40 objects half as large, to try tiles on"
    )
    parser.add_argument(
        "--masks", action="store_true", help="label the pixels of each object too, to try segmentation; for formats that have outlines"
    )
    bind(parser, ExampleOptions, _run)


def _run(options: ExampleOptions) -> int:
    from detkit.curation.example import make_example

    make_example(
        options.folder,
        options.train_images,
        options.format,
        options.seed,
        val_images=options.val_images,
        short_side=options.short_side,
        large=options.large,
        masks=options.masks,
    )
    print(f"{options.folder}: ready; train on it with: detkit train {options.folder}")
    return 0
