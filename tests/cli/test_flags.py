"""The flags of all commands: one name, one meaning, and a help text for each."""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import make_header, save_checkpoint
from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.cli.flags import DEFAULT_MIN_SCORE, FLAGS, class_names, min_score
from detkit.cli.main import COMMANDS, command_parser
from detkit.cli.values import fraction, positive, scale, size_range, unit_interval

FORBIDDEN = re.compile(r"\b(picture|tell|told|beside|so many|behind|anew)s?\b", re.IGNORECASE)


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from all_parsers(child)


PARSERS = [parser for name in COMMANDS for parser in all_parsers(command_parser(name))]
ARGUMENTS = [(parser.prog, action) for parser in PARSERS for action in parser._actions if not isinstance(action, argparse._HelpAction)]
OPTIONS: dict[str, list[tuple[str, argparse.Action]]] = defaultdict(list)
for _program, _action in ARGUMENTS:
    for _option in _action.option_strings:
        OPTIONS[_option].append((_program, _action))


OWN_CHOICES = {"--precision"}
"""Flags whose choices can differ: a file has number formats of its own."""


def form(action: argparse.Action) -> tuple[object, ...]:
    """Return the properties of a flag that must be the same in all commands."""
    choices = None if action.choices is None or OWN_CHOICES.intersection(action.option_strings) else tuple(action.choices)
    return type(action).__name__, action.nargs, action.type, choices, action.metavar, action.const, action.dest


def test_the_walk_reaches_subcommands() -> None:
    programs = {parser.prog for parser in PARSERS}
    assert {"detkit train", "detkit models average", "detkit data fetch voc"} <= programs


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_shared_flags_are_the_same_in_all_commands(option: str) -> None:
    uses = OPTIONS[option]
    forms = {form(action) for _, action in uses}
    assert len(forms) == 1, f"{option} differs between {', '.join(name for name, _ in uses)}: {forms}"
    if len(uses) > 1:
        assert option in FLAGS, f"{option} of {', '.join(name for name, _ in uses)} is not declared in FLAGS"


def test_every_shared_flag_is_used() -> None:
    assert {option for option in FLAGS if len(OPTIONS[option]) < 2} == set()


def test_no_two_shared_flags_mean_the_same() -> None:
    by_help: dict[str, list[str]] = defaultdict(list)
    for option, settings in FLAGS.items():
        by_help[settings["help"]].append(option)
    assert [options for options in by_help.values() if len(options) > 1] == []


@pytest.mark.parametrize(("program", "action"), ARGUMENTS, ids=lambda value: value if isinstance(value, str) else value.dest)
def test_every_argument_has_a_help_text(program: str, action: argparse.Action) -> None:
    if isinstance(action, argparse._SubParsersAction):
        assert all(choice.help for choice in action._choices_actions)
    else:
        assert action.help, f"{program} {action.dest}"


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_help_texts_use_plain_words(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    assert FORBIDDEN.findall(text) == []
    assert parser.description
    assert all(len(line) <= 140 for line in text.splitlines())


def test_help_texts_of_commands_use_plain_words() -> None:
    assert [command.help for command in COMMANDS.values() if FORBIDDEN.search(command.help)] == []
    assert FORBIDDEN.search("It is told anew.")


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (unit_interval, "0", 0.0),
        (unit_interval, "1", 1.0),
        (fraction, ".25", 0.25),
        (positive, "12", 12),
        (scale, "0.5", 0.5),
        (size_range, "24:128", (24.0, 128.0)),
        (size_range, ":48", (0.0, 48.0)),
        (size_range, "64:", (64.0, float("inf"))),
    ],
)
def test_types_accept_valid_text(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (unit_interval, "1.5", "expected a number from 0 to 1, got '1.5'"),
        (unit_interval, "nan", "expected a number from 0 to 1, got 'nan'"),
        (fraction, "1", "expected a number between 0 and 1, such as 0.1; got '1'"),
        (fraction, "half", "expected a number between 0 and 1, such as 0.1; got 'half'"),
        (positive, "0", "expected a whole number of 1 or more, got '0'"),
        (positive, "1.5", "expected a whole number of 1 or more, got '1.5'"),
        (scale, "big", "expected numbers, got 'big'; name the images before --pyramid, which takes every word that follows it"),
        (size_range, "48", "expected FROM:BELOW, such as 24:128, 64: or :48; got '48'"),
        (size_range, "a:b", "expected FROM:BELOW, such as 24:128, 64: or :48; got 'a:b'"),
    ],
)
def test_types_refuse_other_text(parse: Callable[[str], object], text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse(text)
    assert str(error.value) == message


def test_class_names_are_words_or_separated_by_commas() -> None:
    assert class_names(None, ()) is None
    assert class_names(["cat", "dog"], ()) == ["cat", "dog"]
    assert class_names(["cat, dog", "cow"], ()) == ["cat", "dog", "cow"]
    assert class_names(["dog, big", "cat,cow"], ("dog, big",)) == ["dog, big", "cat", "cow"]
    with pytest.raises(ValueError, match=r"--classes: expected class names, such as cat dog; got ','"):
        class_names([","], ())


def test_default_min_score_is_in_the_help() -> None:
    assert f"else {DEFAULT_MIN_SCORE}" in " ".join(command_parser("detect").format_help().split())


def test_the_score_with_the_best_f1_is_the_default(tmp_path: Path) -> None:
    points = OperatingPoints.of((OperatingPoint("all", 0.14235, 0.6, 0.62, 0.61),), "aquarium", 63)
    assert points is not None
    header = make_header('{"kind": "yolox"}', ["cat"], operating_points=points.to_dict())
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, {"w": torch.zeros(1)}, header)
    stored, line = min_score(None, path)
    assert stored == points
    assert line == "minimum score: 0.142 (best F1 at IoU .5, on 63 images of aquarium); change it with --min-score"
    assert min_score(0.3, path) == (0.3, "")
    save_checkpoint(path, {"w": torch.zeros(1)}, {**header, "min_score": 0.25})
    assert min_score(None, path) == (0.25, "minimum score: 0.25, as this model suggests; change it with --min-score")
    save_checkpoint(path, {"w": torch.zeros(1)}, make_header('{"kind": "yolox"}', ["cat"]))
    assert min_score(None, path) == (0.5, "")
