"""What the scripts that fetch data sets have in common: tell, ask, fetch, check, unpack."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _archives import NOT_STATED, Archive, fetch_archive, unpack_archive


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Attributes:
        name: What it is called.
        terms: Its license or terms, in one sentence.
        archives: What is fetched.
        unpacked: The bytes it takes once unpacked, about.
        next_line: What can be done with it then.
    """

    name: str
    terms: str
    archives: tuple[Archive, ...]
    unpacked: int
    next_line: str


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that all these scripts take."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("folder", type=Path, help="where the data goes, such as data/coco")
    arguments.add_argument("--yes", action="store_true", help="do not ask before downloading")
    arguments.add_argument("--keep", action="store_true", help="keep the archives after they are unpacked")
    return arguments


def run(data: DataSet, folder: Path, *, yes: bool, keep: bool, check: Callable[[Path], None] | None = None) -> int:
    """Fetch a data set into a folder; give the exit status."""
    try:
        todo = [archive for archive in data.archives if not archive.is_unpacked(folder)]
        _tell(data, todo, folder)
        if todo and not (yes or _agreed()):
            print("nothing was downloaded")
            return 2
        _check_room(data, todo, folder)
        for archive in todo:
            _get(archive, folder, keep)
        if check is not None:
            check(folder)
        print(f"{folder}: {data.next_line.format(folder=folder)}")
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _tell(data: DataSet, todo: Sequence[Archive], folder: Path) -> None:
    print(f"{data.name}. {data.terms}")
    for archive in data.archives:
        size = human(archive.size) if archive.size is not None else f"size {NOT_STATED}"
        state = "to fetch" if archive in todo else "is there already"
        known = f"{archive.checksum} (from {archive.checksum_from})" if archive.checksum else f"checksum {NOT_STATED}"
        print(f"  {archive.url}\n    {size}, {known}; {state}")
    if todo:
        total = sum(archive.size or 0 for archive in todo)
        some = "more than " if any(archive.size is None for archive in todo) else ""
        print(f"  in all {some}{human(total)} to download into {folder}, about {human(data.unpacked)} once unpacked")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("add --yes to download without being asked", file=sys.stderr)
        return False
    return input("download? [y/N] ").strip().lower() in ("y", "yes")


def _check_room(data: DataSet, todo: Sequence[Archive], folder: Path) -> None:
    """The largest archive and what is unpacked must fit, as archives are deleted one by one."""
    if not todo:
        return
    folder.mkdir(parents=True, exist_ok=True)
    needed = data.unpacked + max(archive.size or 0 for archive in todo)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(f"{folder}: about {human(needed)} are needed, {human(free)} are free; name a folder on another disk")


def _get(archive: Archive, folder: Path, keep: bool) -> None:
    path = fetch_archive(archive, folder, _Progress(archive.file_name))
    print(f"\r{archive.file_name}: fetched and checked; unpacking", flush=True)
    count = unpack_archive(archive, path, folder)
    print(f"{archive.file_name}: {count:,} files")
    if not keep:
        path.unlink()


class _Progress:
    """One line, rewritten at every percent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = -1

    def __call__(self, here: int, total: int | None) -> None:
        step = here * 100 // total if total else here >> 24
        if step != self.last:
            self.last = step
            share = f"{step} % of {human(total)}" if total else human(here)
            print(f"\r{self.name}: {share}    ", end="", flush=True)


def human(count: int) -> str:
    """Bytes in the unit a person would use, in thousands."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
