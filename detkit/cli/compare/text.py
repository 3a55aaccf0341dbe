"""The plan and the results of a comparison as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.cli.report import count, table
from detkit.comparison.plan import Entry, Plan, price, units
from detkit.weights import EMBEDDED

if TYPE_CHECKING:
    from detkit.comparison.splits import Parts


def plan_text(plan: Plan, parts: Parts) -> str:
    """Return the protocol, what is compared, and the price."""
    rows = [_entry_row(entry) for entry in plan.entries]
    entries = table(rows, ("name", "year", "start", "augmentation", "batch", "trials before"))
    return "\n".join([*protocol_lines(plan, parts), "", entries, "", price_line(plan)])


def protocol_lines(plan: Plan, parts: Parts) -> list[str]:
    """Return the conditions that are equal for all, one a line."""
    protocol = plan.protocol
    sizes = ", ".join(f"{name} {count(len(data), 'image')}" for name, data in parts.data.items())
    lines = [f"data: {protocol.data}: {sizes}; {parts.description}"]
    if any(entry.kind == "config" for entry in plan.entries):
        lines += [
            f"training: {protocol.length} each, on one thread, with {count(protocol.seeds, 'seed')}; hyper-parameters as configured"
            + (f", but {' '.join(protocol.overrides)}" if protocol.overrides else ""),
            f"start: {protocol.init or 'as configured'}; backbone: {protocol.backbone or 'as configured'}",
        ]
        if protocol.budget is not None:
            lines.append("equal minutes favor small models, which see more images in them: steps and images are printed beside the minutes")
            lines.append("the minutes include imports, proposals, decoding of images and validations; the test evaluation is not included")
    lines.append(f"validation images choose the best checkpoint; test images are used once, in precision {protocol.precision}")
    return lines


def price_line(plan: Plan) -> str:
    """Return the number of trainings and what they cost."""
    trainings = sum(unit.is_training for unit in units(plan))
    minutes = price(plan)
    if not trainings:
        return "price: no training, one evaluation of each"
    cost = "as long as their steps take" if minutes is None else f"{minutes:,.0f} core-minutes ({minutes / 60:.1f} hours on one core)"
    return f"price: {count(trainings, 'training')}, {cost}, and an evaluation of each on the validation and test images"


def _entry_row(entry: Entry) -> tuple[str, ...]:
    experiment = entry.experiment
    year = "" if entry.year is None else f"{int(entry.year)}"
    if experiment is None:
        return entry.name, year, "evaluated as it is", "", "", ""
    backbone = getattr(experiment.model, "backbone", None)
    start = "COCO" if experiment.weights == EMBEDDED else experiment.weights
    if start is None:
        start = (
            "scratch" if backbone is None or backbone.weights is None else "ImageNet" if backbone.weights == "default" else backbone.weights
        )
    size = str(experiment.loader.batch_size)
    return entry.name, year, start, experiment.augmentation.preset, size, entry.trials
