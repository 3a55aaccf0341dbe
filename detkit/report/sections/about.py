"""Where the numbers come from: the config with what set each value, data, versions, and the command to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from detkit.config.flat import flat
from detkit.report.markup import Content, Html, join, tag
from detkit.report.page import Section
from detkit.report.parts import command, facts, table
from detkit.report.training import TrainingFacts

DEFAULT = "default"


def config_section(training: TrainingFacts) -> Section:
    """Return the config of a run; values that are not defaults come first."""
    rows = [(key, json.dumps(value, ensure_ascii=False), training.set_by.get(key, DEFAULT)) for key, value in flat(training.config).items()]
    rows.sort(key=lambda row: row[2] == DEFAULT)
    cells = [[tag("code", key), tag("code", value), who] for key, value, who in rows]
    return Section("config", "Config", table(("key", "value", "set by"), cells, identifier="config-table"))


def about_section(known: Mapping[str, Any], repeat: str, training: TrainingFacts | None) -> Section:
    """Return data, versions, machine, and the command to repeat the evaluation."""
    results = training.results if training is not None else {}
    rows = dict(_rows(known))
    used = {
        key: results[key]
        for key in ("data", "steps", "images_seen", "core_minutes", "wall_minutes", "parameters", "device", "reason")
        if key in results
    }
    used |= {key: results[key] for key in ("versions", "machine", "revision") if key in results}
    blocks = [facts(list(rows.items()))]
    if used:
        blocks.append(tag("h3", "Training"))
        blocks.append(facts(list(_rows(used))))
    if repeat:
        blocks += [tag("h3", "Repeat this"), command(repeat)]
    return Section("about", "About", join(blocks))


def _rows(values: Mapping[str, Any]) -> Iterator[tuple[str, Content]]:
    for name, value in values.items():
        if value not in (None, "", [], {}):
            yield name.replace("_", " "), _text(value)


def _text(value: Any) -> Html | str:
    """Return a value in words: nested ones as names with values."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items() if item not in (None, "", [], {}))
    if isinstance(value, list):
        return "; ".join(str(_text(item)) for item in value)
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
