"""The folder of a training run: its file names, the claim on it while a run uses it, and the search for the newest run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from detkit.checkpoint.folder_lock import FolderLock

DEFAULT_ROOT = "runs"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def best(self) -> Path:
        """The checkpoint with the best evaluation."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "last.safetensors"

    @property
    def state(self) -> Path:
        """The resumable state."""
        return self.path / "last.state"

    @property
    def best_state(self) -> Path:
        """The tensors of the best evaluation, while a run needs them for ``training.ema.restart``."""
        return self.path / "best.state"

    @property
    def config(self) -> Path:
        """The experiment config as JSON."""
        return self.path / "config.json"

    @property
    def data_check(self) -> Path:
        """The report of the check of the data as JSON."""
        return self.path / "data_check.json"

    @property
    def metrics(self) -> Path:
        """Losses and evaluations, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """The results of the run as JSON."""
        return self.path / "results.json"

    @property
    def trackers(self) -> Path:
        """The identifiers of the run in experiment trackers, as JSON."""
        return self.path / "trackers.json"

    @property
    def launch(self) -> Path:
        """The launch of ``torchrun`` that began the run, as JSON."""
        return self.path / "launch.json"

    @property
    def log(self) -> Path:
        """The log of the run."""
        return self.path / "log.txt"

    @property
    def images(self) -> Path:
        """Folder of the drawn training batches and validation images."""
        return self.path / "images"

    @property
    def failed_batch(self) -> Path:
        """The batch whose loss was not finite, as JSON."""
        return self.path / "not_finite.json"


@contextmanager
def claimed(folder: RunFolder, new: bool = False) -> Iterator[RunFolder]:
    """Hold a folder while a run uses it.

    Args:
        folder: The folder of the run, which must exist.
        new: Whether the run starts, so that the folder must not hold anything yet.

    Raises:
        ValueError: If another process uses the folder, or a new run would be mixed with what is in it.
    """
    with FolderLock(folder.path):
        if new:
            _check_empty(folder)
        yield folder


def _check_empty(folder: RunFolder) -> None:
    """Check that a folder holds nothing but hidden files, which no run writes or reads.

    Raises:
        ValueError: If it holds a run or files of someone else; the message names them.
    """
    path = folder.path
    if folder.config.exists() or folder.state.exists():
        raise ValueError(f"{path} already holds a run: choose another --output, or resume this run with --resume {path}")
    names = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    if names:
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        raise ValueError(
            f"{path}: expected a new or empty folder for the run, as files of other origin would be replaced or mixed with it; "
            f"it has {listed}; choose another --output"
        )


def new_run_folder(name: str, output: str | None = None, root: str = DEFAULT_ROOT) -> RunFolder:
    """Create ``output`` if given, otherwise the first ``root/name-N`` that does not exist; no other process gets the same.

    Raises:
        ValueError: If ``output`` holds a run or anything else.
        FileExistsError: If ``output`` is a file.
    """
    if output is not None:
        folder = RunFolder(Path(output))
        folder.path.mkdir(parents=True, exist_ok=True)
        _check_empty(folder)
        return folder
    number = 1
    while True:
        path = Path(root) / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
            return RunFolder(path)
        except FileExistsError:
            number += 1


def find_run(where: str | None = None, root: str = DEFAULT_ROOT) -> RunFolder:
    """Return the run to resume: the given folder, or the run under ``root`` whose state was written last.

    Raises:
        FileNotFoundError: If there is no such run, or it has no state to resume from.
    """
    if where is not None:
        folder = RunFolder(Path(where) if Path(where).is_dir() or not Path(where).suffix else Path(where).parent)
        if not folder.state.is_file():
            known = ", ".join(str(path.parent) for path in _states(root)) or f"none under {root}/"
            raise FileNotFoundError(f"resume {where}: no run with a {folder.state.name} found there; runs that can be resumed: {known}")
        return folder
    states = _states(root)
    if not states:
        raise FileNotFoundError(
            f"resume: no run under {root}/ has a last.state; give the folder of a run, or start one with detkit train CONFIG"
        )
    return RunFolder(states[-1].parent)


def _states(root: str) -> list[Path]:
    return sorted(Path(root).glob("*/last.state"), key=lambda path: path.stat().st_mtime)
