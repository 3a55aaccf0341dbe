"""The ``detkit`` command: finds the subcommand, parses its flags, and turns an error into one line."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from detkit import __version__
from detkit.cli.advice import import_advice
from detkit.cli.collector import collect_rarely
from detkit.registry import did_you_mean

COMMANDS = {
    "train": ("detkit.cli.train", "train a detector from a config file"),
    "detect": ("detkit.cli.detect", "detect objects in images; draw them and list them"),
    "evaluate": ("detkit.cli.evaluate", "score a detector, or a file of results, on labeled images"),
    "explain": ("detkit.cli.explain", "draw where a detector looks, what answers for each object, and what suppression leaves"),
    "propose": ("detkit.cli.propose", "propose where objects may be; tell how well labeled ones are met"),
    "export": ("detkit.cli.export", "write a detector to an ONNX file, and tell whether it says the same"),
    "info": ("detkit.cli.info", "tell about a config, a data set, a checkpoint, or this machine"),
    "weights": ("detkit.cli.weights", "list, fetch and import published weights"),
}
"""Each subcommand: the module that has ``add_arguments(parser)`` and ``run(args) -> int``, and a line for the help."""

INTERRUPTED = 130
USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and leave with code 2."""
        self.exit(USER_ERROR, f"detkit: error: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``detkit`` with arguments (those of the process by default) and give its exit code."""
    collect_rarely()
    _escape_what_cannot_be_shown()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0].startswith("-"):
        return _without_command(words)
    name = words[0]
    if name not in COMMANDS:
        print(f"detkit: error: unknown command {name!r}: {did_you_mean(name, list(COMMANDS))}", file=sys.stderr)
        return USER_ERROR
    module = importlib.import_module(COMMANDS[name][0])
    args = _parse(command_parser(name, module), words[1:])
    return _guarded(module, args)


def _escape_what_cannot_be_shown() -> None:
    """A class name that a stream's encoding lacks, as those of Windows' pipes do, must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def command_parser(name: str, module: ModuleType | None = None) -> Parser:
    """The parser of one subcommand; its module's docstring is the description."""
    module = module or importlib.import_module(COMMANDS[name][0])
    parser = Parser(
        prog=f"detkit {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the trace of an error")
    return parser


def _without_command(words: list[str]) -> int:
    listing = "\n".join(f"  {name:10}{text}" for name, (_, text) in COMMANDS.items())
    parser = Parser(
        prog="detkit",
        usage="detkit COMMAND [--help] ...",
        description="Object detection in PyTorch: train, detect, evaluate.",
        epilog=f"commands:\n{listing}\n\n'detkit COMMAND --help' tells more about each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"detkit {__version__}")
    parser.parse_args(words)
    parser.print_help()
    return 0


def _parse(parser: Parser, words: list[str]) -> argparse.Namespace:
    """Flags may stand between positional words, unless the command has subcommands of its own."""
    nested = any(action.nargs in {argparse.PARSER, argparse.REMAINDER} for action in parser._actions)
    return parser.parse_args(words) if nested else parser.parse_intermixed_args(words)


def _guarded(module: ModuleType, args: argparse.Namespace) -> int:
    """Run a command; what a user can cause becomes one line on the error stream, anything else keeps its trace."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("detkit").setLevel(logging.INFO)
    try:
        code: int = module.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("detkit: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader went away: python must not complain again while it ends
        return 0
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if args.debug:
            raise
        advice = import_advice(error) if isinstance(error, ImportError) else ""
        print(f"detkit: error: {one_line(error)}{advice}", file=sys.stderr)
        return USER_ERROR


def one_line(error: BaseException) -> str:
    """An error's message on one line; its type's name where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    raise SystemExit(main())
