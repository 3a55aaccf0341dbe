"""The options of all commands: frozen dataclasses whose fields are the flags of the parsers."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
from pathlib import Path

import pytest

from detkit.cli import options
from detkit.cli.main import COMMANDS, command_parser, leaf_parsers

CLI = Path(options.__file__).parent
LEAVES = [leaf for name in COMMANDS for leaf in leaf_parsers(command_parser(name))]
CLASSES = {bound.options for bound in map(options.bound_to, LEAVES)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    words: tuple[str, ...] = ()
    number: int = 3
    kind: str = "none"


def parser_of(*flags: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sample")
    parser.add_argument("words", nargs="*")
    for flag in flags:
        parser.add_argument(flag)
    return parser


@pytest.mark.parametrize("parser", LEAVES, ids=lambda parser: parser.prog)
def test_flags_and_fields_are_the_same(parser: argparse.ArgumentParser) -> None:
    bound = options.bound_to(parser)
    fields = {field.name: field for field in dataclasses.fields(bound.options)}
    flags = {action.dest: action for action in parser._actions if action.dest not in {"help", "debug", "max_pixels"}}
    assert flags.keys() == fields.keys() - bound.fixed.keys()
    for name, action in flags.items():
        default = fields[name].default
        if default is not dataclasses.MISSING:
            assert (tuple(action.default) if isinstance(action.default, list) else action.default) == default, name
        elif not action.required:
            assert action.default is not None, f"{name} has no default"


@pytest.mark.parametrize("kind", sorted(CLASSES, key=str), ids=str)
def test_options_are_frozen_and_each_field_is_documented(kind: type) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(object.__new__(kind), dataclasses.fields(kind)[0].name, None)
    assert all(field.kw_only for field in dataclasses.fields(kind))
    documented = {name for base in kind.__mro__[:-1] for name in re.findall(r"^ {8}(\w+): ", base.__doc__ or "", re.MULTILINE)}
    assert documented == {field.name for field in dataclasses.fields(kind)}


def test_only_the_parser_knows_namespaces() -> None:
    users = {
        str(path.relative_to(CLI))
        for path in CLI.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "Namespace"
    }
    assert users == {"main.py", "options.py"}


def test_lists_become_tuples_and_defaults_come_from_the_fields() -> None:
    seen: list[Sample] = []

    def keep(sample: Sample) -> int:
        seen.append(sample)
        return 5

    parser = parser_of()
    parser.add_argument("--number", type=int)
    options.bind(parser, Sample, keep, kind="fixed")
    assert options.run(parser.parse_args(["a", "b"])) == 5
    assert options.run(parser.parse_args(["--number", "7"])) == 5
    assert seen == [Sample(words=("a", "b"), kind="fixed"), Sample(number=7, kind="fixed")]


@pytest.mark.parametrize(("flags", "differing"), [((), "kind, number"), (("--number", "--kind", "--more"), "more")])
def test_a_parser_that_does_not_match_is_refused(flags: tuple[str, ...], differing: str) -> None:
    with pytest.raises(TypeError, match=f"^sample: {differing}: not both a flag and a field of Sample$"):
        options.bind(parser_of(*flags), Sample, lambda sample: 0)
