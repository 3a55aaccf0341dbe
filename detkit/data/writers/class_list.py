"""Files with one class per line, which keep the order of the classes where labels only name the classes of their objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkit.checkpoint.atomic import write_text


def write_class_list(path: Path, class_names: Sequence[str], *, heading: str = "", ending: str = "") -> None:
    """Write the class names, one per line.

    Args:
        path: The file.
        class_names: The names.
        heading: A line above them.
        ending: Text after each name.

    Raises:
        ValueError: If a name has a line break, or is blank.
    """
    for name in class_names:
        if not fits_a_list([name]):
            raise ValueError(f"{path.name}: the class {name!r} cannot be in a list with one name per line; rename it, or write coco")
    lines = [*([heading] if heading else []), *(f"{name}{ending}" for name in class_names)]
    write_text(path, "".join(f"{line}\n" for line in lines))


def fits_a_list(class_names: Sequence[str]) -> bool:
    """Return whether all names can be in a list with one name per line."""
    return all(name.strip() and len(name.splitlines()) == 1 for name in class_names)
