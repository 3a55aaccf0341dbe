"""The page of a comparison: protocol, results, drawn images, and how to repeat it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from detkit.comparison.pages import charts
from detkit.comparison.pages.drawings import changed_images, drawn_detectors, same_images
from detkit.comparison.plan import Entry, Plan, price, start_of, units
from detkit.comparison.results import ground_truth
from detkit.comparison.session import Session
from detkit.report.markup import Html, join, tag
from detkit.report.page import Page, Section
from detkit.report.parts import Column, command, facts, paragraph, table

MOST_CLASSES = 40
"""Classes of the table by class; of more classes, only the sizes are shown."""

UNEVEN = (
    "Warning: the machine was not equally fast for all runs, as the same detector saw very different numbers of images in equal minutes. "
    "Other programs were running, or parts ran on other machines. Repeat it on a quiet machine, or with --steps"
)


def write_page(session: Session, results: dict[str, Any], path: Path) -> int:
    """Write the report of a comparison and return its size in bytes.

    Raises:
        WriteError: If the disk is full, or the file cannot be written there.
    """
    truth = ground_truth(session)
    drawn = drawn_detectors(session, truth)
    protocol = [protocol_part(session.plan, session.parts.description, _sizes(session))]
    if results["uneven"]:
        protocol.append(paragraph(f"{UNEVEN}: {'; '.join(results['uneven'])}."))
    sections = [Section("protocol", "Protocol", join(protocol))]
    sections.append(Section("results", "Results", charts.results_table(results)))
    sections.append(Section("speed", "Accuracy and speed", charts.accuracy_chart(results)))
    if results["pairs"]:
        sections.append(Section("pairs", "Pairs", charts.pairs_map(results)))
    if len(results["classes"]) <= MOST_CLASSES:
        sections.append(Section("classes", "By class", charts.classes_table(results)))
    sections.append(Section("sizes", "By size", charts.sizes_table(results)))
    sections.append(Section("images", "The same images", same_images(truth, drawn)))
    pair = _changed_pair(session.plan, results)
    if pair is not None:
        sections.append(Section("changes", "Better and worse", changed_images(truth, drawn, *pair)))
    if results.get("fractions"):
        sections.append(Section("labels", "More labels", charts.learning_curves(results)))
    sections.append(Section("runs", "Runs", charts.runs_table(results)))
    sections.append(Section("repeat", "Repeat", _repeat(session, results)))
    lead = join([results["advice"]])
    title = f"Comparison of {len(results['entries'])} detectors on {Path(session.plan.protocol.data).name}"
    return Page(title, sections, lead).write(path)


def _sizes(session: Session) -> str:
    return ", ".join(f"{name} {len(data):,} images and {len(data.records.labels):,} boxes" for name, data in session.parts.data.items())


def _changed_pair(plan: Plan, results: dict[str, Any]) -> tuple[str, str] | None:
    """Return the best detector and the one to compare it with: the first of the plan, or the second best if that is the best."""
    known = [row for row in results["entries"] if math.isfinite(row["estimates"]["AP"]["mean"])]
    ranked = [row["name"] for row in sorted(known, key=lambda row: -row["estimates"]["AP"]["mean"])]
    if len(ranked) < 2:
        return None
    first = next(entry.name for entry in plan.entries if entry.name in ranked)
    return ranked[0], ranked[1] if first == ranked[0] else first


def protocol_part(plan: Plan, division: str, sizes: str) -> Html:
    """Return the conditions that are equal for all, and what is compared."""
    protocol, minutes = plan.protocol, price(plan)
    trainings = sum(unit.is_training for unit in units(plan))
    rows = [("data", f"{protocol.data}: {sizes}"), ("division", division)]
    if trainings:
        rows += [
            ("training", f"{protocol.length} each on one thread, with {protocol.seeds} seeds: {trainings} trainings"),
            ("initial weights", protocol.init or "as configured"),
            ("backbone", protocol.backbone or "as configured"),
            ("hyper-parameters", "as configured" + (f", but for all: {' '.join(protocol.overrides)}" if protocol.overrides else "")),
        ]
    if minutes is not None and trainings:
        rows.append(("price", f"{minutes:,.0f} core-minutes"))
        rows.append(("what minutes mean", "imports, proposals, decoding and validations are included; the test evaluation is not"))
        rows.append(("what minutes favor", "small models, which see more images in equal minutes: compare steps and images as well"))
    if protocol.halving:
        rows.append(("halving", "the worse half by val AP was stopped after a quarter of the training, and after a half"))
    rows.append(("selection", "validation images choose the best checkpoint; test images are used once"))
    rows.append(
        ("intervals", "95 %; over the test images by a paired bootstrap, over seeds by Student's t; both add up as independent errors do")
    )
    columns: list[Column | str] = [
        "name",
        Column("year", True),
        "method",
        "start",
        "augmentation",
        Column("batch", True),
        "trials that chose its settings",
    ]
    rarely = [f"{entry.name}: {' '.join(entry.overrides)}" for entry in plan.entries if entry.overrides and ":" not in entry.name]
    if rarely:
        rows.append(("validated less often", f"as a validation takes minutes: {'; '.join(rarely)}"))
    entries = table(columns, [_entry_row(entry) for entry in plan.entries], identifier="entries")
    return join([facts(rows), tag("h3", "What is compared"), entries])


def _entry_row(entry: Entry) -> list[Any]:
    experiment = entry.experiment
    year = None if entry.year is None else str(int(entry.year))
    if experiment is None:
        return [entry.name, year, entry.title, "evaluated as it is", None, None, None]
    return [entry.name, year, entry.title, start_of(entry), experiment.augmentation.preset, str(experiment.loader.batch_size), entry.trials]


def _repeat(session: Session, results: dict[str, Any]) -> Html:
    parts = [paragraph("Repeat this comparison from the start, with its own copy of every config:")]
    parts.append(command(f"detkit compare {session.folder.plan}"))
    if results["command"]:
        name = results["recommended"] or results["best"]
        parts += [paragraph(f"Train {name} for as long as it is configured:"), command(results["command"])]
    if results["stopped"]:
        parts.append(paragraph(f"Stopped early: {', '.join(results['stopped'])}."))
    if results["missing"]:
        parts.append(paragraph(f"Missing: {', '.join(results['missing'])}."))
    parts.append(paragraph("compare.json in this folder has the plan, every number of this page, and the hashes of the data.", note=True))
    return join(parts)
