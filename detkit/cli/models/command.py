"""List, show, copy, download, import, pack and average configs, published weights and backbones.

detkit models                                   list all detectors: configs and weights, with AP, license and size
detkit models list --kind backbone              list the backbones that a config can use
detkit models show NAME ...                     show everything known about a model
detkit models copy NAME [FILE]                  copy a config to a file of your own, to edit and to train from
detkit models download NAME ...                 download published weights to $DETKIT_WEIGHTS or the user's cache
detkit models import FILE --model NAME --output FILE.safetensors
                                                convert a published file to a detkit checkpoint; no code in it is executed
detkit models pack MODEL [KEY=VALUE ...] --output FILE.safetensors
                                                write a checkpoint of half the size to share: fp16, without the training record
detkit models average MODEL MODEL ... --output FILE.safetensors
                                                average the weights of several runs from the same start; the result may be better
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from detkit import weights
from detkit.cli.flags import add_flags
from detkit.cli.models import listing, write
from detkit.cli.options import bind
from detkit.cli.report import MEGABYTE
from detkit.registry import did_you_mean


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """Options of ``detkit models copy``.

    Attributes:
        name: Name of the config.
        file: The file to write; None: ``NAME.py``.
    """

    name: str
    file: str | None = None


@dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """Options of ``detkit models download``.

    Attributes:
        names: Names of the published weights.
        folder: Folder to download to; None: the default.
    """

    names: tuple[str, ...]
    folder: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of ``detkit models``."""
    bind(parser, listing.ListOptions, listing.run_list, kind=None, words=(), folder=None)
    actions = parser.add_subparsers(metavar="COMMAND", parser_class=type(parser), required=False)
    for add in (_add_list, _add_show, _add_copy, _add_download, write.add_import, write.add_pack, write.add_average):
        add(actions)


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "list", help="list configs and weights, or backbones", description="List configs and published weights, or backbones."
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="list only models with all of these words in their name")
    parser.add_argument("--kind", choices=listing.KINDS, help="list only models of this kind (default: configs and weights)")
    add_flags(parser, "--folder")
    bind(parser, listing.ListOptions, listing.run_list)


def _add_show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("show", help="show everything known about a model", description="Show everything known about a model.")
    parser.add_argument("names", nargs="+", metavar="NAME", help="names from `detkit models list`")
    add_flags(parser, "--folder")
    bind(parser, listing.ShowOptions, listing.run_show)


def _add_copy(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "copy",
        help="copy a config to a file to edit",
        description="Copy a config to a Python file, to edit and to train from.",
    )
    parser.add_argument("name", metavar="NAME", help="a config from `detkit models list --kind config`")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file to write (default: NAME.py in the current folder)")
    bind(parser, CopyOptions, _copy)


def _add_download(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "download",
        help="download published weights",
        description="Download published weights; an interrupted download is resumed.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="weights from `detkit models list`")
    add_flags(parser, "--folder")
    bind(parser, DownloadOptions, _download)


def _copy(options: CopyOptions) -> int:
    from detkit import zoo
    from detkit.checkpoint import write_text

    if options.name not in zoo.names():
        raise ValueError(f"models copy {options.name}: no such config: {did_you_mean(options.name, zoo.names())}")
    path = Path(options.file or f"{options.name}.py")
    if path.exists():
        raise ValueError(f"models copy: {path} already exists; give another file name")
    write_text(path, zoo.path(options.name).read_text("utf-8"))
    print(f"{path}: written; edit it, then train with: detkit train {path} --data FOLDER")
    return 0


def _download(options: DownloadOptions) -> int:
    names = [name for name in options.names if name != weights.EMBEDDED]
    if len(names) < len(options.names):
        print(f"{weights.EMBEDDED}: {weights.require_embedded_path()}")
    for entry in [weights.find(name) for name in names]:
        progress = _ByteCounter(entry.name) if sys.stderr.isatty() else None
        path = weights.resolve(entry.name, options.folder, fetch=True, progress=progress)
        if progress is not None:
            progress.end()
        print(f"{entry.name}: {path}")
    return 0


class _ByteCounter:
    """A line on the terminal with the downloaded megabytes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.used = False

    def __call__(self, received: int, total: int | None) -> None:
        of_total = f" of {total / MEGABYTE:.1f} MB, {received / total:.0%}" if total else " MB"
        print(f"\r{self.name}: {received / MEGABYTE:.1f}{of_total}   ", end="", file=sys.stderr, flush=True)
        self.used = True

    def end(self) -> None:
        """Start a new line."""
        if self.used:
            print(file=sys.stderr)
