"""``detkit data fetch``: download a public data set."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.process import INTERRUPTED, TERMINATED, Terminated
from detkit.curation.archives import Archive
from detkit.curation.data_sets import DATA_SETS, DataSet
from detkit.curation.fetch import FetchObserver, FetchPlan, fetch_data_set, readable_size
from detkit.weights import NOT_STATED

NOT_CONFIRMED = 2
Actions = argparse._SubParsersAction


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Options of ``detkit data fetch``.

    Attributes:
        data_set: The data set.
        folder: Its folder.
        parts: Parts to download; None: all.
        yes: Whether to download without asking.
        keep: Whether to keep the archives.
    """

    data_set: DataSet
    folder: Path
    parts: tuple[str, ...] | None = None
    yes: bool = False
    keep: bool = False


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser("fetch", help="download a public data set", description="Download a public data set.")
    names = parser.add_subparsers(required=True, metavar="DATASET")
    for name, data_set in DATA_SETS.items():
        help_text = f"{data_set.name}: {data_set.description}"
        set_parser = names.add_parser(name, help=help_text, description=f"Download {help_text} {data_set.license}")
        set_parser.add_argument(
            "folder",
            type=Path,
            nargs="?",
            default=Path(data_set.destination),
            metavar="FOLDER",
            help="folder of the data set (default: %(default)s, where detkit's configs expect it)",
        )
        if data_set.parts:
            add_flags(set_parser, "--parts", help=f"parts to download: {', '.join(data_set.parts)} (default: all)")
        add_flags(set_parser, "--yes", help="download without asking")
        add_flags(set_parser, "--keep")
        bind(set_parser, FetchOptions, _run, data_set=data_set, **({} if data_set.parts else {"parts": None}))


def _run(options: FetchOptions) -> int:
    data_set = options.data_set
    try:
        complete = fetch_data_set(
            data_set,
            options.folder,
            options.parts,
            confirm=lambda plan: options.yes or _ask(),
            keep_archives=options.keep,
            observer=_Printer(),
        )
    except KeyboardInterrupt as stop:
        print("\nstopped; run the same command again to resume", file=sys.stderr)
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    if not complete:
        print("nothing was downloaded")
        return NOT_CONFIRMED
    print(f"{options.folder}: ready; train on it with: detkit train CONFIG {data_set.train_with.format(folder=options.folder)}")
    return 0


def _ask() -> bool:
    if not sys.stdin.isatty():
        print("to download without confirmation, add --yes", file=sys.stderr)
        return False
    return input("download? [y/N] ").strip().lower() in ("y", "yes")


class _Printer(FetchObserver):
    """Prints the plan, and a line per archive that is updated at every percent."""

    def __init__(self) -> None:
        self.last: tuple[Archive, int] | None = None

    def planned(self, plan: FetchPlan) -> None:
        """Print the license, and the address, size and checksum of each archive."""
        print(f"{plan.data_set.name}. {plan.data_set.license}")
        for archive in plan.archives:
            size = readable_size(archive.size) if archive.size is not None else f"size {NOT_STATED}"
            checksum = f"{archive.checksum} (from {archive.checksum_source})" if archive.checksum else f"checksum {NOT_STATED}"
            state = "to download" if archive in plan.missing else "unpacked already"
            print(f"  {archive.url}\n    {size}, {checksum}; {state}")
        if plan.missing:
            known = readable_size(plan.download_size) if plan.download_size else f"size {NOT_STATED}"
            total = known if plan.is_exact or not plan.download_size else f"more than {known}"
            print(f"  total: {total}, to download into {plan.folder}, about {readable_size(plan.unpacked_size)} once unpacked")

    def downloading(self, archive: Archive, received: int, total: int | None) -> None:
        """Update the line at every percent, or every 16 MiB if the total is unknown."""
        step = received * 100 // total if total else received >> 24
        if self.last != (archive, step):
            self.last = archive, step
            progress = f"{step} % of {readable_size(total)}" if total else readable_size(received)
            print(f"\r{archive.file_name}: {progress}    ", end="", flush=True)

    def unpacking(self, archive: Archive) -> None:
        """Replace the progress line."""
        print(f"\r{archive.file_name}: downloaded and verified; unpacking", flush=True)

    def unpacked(self, archive: Archive, count: int) -> None:
        """Print the number of files."""
        print(f"{archive.file_name}: {count:,} files")
