"""The plan and the results of a comparison as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from detkit.cli.report import count, shown, table
from detkit.comparison.plan import Entry, Plan, price, start_of, units
from detkit.comparison.statistics import has_masks, known_mean, ranked

if TYPE_CHECKING:
    from detkit.comparison.splits import Parts


def plan_text(plan: Plan, parts: Parts) -> str:
    """Return the protocol, what is compared, and the price."""
    rows = [_entry_row(entry) for entry in plan.entries]
    entries = table(rows, ("name", "year", "start", "augmentation", "batch", "trials before"))
    keys = [f"{entry.name}: {' '.join(entry.overrides)}" for entry in plan.entries if entry.overrides and ":" not in entry.name]
    rarely = ["", "validated less often, as a validation takes minutes:", *keys] if keys else []
    return "\n".join([*protocol_lines(plan, parts), "", entries, *rarely, "", price_line(plan)])


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
            lines.append("equal minutes favor small models, which see more images in them: steps and images are printed too")
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
    size = str(experiment.loader.batch_size)
    return entry.name, year, start_of(entry), experiment.augmentation.preset, size, entry.trials


def results_text(results: dict[str, Any]) -> str:
    """Return the results as a table, best first, and the advice."""
    masks = has_masks(results)
    own = ("mask AP", "mask AP50") if masks else ()
    header = ("name", "test AP", "95 %", "AP50", "AP75", *own, "val AP", "core-minutes", "steps", "images", "ms", "runs")
    rows = [_result_row(row, masks) for _, row in ranked(results["entries"])]
    lines = [table(rows, header, set(header) - {"name", "95 %"})]
    lines.append(
        f"on {count(results['images'], 'test image')} with {count(results['boxes'], 'object')}; means of the runs; the interval of AP is "
        f"over images ({results['resamples']:,} bootstrap resamples) and seeds; ms: median time of an image"
    )
    if results["uneven"]:
        runs = "; ".join(results["uneven"])
        lines.append(f"warning: the machine was not equally fast for all runs ({runs}): repeat it on a quiet machine, or with --steps")
    for unit in results["stopped"]:
        lines.append(f"stopped early: {unit}")
    if results["missing"]:
        lines.append(f"missing: {', '.join(results['missing'])}")
    lines += ["", results["advice"]]
    if results["command"]:
        name = results["recommended"] or results["best"]
        lines.append(f"to train {name} for as long as it is configured: {results['command']}")
    return "\n".join(lines)


def _result_row(row: Mapping[str, Any], masks: bool) -> tuple[str, ...]:
    estimate, runs = row["estimates"]["AP"], row["runs"]
    minutes, steps, images = (_mean_of(runs, name, digits) for name, digits in (("core_minutes", 1), ("steps", 0), ("images_seen", 0)))
    latency = "-" if row["latency"] is None else f"{1000 * row['latency']['median']:.0f}"
    interval = f"{shown(estimate['low'])} to {shown(estimate['high'])}"
    numbers = [shown(row["test"][name]) for name in ("AP50", "AP75")]
    numbers += [shown(row["test_masks"][name]) for name in ("AP", "AP50")] if masks else []
    return (row["name"], shown(estimate["mean"]), interval, *numbers, shown(row["val"]), minutes, steps, images, latency, str(len(runs)))


def _mean_of(runs: list[dict[str, Any]], name: str, digits: int) -> str:
    mean = known_mean(run[name] for run in runs)
    return "-" if mean is None else f"{mean:,.{digits}f}"
