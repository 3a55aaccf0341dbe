"""Commands in the documents are valid: commands and flags exist, configs exist, and their keys are accepted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from detkit.cli.main import COMMANDS, command_parser
from detkit.cli.subjects import load_target
from detkit.cli.train.command import split_words
from detkit.config import apply_overrides
from detkit.experiment import Experiment
from detkit.zoo import names

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_TOOL = re.compile(r"^python tools/(train|detect|evaluate|export)\.py\b")


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return the detkit commands in a page's code blocks: the subcommand and its words. In console blocks they follow a ``$``."""
    result = []
    for language, block in re.findall(r"^```(bash|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        typed = lines if language == "bash" else [line[2:] for line in lines if line.startswith("$ ")]
        for part in (part.strip() for line in typed for part in line.split("&&")):
            words = shlex.split(_TOOL.sub(r"detkit \1", part), comments=True)
            if words[:1] == ["detkit"] and len(words) > 1 and words[1].islower():
                result.append((words[1], words[2:]))
    return result


COMMAND_PARAMS = [
    pytest.param(name, words, id=f"{page.name}: {name} {' '.join(words)}"[:90]) for page in PAGES for name, words in commands(page)
]


def test_documents_have_commands() -> None:
    assert len(COMMAND_PARAMS) > 10


@pytest.mark.parametrize(("name", "words"), COMMAND_PARAMS)
def test_command_is_valid(name: str, words: list[str]) -> None:
    assert name in COMMANDS
    parser = command_parser(name)
    args = parser.parse_args(words) if name in {"data", "models"} else parser.parse_intermixed_args(words)
    if name == "train":
        target, overrides = split_words(args.words)
        if target in names():
            assert isinstance(apply_overrides(load_target(str(target)), overrides), Experiment)
