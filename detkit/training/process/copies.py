"""Copies of a run's files in object storage, after each save, so that a run survives the loss of its machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from detkit.data.storage import door
from detkit.data.storage.addresses import address_of, checked_address, joined, shown
from detkit.training.folder import RunFolder

_log = logging.getLogger(__name__)


class RunCopies:
    """Copies files of a run to a folder in object storage.

    A copy that fails is logged, and made at the next save; the run goes on.

    Args:
        address: The folder, such as ``s3://bucket/run``; empty: nothing is copied.

    Raises:
        ValueError: If nothing can be written to such an address.
        ImportError: If the package for the scheme is not installed.
    """

    def __init__(self, address: str = "") -> None:
        self.address = checked_address(address) if address else ""
        self._copied: dict[str, tuple[int, int]] = {}
        if self.address:
            door.check_writable(self.address)

    def update(self, folder: RunFolder) -> None:
        """Copy the files that changed since the last copy, in the order in which the run writes them."""
        if not self.address:
            return
        try:
            for path in _files(folder):
                self._copy(path)
        except (OSError, ImportError) as error:
            _log.warning("warning: the run is not copied to %s: %s; the next save copies it again", shown(self.address), error)

    def _copy(self, path: Path) -> None:
        if not path.is_file():
            return
        state = path.stat()
        stamp = state.st_size, state.st_mtime_ns
        if self._copied.get(path.name) != stamp:
            door.upload(path, joined(self.address, path.name))
            self._copied[path.name] = stamp


def _files(folder: RunFolder) -> Iterable[Path]:
    return (folder.config, folder.metrics, folder.state, folder.best, folder.best_state, folder.last, folder.results)


def fetch_run(address: str, root: str | Path) -> RunFolder:
    """Copy a run from object storage into a new folder below ``root``, to resume it there.

    Raises:
        FileNotFoundError: If there is no run with a state at the address.
        ValueError: If the folder exists already, or several processes would fetch it.
        PermissionError, StorageError: If the run cannot be read.
    """
    address = checked_address(address)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"resume {shown(address)}: several processes cannot fetch a run; copy it to a folder, and resume it there")
    folder = RunFolder(Path(root) / address.rpartition("/")[2])
    if folder.path.exists():
        raise ValueError(
            f"resume {shown(address)}: {folder.path} exists already; resume it with --resume {folder.path} if it is the same run, or "
            "rename it first"
        )
    if not door.exists(joined(address, folder.state.name)):
        raise FileNotFoundError(f"resume {shown(address)}: no run with a {folder.state.name} is there; check the address")
    work = folder.path.with_name(f".{folder.path.name}.fetching")
    work.mkdir(parents=True, exist_ok=True)
    for path in _files(folder):
        source = joined(address, path.name)
        if door.exists(source):
            door.download(source, work / path.name)
    work.rename(folder.path)
    _log.info("the run at %s is now in %s", shown(address), folder.path)
    return folder


def is_remote(where: str | None) -> bool:
    """Return whether a run to resume is named by an address."""
    return where is not None and address_of(where) is not None
