"""The ``detkit`` command: find the subcommand, parse its flags, and turn an error into one line."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from types import ModuleType
from typing import IO, Any, NamedTuple, NoReturn, cast

from detkit.about import __version__
from detkit.cli.flags import add_flags
from detkit.cli.process import INTERRUPTED, TERMINATED, Terminated, collect_rarely, stop_on_signals
from detkit.cli.special_files import check_words
from detkit.printable import PrintableFormatter, printable, printable_lines, printable_message
from detkit.registry import did_you_mean


class Command(NamedTuple):
    """A subcommand: the group it is listed in, its module, and its line in the help.

    The module has ``add_arguments(parser)``, which ends with :func:`detkit.cli.options.bind`; its docstring is the command's description.
    """

    group: str
    module: str
    help: str


COMMANDS = {
    "train": Command("start", "detkit.cli.train.command", "train a detector on a folder of labeled images, or from a config"),
    "detect": Command("start", "detkit.cli.detect.command", "detect objects in images and videos"),
    "track": Command("start", "detkit.cli.track.command", "track objects through videos, cameras and streams, and count them"),
    "evaluate": Command("start", "detkit.cli.evaluate.command", "evaluate a detector, or a results file, on your labels"),
    "calibrate": Command("start", "detkit.cli.calibrate.command", "find the scores from which detections are used"),
    "compare": Command("understand", "detkit.cli.compare.command", "train detectors under equal conditions, and compare them"),
    "benchmark": Command("understand", "detkit.cli.benchmark.command", "measure the speed, memory and size of a detector in every runtime"),
    "explain": Command("understand", "detkit.cli.explain", "show how a detector arrives at its detections on an image"),
    "data": Command("data", "detkit.cli.data.command", "check, convert, split and change labeled data; example and public data sets"),
    "propose": Command("data", "detkit.cli.propose.command", "compute object proposals; report their recall against labels"),
    "serve": Command("use", "detkit.cli.serve.command", "serve detectors over HTTP, with a page to try them"),
    "export": Command("use", "detkit.cli.export", "write a detector to an ONNX file, and verify that its outputs match"),
    "models": Command("look up", "detkit.cli.models.command", "list, show, copy, download, import, pack and average models"),
    "info": Command("look up", "detkit.cli.info.command", "describe a config, a data set, a checkpoint, or this machine"),
}
"""Every subcommand, in the order of the help."""

WITHOUT_IMAGES = {"models"}
"""Commands that read no images of the user."""

RENAMED = {"weights": "models"}
"""Commands of version 0.1.0 that have another name."""

USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that prints errors on one line and accepts no abbreviated flags."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Print the error and the command that shows the help, and exit with code 2."""
        self.exit(USER_ERROR, f"detkit: error: {printable(message)}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``detkit`` with the given arguments (by default the process's) and return its exit code."""
    collect_rarely()
    _escape_unencodable_output()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0].startswith("-"):
        return _without_command(words)
    name = words[0]
    if name not in COMMANDS:
        hint = f"it is now called {RENAMED[name]!r}" if name in RENAMED else did_you_mean(name, list(COMMANDS))
        print(f"detkit: error: unknown command {printable(name)!r}: {hint}", file=sys.stderr)
        return USER_ERROR
    module = importlib.import_module(COMMANDS[name].module)
    args = _parse(command_parser(name, module), words[1:])
    return _run(args)


def _escape_unencodable_output() -> None:
    """Escape characters that a stream cannot encode, such as those of pipes on Windows, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def command_parser(name: str, module: ModuleType | None = None) -> Parser:
    """Return the parser of one subcommand."""
    module = module or importlib.import_module(COMMANDS[name].module)
    parser = Parser(prog=f"detkit {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    for leaf in leaf_parsers(parser):
        add_flags(leaf, *(("--max-pixels", "--debug") if name not in WITHOUT_IMAGES else ("--debug",)))
    return parser


def leaf_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of the subcommands, nested ones included, or the parser itself if it has none."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield parser
    for action in nested:
        for child in action.choices.values():
            yield from leaf_parsers(child)


def _without_command(words: list[str]) -> int:
    groups = dict.fromkeys(command.group for command in COMMANDS.values())
    listing = "\n".join(f"{group}:\n{_group_lines(group)}" for group in groups)
    parser = Parser(
        prog="detkit",
        usage="detkit COMMAND [--help] ...",
        description="Train, compare and understand object detectors on your own images.",
        epilog=f"{listing}\n\n'detkit COMMAND --help' describes each command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"detkit {__version__}")
    parser.parse_args(words)
    parser.print_help()
    return 0


def _group_lines(group: str) -> str:
    return "\n".join(f"  {name:10}{command.help}" for name, command in COMMANDS.items() if command.group == group)


def _parse(parser: Parser, words: list[str]) -> argparse.Namespace:
    """Parse the words; flags may stand between positional words, unless the command has subcommands."""
    nested = any(action.nargs in {argparse.PARSER, argparse.REMAINDER} for action in parser._actions)
    return parser.parse_args(words) if nested else parser.parse_intermixed_args(words)


def _run(args: argparse.Namespace) -> int:
    """Run a command; an error that a user can cause is printed on one line, any other keeps its traceback."""
    from detkit.cli import options

    _log_to_stderr()
    try:
        if getattr(args, "max_pixels", None) is not None:
            from detkit.data.media.limits import set_max_pixels

            set_max_pixels(args.max_pixels)
        check_words(vars(args).values())
        with stop_on_signals(), redirect_stdout(cast("IO[str]", PrintableStream(sys.stdout))):
            code = options.run(args)
            sys.stdout.flush()
        return code
    except KeyboardInterrupt as stop:
        print("detkit: stopped", file=sys.stderr)
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader is gone: Python must not report it again at exit
        return 0
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        if getattr(args, "debug", False):  # a parser of subcommands has no flags of its own
            raise
        if hasattr(error, "for_command"):
            error = ValueError(error.for_command(hasattr(args, "rename")))
        print(f"detkit: error: {printable_message(error)}{_advice(error)}", file=sys.stderr)
        return USER_ERROR


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("detkit").setLevel(logging.INFO)


def _advice(error: Exception) -> str:
    if not isinstance(error, ImportError):
        return ""
    from detkit.cli.advice import import_advice

    return import_advice(error)


class PrintableStream:
    """A text stream on which control characters other than line breaks, such as those of a file's name, are written as escapes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text and return its length."""
        return self._stream.write(printable_lines(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


if __name__ == "__main__":
    raise SystemExit(main())
