"""The command line that options stand for."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Collection
from typing import Any


def command_line(command: str, add_flags: Callable[[argparse.ArgumentParser], None], options: Any, without: Collection[str] = ()) -> str:
    """Return the command that fills options with the same values, quoted for a shell.

    Args:
        command: Its name.
        add_flags: Adds the flags of the command to a parser.
        options: The options.
        without: Names of fields that are left out, such as output files.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser)
    words, flags = [], list[str]()
    defaults = type(options)()
    for action in parser._actions:
        value = getattr(options, action.dest)
        if action.dest in without or value == getattr(defaults, action.dest):
            continue
        values = [str(item) for item in value] if isinstance(value, tuple) else [] if value is True else [str(value)]
        if action.option_strings:
            flags += [action.option_strings[-1], *values]
        else:
            words += values
    return shlex.join(["detkit", command, *words, *flags])
