"""The commands in the documents, and how each of them is tested."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if "reference" not in page.parts),  # which the site generates
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TOOL = re.compile(r"^python tools/(train|detect|evaluate|export)\.py\b")

NEEDS = {
    "a download": (
        r"^detkit (models download|data fetch)\b|(\bweights=|\bevaluate )(fasterrcnn|maskrcnn|yolox_nano)"
        r"|--model (?!zero_shot_rcnn|embedded)\w+(?=\s|$)"
        r"|\.pth?\b|\b(cats|cells|animals)\.safetensors|\b(bccd|coco_sample|VOC\w*|MOT17)\b|^git clone|\bpip install\b"
    ),
    "a GPU, a camera, a cluster, a server or a bucket": (
        r"^(torchrun|sbatch|aws|docker|curl)\b|\b(detect|track) 0\b|(s3|rtsp)://|\bcuda\b|--devices|SLURM|^export |--host 0"
    ),
    "a program that is not part of detkit": r"^(trtexec|cd|source|pre-commit|ruff|mypy|bash|sphinx-build|python -m venv)\b|^mypy$",
    "hours, or a quiet machine": (
        r"^python (docs/make_|tools/(benchmark|fuzz|\w*kill_test))|^\$?TRAIN|^SMALL=|^TENTH=|\bhalf\.safetensors|\bmean\.safetensors"
        r"|--suite|--fractions|--calibration-images|^(\w+=\S+ )*pytest\b"
    ),
}
"""Needs of commands that a test cannot meet, and the commands that have them, as a pattern."""

RUN_BY = {
    r"^detkit serve\b": "tests/cli/test_serve.py",
    r"^detkit explain .*--models": "tests/cli/test_family.py",
    r"unet_sample|--label-maps": "tests/end_to_end/test_segment.py tests/cli/detect/test_*.py tests/cli/test_pyramid.py",
    r"--pyramid|--tiles": "tests/cli/test_pyramid.py tests/cli/t*/test_*.py tests/cli/evaluate/test_evaluate.py",
    r"runs/large_": "tests/cli/evaluate/test_evaluate.py",
    r"^detkit compare .*--gate": "tests/cli/compare/test_compare_command.py",
    r"^detkit evaluate (--data|runs/tires-1|runs/\w+-1$)": "tests/cli/evaluate/test_evaluate.py",
    r"^detkit propose": "tests/cli/propose/test_propose.py",
    r"\.(onnx|xml)\b(?<!detector\.onnx)|--runtime|^detkit benchmark": (
        "tests/cli/test_*.py tests/cli/benchmark/*.py tests/contracts/test_export.py tests/export/test_*.py tests/export/*/test_*.py"
    ),
    r"runs/masks-1|results\.json|\baerial tiles": "tests/cli/*/test_[mectlds]*.py",
    r"classify_folder": "tests/end_to_end/test_classify.py tests/cli/detect/test_detect.py",
    r"--shard\b|merge-results": "tests/cli/d*/test_*sh*.py",
    r"^detkit data shard|\bshards\b": "tests/cli/data/test_shard.py",
    r"--svd": "tests/cli/test_runtime.py",
}
"""Commands that other tests run, as a pattern, and these tests, which name their flags."""


class Command(NamedTuple):
    """A command: its page, its number on it, and its text without comment."""

    page: str
    number: int
    text: str

    @property
    def words(self) -> list[str]:
        """The words that follow ``detkit``; empty for other programs."""
        words = shlex.split(_TOOL.sub(r"detkit \1", self.text), comments=True)
        return words[1:] if words[:1] == ["detkit"] and len(words) > 1 else []


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands in a page's code blocks; in console blocks they follow a ``$``. Comments are left out."""
    number = 0
    for language, block in _BLOCK.findall(page.read_text("utf-8")):
        if language not in {"bash", "console", "sh"}:
            continue
        lines = re.sub(r"\\\n\s*", " ", block).splitlines()
        typed = lines if language != "console" else [line[2:] for line in lines if line.startswith("$ ")]
        for part in (part for line in typed for part in re.sub(r"(^|\s+)#.*", "", line).split("&&")):
            if part.strip():
                yield Command(page.name, number, part.strip())
                number += 1


def every_command() -> list[Command]:
    """Return the commands of all pages."""
    return [command for page in PAGES for command in commands(page)]


def need(command: Command) -> str | None:
    """Return what a command needs that a test has not; None for nothing."""
    return next((reason for reason, pattern in NEEDS.items() if re.search(pattern, command.text)), None)


def other_tests(command: Command) -> list[Path]:
    """Return the tests that run a command of this kind."""
    paths = next((path for pattern, path in RUN_BY.items() if re.search(pattern, command.text)), None)
    return [path for pattern in (paths or "").split() for path in sorted(ROOT.glob(pattern))]


def is_training(command: Command) -> bool:
    """Whether a command trains a config or a folder."""
    return command.words[:1] == ["train"] and "--show-batches" not in command.words


def runs_here(command: Command) -> bool:
    """Whether ``test_commands_run.py`` runs a command."""
    return bool(command.words) and need(command) is None and not other_tests(command) and not is_training(command)
