"""Findings of what the readers reported: labels and images that they skipped, changed or noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from detkit.data.checks import rules
from detkit.data.checks.findings import MOST_EXAMPLES, Example, Finding
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport


def reader_findings(parts: Mapping[str, DetectionData]) -> Iterator[Finding]:
    """Return the issues of each reader's report, with the named files as examples; a report of several parts is read once."""
    seen: list[ReadReport] = []
    for part, data in parts.items():
        report = data.report
        if any(report is other for other in seen):
            continue
        shared = sum(other.report is report for other in parts.values()) > 1
        seen.append(report)
        for issue in ReadIssue:
            if report.count(issue):
                yield _finding(issue, "" if shared else part, report)
        unchecked = len(data) - (report.checked if report.checked is not None else len(data))
        if unchecked > 0:
            detail = f"{report.checked:,} evenly spaced images were compared"
            yield Finding.of_texts(rules.UNCHECKED_SIZES, "" if shared else part, [detail], unchecked)


def _finding(issue: ReadIssue, part: str, report: ReadReport) -> Finding:
    counts = sorted(report.counts[issue].items())
    described = report.details.get(issue, "")
    cases = []
    for file, count in counts[:MOST_EXAMPLES]:
        own = described.removeprefix(f"{file}: ") if described.startswith(f"{file}: ") else ""
        cases.append(Example(file, None, ", ".join(filter(None, (own, f"{count:,} times" if count > 1 else "")))))
    cases.sort(key=lambda case: not described.startswith(f"{case.file}: "))
    return Finding(rules.READER_RULES[issue], part, report.count(issue), tuple(cases))
