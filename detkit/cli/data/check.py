"""Find what is wrong with images and labels.

Errors make a training or its metrics wrong, and stop `detkit train`; warnings may; notes are worth knowing. The exit code is 0 without
errors, 1 with errors (with --strict also with warnings), 2 if the command cannot run.

  detkit data check my_folder                     labels and image headers; reads no pixels
  detkit data check my_folder --pixels            decode the images, too: damaged ones, duplicates, leaks by content
  detkit data check my_folder --model yolox_s     boxes that this model cannot meet, too
  detkit data check my_folder --html check.html   the same as a page that opens offline
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.data.progress import image_progress
from detkit.cli.data.source import SourceFlags, add_source_flags
from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.report import count
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.curation.checking.check import Checked
    from detkit.data.checks.report import CheckReport
    from detkit.data.tiles import TileConfig
    from detkit.models.detector import DetectorConfig

Actions = argparse._SubParsersAction


@dataclass(frozen=True, kw_only=True)
class CheckOptions(SourceFlags):
    """Options of ``detkit data check``.

    Attributes:
        model: Config, checkpoint or published weights whose limits are checked.
        pixels: Whether to decode the images.
        html: File of the page.
        json: File of the report.
        strict: Whether warnings count as errors in the exit code.
    """

    model: str | None = None
    pixels: bool = False
    html: Path | None = None
    json: str | None = None
    strict: bool = False


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "check",
        help="find what is wrong with images and labels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_flags(parser)
    parser.add_argument(
        "--model", metavar="MODEL", help="find boxes that this model cannot meet: a config, a checkpoint, or published weights"
    )
    parser.add_argument("--pixels", action="store_true", help="decode the images: find damaged ones, and duplicates and leaks by content")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with problems, statistics and images")
    add_flags(parser, "--json", help="write the report as JSON")
    add_flags(parser, "--strict", help="exit with code 1 at warnings, too")
    bind(parser, CheckOptions, _run)


def _run(options: CheckOptions) -> int:
    from detkit.curation.checking.check import check_parts
    from detkit.data import SourceConfig

    source = SourceConfig(path=options.data, images=options.images)
    model, tiles = (None, None) if options.model is None else _model(options.model)
    with image_progress("pixels") if options.pixels else nullcontext() as progress:
        checked = check_parts(source, options.parts, model=model, tiles=tiles, pixels=options.pixels, progress=progress)
    _print(checked.report)
    if options.json is not None:
        checked.report.write(options.json)
        print(f"report: {options.json}")
    if options.html is not None:
        _write_page(checked, options.html)
    return checked.report.exit_code(options.strict)


def _model(name: str) -> tuple[DetectorConfig, TileConfig | None]:
    """Return the config of the model that a word names, and the tiles that it is trained on."""
    from detkit import zoo
    from detkit.cli.subjects import load_target
    from detkit.data.tiles import TileConfig
    from detkit.inference.detectors import load_detector
    from detkit.inference.sources import trained_tiles
    from detkit.models.published import PUBLISHED, publication

    if name in zoo.names() or name.endswith((".py", ".json")):
        experiment = load_target(name)
        return experiment.model, experiment.data.tiles
    if name in PUBLISHED.names():
        return publication(name).config, None
    tiles = trained_tiles(name)
    return load_detector(name).config, None if tiles is None else TileConfig(size=tiles.size, overlap=tiles.overlap)


def _print(report: CheckReport) -> None:
    """Print the findings, worst first, and their number."""
    from detkit.data.checks.findings import Severity

    print(_summary(report))
    for severity in Severity:
        findings = report.of(severity)
        if findings:
            print(f"\n{severity.value.upper()}S")
        for finding in findings:
            print("\n".join(f"  {line}" for line in finding.lines()))
    counts = ", ".join(count(number, name) for name, number in report.counts.items())
    print(f"\n{counts}" if report.findings else "\nno problems found")


def _summary(report: CheckReport) -> str:
    """Return the line about the data: images, boxes, classes, parts."""
    parts = report.statistics
    if not parts:
        return f"{printable(report.source)}: nothing could be read"
    images, boxes = (sum(part[name] for part in parts.values()) for name in ("images", "boxes"))
    classes = len(next(iter(parts.values()))["classes"])
    listed = ", ".join(f"{printable(name)} {part['images']:,}" for name, part in parts.items())
    divided = f" ({listed})" if len(parts) > 1 else ""
    line = f"{count(images, 'image')}{divided}, {count(boxes, 'box', 'boxes')}, {count(classes, 'class', 'classes')}"
    return f"{printable(report.source)}: {line}"


def _write_page(checked: Checked, path: Path) -> None:
    """Write the page of the report."""
    from detkit.curation.pages.check_page import write_check_page

    if checked.parts is None:
        raise ValueError(f"{path}: no page was written, as no part of the data can be read; mend the labels first")
    write_check_page(checked.parts, checked.report, path)
    print(f"page: {path}")
