"""Commands in the documents are ones that can be typed: flags exist, configs are there, keys fit."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from detkit.cli.main import COMMANDS, command_parser
from detkit.config import apply_overrides, load_config
from detkit.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_TOOL = re.compile(r"^python tools/(\w+)\.py ")


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """The detkit commands in a page's code blocks: the subcommand and its words. In console blocks they follow a ``$``."""
    found = []
    for language, block in re.findall(r"^```(bash|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        typed = lines if language == "bash" else [line[2:] for line in lines if line.startswith("$ ")]
        for part in (part.strip() for line in typed for part in line.split("&&")):
            words = shlex.split(_TOOL.sub(r"detkit \1 ", part), comments=True)
            if words[:1] == ["detkit"] and len(words) > 1 and words[1] in COMMANDS:
                found.append((words[1], words[2:]))
    return found


COMMANDS_SEEN = [
    pytest.param(name, words, id=f"{page.name}: {name} {' '.join(words)}"[:90]) for page in PAGES for name, words in commands(page)
]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS_SEEN) > 10


@pytest.mark.parametrize(("name", "words"), COMMANDS_SEEN)
def test_a_command_can_be_typed(name: str, words: list[str]) -> None:
    args = command_parser(name).parse_intermixed_args(words) if name not in {"models", "data"} else command_parser(name).parse_args(words)
    if name == "train" and any(word.endswith(".py") for word in args.words):
        config, overrides = args.words[0], args.words[1:]
        assert isinstance(apply_overrides(load_config(ROOT / config, Experiment), overrides), Experiment)
