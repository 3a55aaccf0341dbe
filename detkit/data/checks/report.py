"""The report of a check: all findings, worst first, with statistics of the data; as JSON and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import write_json
from detkit.data.checks.findings import Example, Finding, Rule, Severity
from detkit.json_text import parse_json

SCHEMA_VERSION = 1
"""Version of the JSON; it grows when a key changes its meaning."""


@dataclass(frozen=True)
class CheckReport:
    """The result of checking a labeled data set.

    Attributes:
        source: Name of the data.
        findings: All findings.
        statistics: For each part its statistics as JSON values; see :func:`detkit.data.checks.statistics.part_statistics`.
    """

    source: str
    findings: tuple[Finding, ...] = ()
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of a severity."""
        return tuple(finding for finding in self.findings if finding.rule.severity is severity)

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings of each severity, by its name."""
        return {severity.value: len(self.of(severity)) for severity in Severity}

    def with_findings(self, findings: Sequence[Finding]) -> CheckReport:
        """Return the report with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def exit_code(self, strict: bool = False) -> int:
        """Return 1 if there are errors, or with ``strict`` warnings, else 0."""
        return int(bool(self.of(Severity.ERROR)) or (strict and bool(self.of(Severity.WARNING))))

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        ordered = [finding for severity in Severity for finding in self.of(severity)]
        return {
            "schema": SCHEMA_VERSION,
            "source": self.source,
            "counts": self.counts,
            "findings": [finding.as_json() for finding in ordered],
            "statistics": {name: dict(values) for name, values in self.statistics.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CheckReport:
        """Return the report of JSON; its findings have their counts and examples, without the indices of images and boxes.

        Raises:
            ValueError: If the JSON has another schema.
        """
        if value.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"report of a data check: expected schema {SCHEMA_VERSION}, got {value.get('schema')!r}; run the check again")
        return cls(value["source"], tuple(_finding(item) for item in value["findings"]), value["statistics"])

    def write(self, path: str | Path) -> None:
        """Write the report as JSON.

        Raises:
            WriteError: If the file cannot be written.
        """
        write_json(path, self.as_json())

    @classmethod
    def read(cls, path: str | Path) -> CheckReport:
        """Read a report that was written as JSON.

        Raises:
            ValueError: If the file is not such a report.
        """
        return cls.from_json(parse_json(Path(path).read_bytes(), str(path)))


def _finding(value: Mapping[str, Any]) -> Finding:
    rule = Rule(value["rule"], Severity(value["severity"]), value["text"], value["advice"])
    return Finding(rule, value["part"], value["count"], tuple(Example(**example) for example in value["examples"]))
