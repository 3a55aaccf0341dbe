"""``detkit data split``: divide a data set into train, val and test."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from detkit.cli.data.output import OutputFlags, add_output_flags, write_and_print
from detkit.cli.data.source import SourceFlags
from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.report import count
from detkit.cli.values import fraction
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.curation.split.divide import Split

Actions = argparse._SubParsersAction

_DESCRIPTION = """Divide a data set into train, val and test. Each part gets its fraction of the images and of the boxes of every class.
Copies of an image (recompressed, resized, mirrored, turned, slightly cropped) are found by their pixels and stay in one part.

  detkit data split my_data new --val 0.15 --test 0.15
  detkit data split my_data new --group-by folder
  detkit data split my_data new --group-by 'regex:^(cam[0-9]+)_'
  detkit data split my_data new --group-by video_id                the field of the images in a COCO file
  detkit data split my_data new --parts train --val 0 --test 0.2   divide train only, keep the other parts"""


@dataclass(frozen=True, kw_only=True)
class SplitCommand(SourceFlags, OutputFlags):
    """Options of ``detkit data split``; see :class:`detkit.curation.split.divide.SplitOptions`.

    Attributes:
        val: Fraction of the images for validation.
        test: Fraction of the images for the test.
        seed: Seed of the division.
        stratify: Whether each part gets its fraction of the boxes of every class.
        group_by: What the images that stay together have in common; empty: nothing.
        duplicates: Whether copies stay together.
    """

    val: float = 0.15
    test: float = 0.0
    seed: int = 0
    stratify: bool = True
    group_by: str = ""
    duplicates: Literal["together", "ignore"] = "together"


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "split", help="divide a data set by fractions", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", metavar="DATA", help="labeled data: a folder, a COCO JSON file, a YOLO data.yaml, or another label file")
    add_flags(parser, "--images", help="folder of the images, if it is not where the labels say")
    add_output_flags(parser)
    add_flags(parser, "--parts", help="parts to divide; the others stay as they are (default: all parts are divided as one)")
    parser.add_argument("--val", type=_fraction, metavar="F", help="fraction of the images for val; 0: no such part (default: %(default)s)")
    parser.add_argument("--test", type=_fraction, metavar="F", help="fraction of the images for test; 0: no such part (default: 0)")
    parser.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        help="give each part its fraction of the boxes of every class (default); --no-stratify: by a hash of the names alone, which "
        "divides nearly the same way when images are added",
    )
    parser.add_argument(
        "--group-by",
        metavar="RULE",
        help="keep images together: by 'folder', by 'regex:PATTERN' (the first group of the pattern in their names), or by a field of the "
        "images in a COCO file, such as video_id",
    )
    parser.add_argument(
        "--duplicates",
        choices=("together", "ignore"),
        help="keep copies of an image together, or do not look for them (default: %(default)s)",
    )
    add_flags(parser, "--seed", help="another seed divides otherwise (default: %(default)s)")
    bind(parser, SplitCommand, _run)


def _fraction(text: str) -> float:
    return 0.0 if text.strip() in {"0", "0.0"} else fraction(text)


def _run(options: SplitCommand) -> int:
    from detkit.cli.data.progress import image_progress
    from detkit.curation.output import check_apart, check_new
    from detkit.curation.split.divide import SplitOptions, split_parts

    choice = SplitOptions(
        val=options.val,
        test=options.test,
        seed=options.seed,
        stratify=options.stratify,
        group_by=options.group_by,
        duplicates=options.duplicates,
        parts=options.parts,
    )
    check_new(options.output)
    check_apart(Path(options.data), options.output)
    data = replace(options, parts=()).read()
    with image_progress("pixels") as progress:
        split = split_parts(data, choice, progress=progress)
    _print(split, options)
    write_and_print(split.data, options.output, options.options(options.data))
    return 0


def _print(split: Split, options: SplitCommand) -> None:
    if len(split.pooled) > 1:
        print(f"parts divided as one: {', '.join(split.pooled)}; to divide one of them and keep the others, name it with --parts")
    if split.repeated:
        print(f"{count(split.repeated, 'image')} in several parts: the first is kept")
    if options.duplicates == "together":
        print(f"{count(split.copies, 'copy', 'copies')} of other images found by their pixels; they stay with them")
    if split.unmatched:
        print(f"{count(split.unmatched, 'image')} without a group of --group-by: each is a group of its own")
    for group in split.largest:
        print(f"group {printable(group.name)}: {count(group.images, 'image')} in {group.part}")
    for line in _table(split):
        print(line)


def _table(split: Split) -> list[str]:
    """Return a table of the parts, and the classes whose share is farthest from the fraction of a part."""
    import numpy as np

    total = sum(len(split.data.parts[name]) for name in split.fractions)
    shares, wanted = split.class_shares(), np.array(list(split.fractions.values()))[:, None]
    lines = [f"{'part':<6} {'images':>9} {'share':>7} {'wanted':>7} {'boxes':>10} {'classes':>8} {'classes differ by':>18}"]
    for row, (name, fraction_) in enumerate(split.fractions.items()):
        part = split.data.parts[name]
        labels = part.data.records.labels
        differ = np.nanmean(np.abs(shares[row] - fraction_)) if not np.isnan(shares[row]).all() else 0.0
        share = f"{len(part) / total:>7.1%} {fraction_:>7.1%}"
        lines.append(f"{name:<6} {len(part):>9,} {share} {len(labels):>10,} {len(np.unique(labels)):>8,} {differ:>17.1%}")
    deviations = np.nan_to_num(np.abs(shares - wanted).max(axis=0))
    worst = [label for label in np.argsort(-deviations, kind="stable")[:3].tolist() if deviations[label] >= 0.005]
    for label in worst:
        text = ", ".join(f"{name} {shares[row, label]:.1%}" for row, name in enumerate(split.fractions))
        lines.append(f"farthest from the wanted shares: {printable(split.data.class_names[label])}: {text}")
    return lines
