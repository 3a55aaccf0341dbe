"""The two READMEs have the same commands, figures, links and tables, and their figures are those of docs/results."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Return the code blocks without their comments."""
    return [(language, [line.split("  #")[0].rstrip() for line in block.splitlines()]) for language, block in _BLOCK.findall(text)]


def targets(text: str) -> Counter[str]:
    """Return the links and images, without those between the two pages."""
    found = (link or source for link, source in _TARGET.findall(_BLOCK.sub("", text)))
    return Counter(target for target in found if not target.startswith("README"))


def numbers(text: str) -> Counter[str]:
    """Return the numbers outside of code and links."""
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>|https?://\S+", " ", _BLOCK.sub("", text))
    return Counter(re.findall(r"\d[\d,.]*\d|\d", prose.replace("年 11 月", "")))


def spans(text: str) -> Counter[str]:
    """Return the code spans."""
    return Counter(re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text)))


@pytest.mark.parametrize("part", [commands, targets, numbers, spans])
def test_both_languages_have_the_same(part: Any) -> None:
    assert part(ENGLISH) == part(CHINESE)


def test_tables_have_the_same_shape() -> None:
    shapes = [[line.count("|") for line in text.splitlines() if line.startswith("|")] for text in (ENGLISH, CHINESE)]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 20


def test_they_link_to_each_other() -> None:
    assert "](README.zh-CN.md)" in ENGLISH
    assert "](README.md)" in CHINESE


def test_a_changed_figure_or_command_is_noticed() -> None:
    assert numbers(CHINESE.replace("0.619", "0.691")) != numbers(ENGLISH)
    assert commands(CHINESE.replace("--tiles 640", "--tiles 64")) != commands(ENGLISH)


def seconds(name: str) -> dict[str, float]:
    """Return the median seconds of the sides of a benchmark."""
    report = json.loads((RESULTS / "speed" / f"{name}.json").read_text("utf-8"))
    return {side: statistics.median(times) for side, times in report["seconds"].items()}


def test_figures_are_those_of_the_results() -> None:
    detect, evaluate = seconds("detect"), seconds("evaluate")
    fast = detect["detkit bf16 (default)"]
    assert f"{detect['torchvision fp32'] / fast:.2f} times as fast as torchvision in float32" in ENGLISH
    assert f"{detect['torchvision bf16 channels-last'] / fast:.2f} times as fast" in ENGLISH
    assert f"{evaluate['pycocotools'] / evaluate['detkit']:.0f} times as fast as pycocotools" in ENGLISH
    for start in ("embedded_bccd_seed", "embedded_bccd_imagenet_seed"):
        runs = [json.loads((RESULTS / "starts" / f"{start}{seed}.json").read_text("utf-8")) for seed in range(3)]
        assert f"{statistics.mean(run['test']['values']['AP'] for run in runs):.3f}" in ENGLISH
    images = json.loads((RESULTS / "fcos_lite0_bccd.json").read_text("utf-8"))["data"]["train"]["images"]
    assert f"trained on {images} images of blood cells" in ENGLISH


def test_facts_about_other_toolkits_are_dated() -> None:
    assert "As of November 2026" in ENGLISH
    assert "2026 年 11 月" in CHINESE
