from __future__ import annotations

from detkit.data.report import ReadIssue, ReadReport


def test_names_in_the_report_neither_break_lines_nor_control_terminals() -> None:
    report = ReadReport("my\ndata")
    report.add(ReadIssue.MISSING_IMAGE, "a\x1b[2J\n.jpg")
    report.add(ReadIssue.CLIPPED, "x" * 100_000)
    first, second = report.summary()
    assert first == r"my\ndata: images skipped, with their boxes, because the file is missing: 1 (a\x1b[2J\n.jpg)"
    assert len(second) < 5000
