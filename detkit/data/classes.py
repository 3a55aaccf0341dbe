"""Mapping of a data set's classes to a list of class names, by name and never by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue
from detkit.registry import did_you_mean


def parse_renames(items: Iterable[str]) -> dict[str, str]:
    """Parse ``["tvmonitor=tv"]`` into ``{"tvmonitor": "tv"}``: name in the data to new name.

    Raises:
        ValueError: If an item is not of the form ``from=to``, or if a name is renamed in two ways.
    """
    renames: dict[str, str] = {}
    for item in items:
        source, equals, target = (part.strip() for part in item.partition("="))
        if not (source and equals and target):
            raise ValueError(f"class rename {item!r}: expected DATA_NAME=NEW_NAME, such as tvmonitor=tv")
        if renames.get(source, target) != target:
            raise ValueError(f"class rename {item!r}: {source!r} is already renamed to {renames[source]!r}; give one of the two")
        renames[source] = target
    return renames


class ClassMismatchError(ValueError):
    """Classes of the data that a detector does not have, with the arguments that rename and select them.

    Args:
        problem: The classes of both sides.
        name: One of those that differ.
    """

    def __init__(self, problem: str, name: str) -> None:
        super().__init__(f"{problem}; rename classes with renames={{{name!r}: NAME}}, or select the classes to keep with classes")
        self._problem, self._name = problem, name

    def for_command(self, has_flags: bool) -> str:
        """Return the message with flags of the command line instead of arguments in Python.

        Args:
            has_flags: Whether the command has ``--rename`` and ``--classes``.
        """
        flags = f"--rename {self._name}=NAME, or select the classes to keep with --classes"
        return f"{self._problem}; rename classes with {flags if has_flags else f'detkit data rename DATA NEW {self._name}=NAME'}"


@dataclass(frozen=True)
class ClassMapping:
    """The class in a target list that each class of a data set is mapped to.

    Attributes:
        data_names: The data's classes.
        names: The target classes, of a model or of the training data. None is a slot without a name.
        indices: For each of the data's classes its index in ``names``, or None if it is dropped.
        renames: The renames that were applied, as (name in the data, new name).
    """

    data_names: tuple[str, ...]
    names: tuple[str | None, ...]
    indices: tuple[int | None, ...]
    renames: tuple[tuple[str, str], ...] = ()

    @classmethod
    def by_name(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map classes of equal names; a class of the data that is not in ``names`` is dropped.

        Raises:
            ValueError: If a rename starts from a class that the data does not have.
        """
        renames = dict(renames or {})
        for source in renames:
            if source not in data_names:
                raise ValueError(f"class rename: the data has no class {source!r}: {did_you_mean(source, tuple(data_names))}")
        index_of = {name: index for index, name in enumerate(names) if name is not None}
        indices = tuple(index_of.get(renames.get(name, name)) for name in data_names)
        return cls(tuple(data_names), tuple(names), indices, tuple(renames.items()))

    @classmethod
    def strict(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map by name and require the same classes on both sides, in any order; for training.

        Raises:
            ValueError: If a class is on one side only; the message lists both sides.
        """
        mapping = cls.by_name(data_names, names, renames)
        missing = [name for index, name in enumerate(names) if name is not None and index not in mapping.indices]
        if mapping.dropped or missing:
            example = f"{mapping.dropped[0]}=NAME" if mapping.dropped else "DATA_NAME=NAME"
            keys = f"data.rename={example}, or select the classes to keep with data.classes"
            raise ValueError(f"{mapping._mismatch(missing)}; rename classes with {keys}")
        return mapping

    @classmethod
    def subset(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map by name and require every class of the data to be in ``names``, but not the reverse; for evaluation.

        Raises:
            ClassMismatchError: If the data has a class that is not in ``names``; the message lists both sides.
        """
        mapping = cls.by_name(data_names, names, renames)
        if mapping.dropped:
            raise ClassMismatchError(mapping._mismatch([]), mapping.dropped[0])
        return mapping

    @property
    def dropped(self) -> tuple[str, ...]:
        """The data's classes that are not in ``names``."""
        return tuple(name for name, index in zip(self.data_names, self.indices, strict=True) if index is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """The target classes that the data does not have."""
        return tuple(name for index, name in enumerate(self.names) if name is not None and index not in self.indices)

    def lines(self) -> list[str]:
        """Return the mapping as text, one line per class of the data, with both numbers."""
        renames = dict(self.renames)
        width = max((len(name) for name in self.data_names), default=0)
        lines = []
        for number, (name, index) in enumerate(zip(self.data_names, self.indices, strict=True)):
            target = "dropped" if index is None else f"{index:>3} {self.names[index]}"
            lines.append(f"{number:>3} {name:<{width}} -> {target}{' (renamed)' if name in renames else ''}")
        return lines

    def apply(self, data: DetectionData) -> DetectionData:
        """Return the data with labels that index ``names``; boxes of dropped classes are counted in its report.

        Regions that are of no class are kept. Category ids stay those of the data. Where several classes are merged into one, it keeps
        the id of the first; a class that the data does not have gets an unused id.
        """
        table = np.array([-1 if index is None else index for index in self.indices] or [-1], np.int64)
        labels = np.where(data.records.is_ignore, 0, table[data.records.labels])
        keep = labels >= 0
        report = data.report.copy()
        files = [data.records.paths[index].rpartition("/")[2] for index in data.records.image_index[~keep]]
        report.add_all(ReadIssue.CLASS_NOT_SELECTED, files)
        names = tuple(name if name is not None else f"(slot {index} without a name)" for index, name in enumerate(self.names))
        records = data.records.where(keep, labels)
        coco_file = data.coco_file and data.coco_file.relabeled(self.indices)
        return replace(data, class_names=names, category_ids=self._ids(data), records=records, report=report, coco_file=coco_file)

    def _ids(self, data: DetectionData) -> tuple[int, ...]:
        ids: dict[int, int] = {}
        for index, category_id in zip(self.indices, data.category_ids, strict=True):
            if index is not None:
                ids.setdefault(index, category_id)
        first_unused = max(data.category_ids, default=0) + 1
        return tuple(ids[index] if index in ids else first_unused + index for index in range(len(self.names)))

    def _mismatch(self, missing: list[str]) -> str:
        expected = [name for name in self.names if name is not None]
        text = f"the classes differ: the data has {_listed(self.data_names)}; expected {_listed(expected)}"
        if self.dropped:
            text += f"; only in the data: {_listed(self.dropped)}"
        if missing:
            text += f"; not in the data: {_listed(missing)}"
        return text


def _listed(names: Sequence[str], max_names: int = 100) -> str:
    shown = ", ".join(names[:max_names]) + (f", and {len(names) - max_names} more" if len(names) > max_names else "")
    return f"{len(names)} [{shown}]"
