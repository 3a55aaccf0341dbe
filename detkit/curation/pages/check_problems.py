"""The problems of a data check: count, description, steps to take, examples, and a button that shows their images."""

from __future__ import annotations

import json
from collections.abc import Sequence

from detkit.curation.pages.check_images import GALLERY, ShownImage, problem_name
from detkit.data.checks.findings import Finding, Severity
from detkit.data.checks.report import CheckReport
from detkit.report.markup import Html, tag
from detkit.report.page import Section
from detkit.report.parts import details, number, paragraph

_EXAMPLES = 20


def problems_section(report: CheckReport, images: Sequence[ShownImage]) -> Section:
    """Return the section of the problems, the worst first."""
    findings = [finding for severity in Severity for finding in report.of(severity)]
    if not findings:
        return Section("problems", "Problems", paragraph("No problems were found."))
    return Section("problems", "Problems", tag("div", *(_finding(finding, images) for finding in findings), class_="findings"))


def _finding(finding: Finding, images: Sequence[ShownImage]) -> Html:
    severity = finding.rule.severity.value
    head = tag(
        "h3",
        tag("span", severity, class_="severity"),
        f" {_sentence(finding.rule.text)}: ",
        number(finding.count),
        tag("small", f" in {finding.part}") if finding.part else None,
    )
    content = [head, paragraph(f"{_sentence(finding.rule.advice)}."), _examples(finding), _button(finding, images)]
    return tag("article", *content, class_=f"finding severity-{severity}", data_rule=finding.rule.name)


def _sentence(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:].removesuffix(".")


def _examples(finding: Finding) -> Html | None:
    shown = [str(example) for example in finding.examples(_EXAMPLES)]
    if not any(shown):
        return None
    rest = [tag("li", f"and {finding.count - len(shown):,} more")] if finding.count > len(shown) else []
    return details("examples" if len(shown) > 1 else "example", tag("ul", *(tag("li", text) for text in shown), *rest))


def _button(finding: Finding, images: Sequence[ShownImage]) -> Html | None:
    """Return the button that shows the images of a finding; None if the page has none of them."""
    here = sum(finding in image.findings for image in images)
    if not here:
        return None
    total = len(set(finding.images.tolist()))
    of_all = "" if here == total else f" of {total:,}"
    filters = {"problem": problem_name(finding), **({"part": finding.part} if finding.part else {})}
    return tag(
        "button",
        f"show {here:,}{of_all} {'image' if total == 1 else 'images'}",
        type="button",
        class_="show",
        data_gallery=GALLERY,
        data_filters=json.dumps(filters),
    )
