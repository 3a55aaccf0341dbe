"""Joining of results to images by id as number or text, by file name, or by file name without extension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from detkit.evaluation.ground_truth import GroundTruth
from detkit.label_values import canonical_id


def joined_results(rows: Sequence[Any], truth: GroundTruth, name: str) -> Sequence[Any]:
    """Return results whose image ids and category ids are numbers of the ground truth; rows that are plain already are unchanged.

    An ``image_id`` is the id of an image, written as a number or as text, or the name of its file, with or without folders and
    extension, if only one image has it. Rows that are no objects are left for the checks that follow.

    Raises:
        ValueError: If rows name images that are not in the ground truth; the message counts them and lists three.
    """
    values = [row.get("image_id") if isinstance(row, Mapping) else None for row in rows]
    categories = [row.get("category_id") if isinstance(row, Mapping) else None for row in rows]
    if _is_plain(values, truth.image_ids) and _is_plain(categories, truth.categories):
        return rows
    numbers = _ImageNumbers(truth)
    known = {value: numbers.of(value) for value in set(map(_hashable, values))}
    unknown = Counter(value for value in map(_hashable, values) if known[value] is None and value is not None)
    if unknown:
        first = next(index for index, value in enumerate(values) if known[_hashable(value)] is None and value is not None)
        raise ValueError(_unknown_images(f"{name}[{first}].image_id", values[first], unknown, len(rows), truth))
    return [
        {**row, "image_id": known[_hashable(row["image_id"])], "category_id": _category(row.get("category_id"), truth)}
        if isinstance(row, Mapping) and known[_hashable(row.get("image_id"))] is not None and "category_id" in row
        else row
        for row in rows
    ]


def _is_plain(values: Sequence[Any], known: Any) -> bool:
    return set(map(type, values)) <= {int} and set(values) <= set(known)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (int, str, float)) and not isinstance(value, bool) else None


def _unknown_images(where: str, first: Any, unknown: Counter[Any], rows: int, truth: GroundTruth) -> str:
    listed = ", ".join(repr(value) for value in list(unknown)[:3]) + (" and more" if len(unknown) > 3 else "")
    known = ", ".join(str(image_id) for image_id in list(truth.published_ids or truth.image_ids)[:3])
    more = f", ... ({len(truth.image_ids):,} in all)" if len(truth.image_ids) > 3 else ""
    return (
        f"{where}: expected one of the ground truth: {known}{more}; got {first!r}; do these results belong to {truth.name}? "
        f"{unknown.total():,} of {rows:,} rows name {len(unknown):,} images that are not in it: {listed}"
    )


def _category(value: Any, truth: GroundTruth) -> Any:
    try:
        number = canonical_id(value)
    except ValueError:
        return value
    return number if number in truth.categories else value


class _ImageNumbers:
    """The number of the image that an id or a file name means."""

    def __init__(self, truth: GroundTruth) -> None:
        self._ids = truth.published_ids or {image_id: image_id for image_id in truth.image_ids}
        names = [(number, file.replace("\\", "/")) for number, file in truth.files.items()]
        self._names = _unique((key, number) for number, name in names for key in _keys(name))

    def of(self, value: Any) -> int | None:
        if value is None:
            return None
        try:
            number = self._ids.get(canonical_id(value))
        except ValueError:
            return None
        if number is not None or not isinstance(value, str):
            return number
        keys = _keys(value.replace("\\", "/"))
        return next((self._names[key] for key in keys if self._names.get(key) is not None), None)


def _keys(name: str) -> list[str]:
    """Return a file's path, path without extension, name and name without extension."""
    plain = name.rpartition("/")[2]
    keys = (name, name.rpartition(".")[0] if "." in plain else name, plain, plain.rpartition(".")[0] if "." in plain else plain)
    return list(dict.fromkeys(key for key in keys if key))


def _unique(pairs: Any) -> dict[str, int | None]:
    """Return the number of each key; None where several have it."""
    numbers: dict[str, int | None] = {}
    for key, number in pairs:
        numbers[key] = number if numbers.get(key, number) == number else None
    return numbers
