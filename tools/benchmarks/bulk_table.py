"""What bulk detection costs from a laptop to a billion images, calculated from measured figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBERS = (10_000, 1_000_000, 100_000_000, 1_000_000_000)
CORES = 64
"""Cores of a machine in the table."""
SHARD_HOURS = 1.0
"""Hours of one core that a shard should take."""
HEADER = (
    "images",
    "core-hours",
    f"machines of {CORES} cores for a day",
    "shards",
    "bytes of images",
    "bytes of results",
    "time to list, each shard",
)


def table(costs: Mapping[str, Any]) -> str:
    """Return the calculated costs as a table in Markdown.

    Args:
        costs: The measured figures, as of ``python tools/bulk_detection.py costs``.
    """
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    lines += [f"| {' | '.join(cells(number, costs))} |" for number in NUMBERS]
    return "\n".join(lines)


def measured(costs: Mapping[str, Any]) -> str:
    """Return the measured figures as a table in Markdown."""
    detection, rows = costs["detection"], costs["rows"]
    seconds, number = rows["processor_seconds"], rows["rows"]
    names = (rows["memory_after_listing"] - rows["memory_at_start"]) / number * 1e6
    lines = {
        "images an hour and core": f"{detection['images_an_hour_and_core']:,.0f}",
        "an image": f"{1000 * detection['processor_seconds_of_image']:.0f} ms",
        "of it reading and decoding": f"{1000 * detection['decoding_processor_seconds_of_image']:.1f} ms",
        "start of a process": f"{detection['start_processor_seconds']:.1f} s",
        "an image file": f"{detection['bytes_of_image'] / 1000:.0f} kB",
        "images read, a second and core": f"{detection['bytes_a_second_and_core'] / 1e6:.2f} MB",
        "listing a million names, in each shard": f"{seconds['list'] / rows['lists'] / number * 1e6:.1f} s",
        "memory of a name": f"{names:.0f} bytes",
        "writing a million rows": f"{seconds['write'] / number * 1e6:.0f} s",
        "a row in the file": f"{rows['bytes_of_row']:.0f} bytes",
        "checking a million rows": f"{seconds['check'] / number * 1e6:.1f} s",
        "merging a million rows": f"{seconds['merge'] / number * 1e6:.1f} s",
        "peak memory, after the first and the last shard": " and ".join(f"{rows['memory_after_each_shard'][i]:.0f} MB" for i in (0, -1)),
        "peak memory, after merging": f"{rows['memory_after_merging']:.0f} MB",
    }
    return "\n".join(["| one core | |", "|---|---|", *(f"| {name} | {value} |" for name, value in lines.items())])


def cells(images: int, costs: Mapping[str, Any]) -> list[str]:
    """Return the cells of a number of images."""
    detection, rows = costs["detection"], costs["rows"]
    hours = images * detection["processor_seconds_of_image"] / 3600
    list_seconds = rows["processor_seconds"]["list"] / rows["lists"] / rows["rows"] * images
    return [
        f"{images:,}",
        f"{hours:,.2g}" if hours < 10 else f"{hours:,.0f}",
        f"{hours / 24 / CORES:,.1g}" if hours < 24 * CORES else f"{hours / 24 / CORES:,.0f}",
        f"{max(1, round(hours / SHARD_HOURS)):,}",
        of_bytes(images * detection["bytes_of_image"]),
        of_bytes(images * rows["bytes_of_row"]),
        f"{list_seconds:,.1g} s" if list_seconds < 60 else f"{list_seconds / 60:,.0f} min",
    ]


def of_bytes(number: float) -> str:
    """Return a number of bytes in MB, GB or TB."""
    unit, name = next((unit, name) for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if number >= unit or name == "MB")
    return f"{number / unit:,.2g} {name}" if number < 10 * unit else f"{number / unit:,.0f} {name}"
