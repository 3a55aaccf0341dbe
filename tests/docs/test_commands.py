"""Commands in the documents are valid: commands and flags exist, configs exist, and their keys are accepted."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import cache

import pytest
from documented import PAGES, every_command

from detkit.cli.main import COMMANDS, command_parser
from detkit.cli.subjects import load_target
from detkit.cli.train.command import split_words
from detkit.config import apply_overrides
from detkit.experiment import Experiment
from detkit.zoo import names

_IN_TABLE = re.compile(r"^\|.*\| `(detkit [a-z][^`]*)` \|$", re.MULTILINE)
CASES = {tuple(command.words): f"{command.page}: {command.text}" for command in reversed(every_command()) if command.words}
CASES |= {
    tuple(shlex.split(text)[1:]): f"{page.name}: {text}"
    for page in PAGES
    if page.name in {"README.md", "get_started.md"}
    for text in _IN_TABLE.findall(page.read_text("utf-8"))
}
"""The words of every command, and where it is; the tables of commands too."""
PARAMS = [
    pytest.param(words[0], list(words[1:]), id=place[:90])
    for words, place in CASES.items()
    if words[0].islower() and "$" not in place  # variables of a shell
]

parser_of = cache(command_parser)


def parsed(name: str, words: list[str]) -> argparse.Namespace:
    """Return the arguments of a command."""
    parser = parser_of(name)
    return parser.parse_args(words) if name in {"data", "models"} else parser.parse_intermixed_args(words)


def test_documents_have_commands() -> None:
    assert len(PARAMS) > 100
    assert ("detect", ["photo.jpg", "clip.mp4"]) in [param.values for param in PARAMS]


@pytest.mark.parametrize(("name", "words"), PARAMS)
def test_command_is_valid(name: str, words: list[str]) -> None:
    assert name in COMMANDS
    args = parsed(name, words)
    if name == "train":
        target, overrides = split_words(args.words)
        if target in names():
            assert isinstance(apply_overrides(load_target(str(target)), overrides), Experiment)
