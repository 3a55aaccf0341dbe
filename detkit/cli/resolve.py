"""Find the detector that a command line names: the only place that interprets MODEL."""

from __future__ import annotations

from pathlib import Path

from detkit.cli.report import count
from detkit.printable import printable


def resolve_model(word: str | None, latest: bool = False) -> tuple[str | Path, str]:
    """Return what to load and the reason, for the user.

    Args:
        word: ``embedded``, another published name, a run's folder, a checkpoint or an exported file; None for the default.
        latest: Whether ``--latest`` was given.

    Raises:
        ValueError: If both are given, or the word names a config, which has no weights until it is trained.
        FileNotFoundError: If there is no run for ``--latest``, or the package has no detector inside.
    """
    from detkit.inference.sources import choose_model
    from detkit.weights import EMBEDDED

    if word is not None and latest:
        raise ValueError(f"--latest means your newest run, but a model is named too: {word}; give one of the two")
    if word not in (None, EMBEDDED) and not Path(word).exists():
        _refuse_config(word)
    return choose_model(word, latest=latest)


def _refuse_config(word: str) -> None:
    """Explain that a config has no weights, unless published weights have the same name."""
    from detkit import weights, zoo

    if word in zoo.names() and word not in {entry.name for entry in weights.catalog()}:
        raise ValueError(
            f"{word} is a config and has no weights yet; train it with `detkit train {word} --data FOLDER` and give the run's folder, "
            "or choose published weights from `detkit models list`"
        )


def settings_digest(model_json: str) -> str:
    """Return a digest of a model's config, by which the file of an evaluation says which settings it measured."""
    import hashlib
    import json

    return hashlib.sha256(json.dumps(json.loads(model_json), sort_keys=True).encode()).hexdigest()[:16]


def model_line(model: str | Path, reason: str, class_names: tuple[str | None, ...], device: object, precision: str) -> str:
    """Return the line that a command prints about the detector that it loaded."""
    named = sum(name is not None for name in class_names)
    return f"model: {printable(model)} ({reason}; {count(named, 'class', 'classes')}), on {device} in {precision}"
