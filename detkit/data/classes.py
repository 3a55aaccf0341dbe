"""Classes are mapped by name, never by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detkit.data.records import DetectionData
from detkit.data.report import Remark
from detkit.registry import did_you_mean


def parse_renames(items: Iterable[str]) -> dict[str, str]:
    """``["tvmonitor=tv"]`` as ``{"tvmonitor": "tv"}``: the data's name, then what it is to be called.

    Raises:
        ValueError: an item is not of the form ``from=to``, or a name is given twice.
    """
    renames: dict[str, str] = {}
    for item in items:
        source, equals, target = (part.strip() for part in item.partition("="))
        if not (source and equals and target):
            raise ValueError(f"class map {item!r}: expected DATA_NAME=NEW_NAME, such as tvmonitor=tv")
        if renames.get(source, target) != target:
            raise ValueError(f"class map {item!r}: {source!r} is already mapped to {renames[source]!r}; give one of the two")
        renames[source] = target
    return renames


@dataclass(frozen=True)
class ClassMapping:
    """Which of a list of wanted classes each class of a data set is.

    Attributes:
        data_names: The data's classes.
        names: The classes wanted: a model's, or those of the training data. None is a slot without a name.
        places: For each of the data's classes its place in ``names``, or None if it is left out.
        renames: The names that were changed on the way.
    """

    data_names: tuple[str, ...]
    names: tuple[str | None, ...]
    places: tuple[int | None, ...]
    renames: tuple[tuple[str, str], ...] = ()

    @classmethod
    def by_name(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map classes of the same name; a class of the data that is not wanted is left out.

        Raises:
            ValueError: a rename starts from a class that the data does not have.
        """
        renames = dict(renames or {})
        for source in renames:
            if source not in data_names:
                raise ValueError(f"class map: the data has no class {source!r}: {did_you_mean(source, tuple(data_names))}")
        place = {name: index for index, name in enumerate(names) if name is not None}
        places = tuple(place.get(renames.get(name, name)) for name in data_names)
        return cls(tuple(data_names), tuple(names), places, tuple(renames.items()))

    @classmethod
    def strict(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map by name where both sides must have the same classes, in any order: for training.

        Raises:
            ValueError: a class is on one side only; the message names both lists.
        """
        mapping = cls.by_name(data_names, names, renames)
        missing = [name for place, name in enumerate(names) if name is not None and place not in mapping.places]
        if mapping.left_out or missing:
            raise ValueError(mapping._differs(missing))
        return mapping

    @classmethod
    def subset(cls, data_names: Sequence[str], names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> ClassMapping:
        """Map by name where every class of the data must be wanted, but not the other way round: for evaluation.

        Raises:
            ValueError: the data has a class that is not among ``names``; the message names both lists.
        """
        mapping = cls.by_name(data_names, names, renames)
        if mapping.left_out:
            raise ValueError(mapping._differs([]))
        return mapping

    @property
    def left_out(self) -> tuple[str, ...]:
        """The data's classes that are not wanted."""
        return tuple(name for name, place in zip(self.data_names, self.places, strict=True) if place is None)

    @property
    def without_data(self) -> tuple[str, ...]:
        """The wanted classes that the data does not have."""
        return tuple(name for place, name in enumerate(self.names) if name is not None and place not in self.places)

    def lines(self) -> list[str]:
        """The mapping as a person reads it: one line for each class of the data, with both numbers."""
        renames = dict(self.renames)
        width = max((len(name) for name in self.data_names), default=0)
        lines = []
        for index, (name, place) in enumerate(zip(self.data_names, self.places, strict=True)):
            target = "left out" if place is None else f"{place:>3} {self.names[place]}"
            lines.append(f"{index:>3} {name:<{width}} -> {target}{' (renamed)' if name in renames else ''}")
        return lines

    def apply(self, data: DetectionData) -> DetectionData:
        """The data with labels that count in ``names``; boxes of classes left out are counted in its report.

        Category ids stay the data's own; a class that several were joined into keeps the first one's id, and one that
        the data does not have gets a free id.
        """
        table = np.array([-1 if place is None else place for place in self.places] or [-1], np.int64)
        labels = table[data.records.labels]
        keep = labels >= 0
        report = data.report.copy()
        files = [data.records.paths[index].rpartition("/")[2] for index in data.records.image_index[~keep]]
        report.add_all(Remark.CLASS_LEFT_OUT, files)
        names = tuple(name if name is not None else f"(slot {place} without a name)" for place, name in enumerate(self.names))
        records = data.records.where(keep, labels)
        coco_file = data.coco_file and data.coco_file.relabeled(self.places)
        return replace(data, class_names=names, category_ids=self._ids(data), records=records, report=report, coco_file=coco_file)

    def _ids(self, data: DetectionData) -> tuple[int, ...]:
        ids: dict[int, int] = {}
        for place, category_id in zip(self.places, data.category_ids, strict=True):
            if place is not None:
                ids.setdefault(place, category_id)
        free = max(data.category_ids, default=0) + 1
        return tuple(ids[place] if place in ids else free + place for place in range(len(self.names)))

    def _differs(self, missing: list[str]) -> str:
        wanted = [name for name in self.names if name is not None]
        text = f"the classes differ: the data has {_listed(self.data_names)}; expected {_listed(wanted)}"
        if self.left_out:
            text += f"; only in the data: {_listed(self.left_out)}"
        if missing:
            text += f"; not in the data: {_listed(missing)}"
        guess = _guess(self.left_out, wanted)
        return f"{text}; rename with map ({guess}), or name the classes to keep with classes"


def _guess(left_out: Sequence[str], wanted: Sequence[str]) -> str:
    if left_out and wanted:
        return f"{left_out[0]}=NAME"
    return "DATA_NAME=NAME"


def _listed(names: Sequence[str], most: int = 100) -> str:
    shown = ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
    return f"{len(names)} [{shown}]"
