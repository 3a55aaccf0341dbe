"""A comparison from start to end: its folder is opened, checked against the plan, and everything that is missing is run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from detkit.about import __version__
from detkit.comparison.folder import ComparisonFolder, read_json
from detkit.comparison.halving import run_halving
from detkit.comparison.plan import Entry, Plan, Protocol, Unit, units
from detkit.comparison.running import Launch, Runner, Say
from detkit.comparison.splits import Parts, prepare

FORMAT = 1
"""Version of ``compare.json``."""
_MAY_DIFFER = ("data", "images", "device", "seeds")
"""Settings of the protocol that may change when a comparison is continued; seeds may only be added."""


@dataclass(eq=False)
class Session:
    """A comparison whose folder is ready.

    Attributes:
        plan: The plan.
        folder: The folder.
        parts: The data.
    """

    plan: Plan
    folder: ComparisonFolder
    parts: Parts

    @classmethod
    def open(cls, plan: Plan, folder: ComparisonFolder) -> Self:
        """Prepare the folder of a comparison, or check that it continues the one that is there.

        Raises:
            FileNotFoundError: If the data does not exist.
            ValueError: If the folder holds a comparison with other settings, or of other data.
        """
        saved = folder.read() if folder.plan.is_file() else None
        if saved is not None:
            plan = continued(plan_of(saved, folder.plan), plan, folder.path)
        folder.path.mkdir(parents=True, exist_ok=True)
        parts = prepare(plan.protocol, folder.data)
        session = cls(plan, folder, parts)
        session._check_data(saved)
        for stale in (*folder.path.glob("results/*/task-*.json"), *folder.path.glob("task-*.json")):
            stale.unlink(missing_ok=True)
        session.write()
        return session

    def run(self, launch: Launch, *, jobs: int = 1, say: Say = lambda line: None, parent: int = 0) -> Runner:
        """Run everything that is missing, and return the runner with the errors of what failed.

        Raises:
            KeyboardInterrupt: If it is interrupted; the same call continues it.
        """
        runner = Runner(self.plan, self.folder, self.parts, launch, jobs, say, parent)
        if self.plan.protocol.halving:
            run_halving(runner, self.units())
        runner.run(self.units())
        runner.measure_latency()
        return runner

    def units(self) -> tuple[Unit, ...]:
        """Return all trainings and evaluations."""
        return units(self.plan)

    def write(self, results: dict[str, Any] | None = None) -> None:
        """Write ``compare.json``; results that are not given are kept."""
        old = self.folder.read() if self.folder.plan.is_file() else {}
        content: dict[str, Any] = {"format": FORMAT, "detkit": __version__, "plan": self.plan.model_dump(mode="json")}
        content["data"] = {"division": self.parts.description, **self.parts.fingerprint()}
        content["results"] = results if results is not None else old.get("results")
        self.folder.write(content)

    def _check_data(self, saved: dict[str, Any] | None) -> None:
        if saved is None:
            return
        now = self.parts.fingerprint()
        for name, before in saved.get("data", {}).items():
            if name in now and now[name] != before:
                sizes = " and now ".join(f"{row['images']} images with {row['boxes']} boxes" for row in (before, now[name]))
                raise ValueError(
                    f"{self.folder.path}: the {name} part of {self.plan.protocol.data} is not what the comparison was started with: "
                    f"it had {sizes}; give the same data, or start a new comparison with another --output"
                )


def plan_of(content: dict[str, Any], path: Path) -> Plan:
    """Return the plan in the content of a ``compare.json``.

    Raises:
        ValueError: If there is none, or it was written by a later version.
    """
    if content.get("format") != FORMAT or "plan" not in content:
        raise ValueError(f"{path}: expected the compare.json of a comparison in format {FORMAT}, got format {content.get('format')}")
    return Plan.from_json(json.dumps(content["plan"]))


def read_plan(path: Path) -> Plan:
    """Read the plan of a ``compare.json``, to repeat the comparison."""
    return plan_of(read_json(path), path)


def is_comparison(path: Path) -> bool:
    """Whether a file is the ``compare.json`` of a comparison."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        return "plan" in read_json(path)
    except ValueError:
        return False


def continued(saved: Plan, given: Plan, folder: Path) -> Plan:
    """Return the plan that continues a saved one: entries and seeds may be added, and the data may be elsewhere.

    Raises:
        ValueError: If anything else differs; the message names it.
    """
    old, new = saved.protocol, given.protocol
    names = [name for name in Protocol.model_fields if name not in _MAY_DIFFER and getattr(old, name) != getattr(new, name)]
    if names:
        listed = ", ".join(f"{name} = {getattr(new, name)} (the folder has {getattr(old, name)})" for name in names)
        raise ValueError(
            f"{folder}: a comparison continues under its own protocol, so these cannot change: {listed}; choose another --output"
        )
    known = {entry.name: entry for entry in saved.entries}
    for entry in given.entries:
        if entry.name in known and entry.experiment != known[entry.name].experiment:
            keys = ", ".join(differing_keys(known[entry.name], entry)[:6])
            raise ValueError(
                f"{folder}: the config {entry.name} is not the one that the comparison was started with: {keys} differ; continue with "
                f"--resume {folder}, which has its own copy of every config, or choose another --output"
            )
    added = [_with_free_slug(entry, saved) for entry in given.entries if entry.name not in known]
    protocol = new.replace(seeds=max(old.seeds, new.seeds))
    return Plan(protocol=protocol, entries=(*saved.entries, *added))


def _with_free_slug(entry: Entry, saved: Plan) -> Entry:
    used = {other.slug for other in saved.entries}
    if entry.slug not in used:
        return entry
    return entry.replace(slug=next(name for number in range(2, 10_000) if (name := f"{entry.slug}-{number}") not in used))


def differing_keys(one: Entry, other: Entry) -> list[str]:
    """Return the dotted config keys in which two entries differ."""
    pair = [{} if entry.experiment is None else _flat(entry.experiment.model_dump(mode="json")) for entry in (one, other)]
    return sorted(key for key in pair[0].keys() | pair[1].keys() if pair[0].get(key) != pair[1].get(key))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: item for name, inner in value.items() for key, item in _flat(inner, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): value}
