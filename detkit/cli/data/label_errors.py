"""``detkit data label-errors``: labels that a trained detector contradicts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.data.source import SourceFlags, add_source_flags
from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.options import bind
from detkit.cli.report import count, listed, with_bar
from detkit.cli.resolve import model_line, resolve_model
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.curation.label_errors import LabelErrors
    from detkit.curation.output import Copy
    from detkit.curation.parts import LabeledParts

Actions = argparse._SubParsersAction
PAGE, TABLES = "label_errors.html", ("label_errors.json", "label_errors.csv")
_DESCRIPTION = """Find labels that are probably wrong with a trained detector: objects without a box, boxes where the detector finds
nothing or the object at another place, and boxes in which it finds another class. The candidates are ranked by the probability of an error.

  detkit data label-errors my_data errors                               with the detector inside the package
  detkit data label-errors my_data errors --model runs/first-1          with your own
  detkit data label-errors my_data errors --model runs/first-1 --labels to_correct --format labelme --top 200

The new folder OUTPUT gets label_errors.html, a page with a crop of each candidate, and all candidates as label_errors.json and
label_errors.csv. --labels writes the images of the first candidates with their labels, to be corrected in a labeling tool: each candidate
is one more box there, of a class that begins with a question mark. '?cat' is a cat that has no label, a better box for one, or lies over a
label that should be a cat; '?not cat' lies over a label that the detector does not support.

Classes are matched by name (--rename). A detector that was trained on these labels has learned their errors and finds fewer."""


@dataclass(frozen=True, kw_only=True)
class LabelErrorsOptions(SourceFlags):
    """Options of ``detkit data label-errors``.

    Attributes:
        output: The new folder of the page and the tables.
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        rename: Classes of the data and the corresponding classes of the detector, as ``A=B``.
        min_score: Lowest score of a candidate.
        top: Number of candidates whose images are in the label set.
        labels: The new folder of the label set; None: none is written.
        format: Its format.
        copy: How images get into it.
        device: Name of the device.
        precision: Number format.
        runtime: Name of the runtime; None: torch, or that of an exported file.
        threads: Number of threads; None: the default.
    """

    output: Path
    model: str | None = None
    latest: bool = False
    rename: tuple[str, ...] | None = None
    min_score: float = 0.05
    top: int = 100
    labels: str | None = None
    format: str = "coco"
    copy: Copy = "link"
    device: str = "auto"
    precision: str = "fp32"
    runtime: str | None = None
    threads: int | None = None


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "label-errors",
        help="find labels that are probably wrong",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_flags(parser)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder for the page and the tables")
    add_flags(parser, "--model", help=f"the detector: {MODEL_HELP} (default: embedded, the one inside the package)")
    add_flags(parser, "--latest", "--rename")
    add_flags(parser, "--min-score", help="lowest score of a candidate, the probability of an error (default: %(default)s)")
    labels = parser.add_argument_group("label set to correct")
    add_flags(labels, "--labels", help="also write the images of the first candidates to this new folder")
    add_flags(labels, "--top", help="number of these candidates (default: %(default)s)")
    add_flags(labels, "--format", "--copy")
    add_flags(parser, "--device", "--precision", "--runtime", "--threads")
    bind(parser, LabelErrorsOptions, _run)


def _run(options: LabelErrorsOptions) -> int:
    from detkit.curation.output import check_new
    from detkit.curation.pages.label_errors_page import write_label_errors_page

    for folder in (options.output, None if options.labels is None else Path(options.labels)):
        if folder is not None:
            check_new(folder)
    parts = options.read()
    errors = _find(options, parts)
    _print(errors)
    write_label_errors_page(parts, errors, options.output / PAGE)
    for name in TABLES:
        errors.write(options.output / name)
    if options.labels is not None:
        _write_labels(options, parts, errors)
    print(f"look at them: {printable(options.output / PAGE)}")
    return 0


def _find(options: LabelErrorsOptions, parts: LabeledParts) -> LabelErrors:
    from detkit.curation.label_errors import find_label_errors, memory_warnings
    from detkit.curation.label_errors.find import with_warnings
    from detkit.data import parse_renames
    from detkit.inference import load

    model, reason = resolve_model(options.model, options.latest)
    given = {name: value for name in ("runtime", "threads") if (value := getattr(options, name)) is not None}
    predictor = load(model, options.device, options.precision, **given)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    renames = parse_renames(options.rename or ())
    errors = find_label_errors(
        parts,
        predictor,
        renames=renames,
        min_score=options.min_score,
        progress=lambda images: with_bar(images, parts.image_count, "image"),
    )
    return with_warnings(errors, *memory_warnings(model, parts))


def _print(errors: LabelErrors) -> None:
    for line in errors.warnings:
        print(f"warning: {printable(line)}")
    if errors.unknown_classes:
        names = [f"{name} ({number:,})" for name, number in errors.unknown_classes.items()]
        print(f"not judged, as the detector does not know the class: {listed(names)}")
    judged = f"{count(errors.labels, 'label')} in {count(errors.images, 'image')}"
    found = ", ".join(f"{kind.value}: {number:,}" for kind, number in errors.counts.items())
    print(f"{judged}; candidates: {len(errors.candidates):,} ({found})")


def _write_labels(options: LabelErrorsOptions, parts: LabeledParts, errors: LabelErrors) -> None:
    from detkit.cli.data.output import write_and_print
    from detkit.curation.label_errors import label_set
    from detkit.curation.output import OutputOptions

    if options.labels is None or not errors.candidates:
        print("no label set is written, as there are no candidates")
        return
    write_and_print(label_set(parts, errors, options.top), Path(options.labels), OutputOptions(kind=options.format, copy=options.copy))
