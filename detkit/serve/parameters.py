"""Parameters of a detection, from the query, a form, or JSON."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from detkit.data.writers.mask_json import MASK_FORMS, MaskForm
from detkit.registry import did_you_mean
from detkit.serve.errors import ApiError, Problem, invalid, repeated

NAMES = ("model", "min_score", "classes", "max_detections", "masks")
OPERATING = "operating"
"""Value of ``min_score`` for the scores that ``detkit detect`` uses."""


@dataclass(frozen=True)
class Parameters:
    """Which detections are reported.

    Attributes:
        min_score: Lowest score; None: that of the model, of each class its own if the model has them.
        classes: Names of the classes; None: all.
        max_detections: Most detections of an image; None: the model's limit.
        masks: How the masks of a model that has them are reported.
    """

    min_score: float | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    masks: MaskForm = "rle"


def query_values(query: QueryParams) -> dict[str, list[str]]:
    """Return the values of each name in a query."""
    return {name: query.getlist(name) for name in query}


def merged(query: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the query and of the body, which has precedence.

    Raises:
        ApiError: If a name is unknown.
    """
    values = {**query, **body}
    for name in values:
        if name not in NAMES:
            raise invalid(f"unknown parameter {repeated(name)}: {did_you_mean(name[:50], NAMES)}")
    return {name: value for name, value in values.items() if value is not None}


def model_name(values: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the name of the model: the first one unless a parameter names another.

    Raises:
        ApiError: If there is no such model.
    """
    name = _single("model", values.get("model", names[0]))
    if name not in names:
        raise ApiError(Problem(404, "unknown_model", f"there is no model {repeated(name)}", "one of: " + ", ".join(names)))
    return str(name)


def parse_parameters(values: Mapping[str, Any], class_names: tuple[str, ...]) -> Parameters:
    """Return checked parameters.

    Args:
        values: Values by name, from :func:`merged`.
        class_names: Classes that the model can report.

    Raises:
        ApiError: If a value is wrong.
    """
    return Parameters(
        _min_score(_single("min_score", values.get("min_score", OPERATING))),
        None if "classes" not in values else _classes(values["classes"], class_names),
        None if "max_detections" not in values else _count(_single("max_detections", values["max_detections"])),
        _masks(_single("masks", values.get("masks", "rle"))),
    )


def _single(name: str, value: Any) -> Any:
    """Return the value of a name that must not be repeated."""
    if not isinstance(value, list):
        return value
    if len(value) != 1:
        raise invalid(f"{name}: expected one value, got {len(value)}")
    return value[0]


def _min_score(value: Any) -> float | None:
    if value == OPERATING:
        return None
    number = math.nan
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    if not 0 <= number <= 1:
        raise invalid(f"min_score: got {repeated(value)}", f"a number from 0 to 1, or {OPERATING}")
    return number


def _masks(value: Any) -> MaskForm:
    for form in MASK_FORMS:
        if value == form:
            return form
    raise invalid(f"masks: got {repeated(value)}", "one of: " + ", ".join(MASK_FORMS))


def _count(value: Any) -> int:
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise invalid(f"max_detections: got {repeated(value)}", "a whole number of 1 or more")
    return int(text)


def _classes(value: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    words: Iterable[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(word, str) for word in words):
        raise invalid(f"classes: got {repeated(value)}", "names of classes")
    parts = [part for word in words for part in ([word] if word in known else map(str.strip, word.split(",")))]
    names = tuple(part for part in parts if part)
    if not names:
        raise invalid("classes: got no name", "names of classes, as a list or separated by commas")
    for name in names:
        if name not in known:
            raise ApiError(Problem(422, "unknown_class", f"the model has no class {repeated(name)}", did_you_mean(name[:100], known)))
    return names
