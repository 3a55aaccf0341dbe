"""The folder of a training run: its file names, and the search for the newest run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    def config(self) -> Path:
        """The experiment config as JSON."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """Losses and evaluations, one JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """The results of the run as JSON."""
        return self.path / "results.json"

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


def new_run_folder(name: str, output: str | None = None, root: str = DEFAULT_ROOT) -> RunFolder:
    """Create ``output`` if given, otherwise the first ``root/name-N`` that does not exist.

    Raises:
        ValueError: If ``output`` already holds a run.
    """
    if output is not None:
        folder = RunFolder(Path(output))
        if folder.config.exists() or folder.state.exists():
            raise ValueError(f"{output} already holds a run: choose another --output, or resume this run with --resume {output}")
        folder.path.mkdir(parents=True, exist_ok=True)
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
