"""Options of a command: a frozen dataclass, filled by the command's parser.

The fields are the flags: :func:`bind` refuses a parser whose flags and fields differ, and takes the defaults of the flags from the fields.
:func:`run` is the only place where parsed arguments become options; nothing below it sees an ``argparse.Namespace``.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)

_BOUND = "bound"
_OWN = {"help", "debug", "max_pixels"}
"""Flags of every command that are not options of one."""


class Bound(NamedTuple):
    """The target of a parser: the options that it fills, the function that takes them, and fields that no flag sets."""

    options: type[DataclassInstance]
    function: Callable[[Any], int]
    fixed: Mapping[str, Any]


def bind(parser: argparse.ArgumentParser, options: type[Options], function: Callable[[Options], int], **fixed: Any) -> None:
    """Bind a parser, to which all flags were added, to its options and its function.

    Args:
        parser: The parser of a command or of a subcommand.
        options: A frozen dataclass with a field for each flag; its default becomes that of the flag.
        function: Runs the command, and returns the exit code.
        fixed: Values of fields that this parser has no flag for.

    Raises:
        TypeError: If a flag has no field, or a field no flag.
    """
    fields = {field.name: field for field in dataclasses.fields(options)}
    actions = {action.dest: action for action in parser._actions if action.dest not in _OWN}
    differing = sorted(actions.keys() ^ (fields.keys() - fixed.keys()))
    if differing:
        raise TypeError(f"{parser.prog}: {', '.join(differing)}: not both a flag and a field of {options.__name__}")
    for name, action in actions.items():
        default = fields[name].default
        if default is not dataclasses.MISSING:
            action.default = list(default) if isinstance(default, tuple) and action.nargs in {"*", "+"} else default
    parser.set_defaults(**{_BOUND: Bound(options, function, fixed)})


def bound_to(parser: argparse.ArgumentParser) -> Bound:
    """Return what a parser was bound to."""
    bound: Bound = parser.get_default(_BOUND)
    return bound


def run(args: argparse.Namespace) -> int:
    """Fill the options of the parsed command, lists as tuples, and run its function."""
    bound: Bound = getattr(args, _BOUND)
    names = [field.name for field in dataclasses.fields(bound.options) if field.name not in bound.fixed]
    values = {name: tuple(value) if isinstance(value := getattr(args, name), list) else value for name in names}
    return bound.function(bound.options(**values, **bound.fixed))
