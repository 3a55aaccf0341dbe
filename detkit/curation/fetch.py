"""Download a public data set: plan, confirm, download, verify, unpack."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detkit.curation.archives import Archive, fetch_archive, unpack_archive
from detkit.curation.data_sets import DataSet


@dataclass(frozen=True)
class FetchPlan:
    """The downloads that a data set still needs.

    Attributes:
        data_set: The data set.
        folder: Its folder.
        archives: All selected archives.
        missing: The archives that are not unpacked in the folder yet.
    """

    data_set: DataSet
    folder: Path
    archives: tuple[Archive, ...]
    missing: tuple[Archive, ...]

    @property
    def download_size(self) -> int:
        """Bytes to download, as far as the publisher states sizes."""
        return sum(archive.size or 0 for archive in self.missing)

    @property
    def is_exact(self) -> bool:
        """Whether the publisher states the size of every missing archive."""
        return all(archive.size is not None for archive in self.missing)

    @property
    def unpacked_size(self) -> int:
        """Approximate bytes of the selected archives once unpacked."""
        return sum(archive.unpacked_size for archive in self.archives)


class FetchObserver:
    """Receives the progress of :func:`fetch_data_set`; override the methods of interest."""

    def planned(self, plan: FetchPlan) -> None:
        """Called once, before any download."""

    def downloading(self, archive: Archive, received: int, total: int | None) -> None:
        """Called repeatedly with the bytes received so far, and the total if the server states it."""

    def unpacking(self, archive: Archive) -> None:
        """Called when an archive is downloaded and verified."""

    def unpacked(self, archive: Archive, count: int) -> None:
        """Called with the number of files that an archive gave."""


def plan_fetch(data_set: DataSet, folder: str | Path, parts: Sequence[str] | None = None) -> FetchPlan:
    """Find out which archives of a data set a folder lacks.

    Raises:
        ValueError: If there is no such part.
    """
    folder = Path(folder)
    archives = data_set.select(parts)
    return FetchPlan(data_set, folder, archives, tuple(archive for archive in archives if not archive.is_unpacked(folder)))


def fetch_data_set(
    data_set: DataSet,
    folder: str | Path,
    parts: Sequence[str] | None = None,
    *,
    confirm: Callable[[FetchPlan], bool],
    keep_archives: bool = False,
    observer: FetchObserver | None = None,
) -> bool:
    """Download a data set into a folder; archives that are unpacked there already are skipped, interrupted downloads are resumed.

    Args:
        data_set: An entry of ``DATA_SETS``.
        folder: Its folder, such as ``data/coco``.
        parts: Names of the parts to download; None: all.
        confirm: Asked before anything is downloaded; False stops.
        keep_archives: Whether to keep the archives after unpacking.
        observer: Receives the progress.

    Returns:
        Whether the data set is complete; False if ``confirm`` returned False.

    Raises:
        RuntimeError: If a server cannot be reached.
        ValueError: If there is no such part, too little disk space, or a file differs from the published one.
    """
    observer = observer or FetchObserver()
    plan = plan_fetch(data_set, folder, parts)
    observer.planned(plan)
    if plan.missing:
        if not confirm(plan):
            return False
        _check_disk_space(plan)
    for archive in plan.missing:
        _fetch(archive, plan.folder, keep_archives, observer)
    data_set.check_files(plan.folder)
    return True


def _fetch(archive: Archive, folder: Path, keep: bool, observer: FetchObserver) -> None:
    path = fetch_archive(archive, folder, lambda received, total: observer.downloading(archive, received, total))
    observer.unpacking(archive)
    count = unpack_archive(archive, path, folder)
    observer.unpacked(archive, count)
    if not keep:
        path.unlink()


def _check_disk_space(plan: FetchPlan) -> None:
    """Check that the largest archive and all unpacked files fit; archives are deleted one by one.

    Raises:
        ValueError: If they do not.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    needed = plan.unpacked_size + max(archive.size or 0 for archive in plan.missing)
    free = shutil.disk_usage(plan.folder).free
    if free < needed:
        raise ValueError(
            f"{plan.folder}: expected about {readable_size(needed)} of free disk space, got {readable_size(free)}; "
            "use a folder on another disk"
        )


def readable_size(count: int) -> str:
    """Format a number of bytes: ``512 bytes``, ``3.5 kB``, ``20.4 GB``, in powers of 1,000."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
