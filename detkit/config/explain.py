"""Pydantic's errors, in the words of a person who typed the value."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from detkit.config.renamed import renamed
from detkit.registry import did_you_mean

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "tuple_type": "a tuple",
}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "none"}


def explain(error: ValidationError, owner: type[BaseModel]) -> str:
    """One line for each thing that is wrong with a config of class ``owner``: the key, what was expected, what was got."""
    return "; ".join(_line(detail, owner) for detail in error.errors())


def _line(detail: Any, owner: type[BaseModel]) -> str:
    path, fields = _walk(owner, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(path, fields)
    if kind == "missing":
        return f"{path}: a value is needed"
    if kind == "json_invalid":
        return f"not JSON: {detail['msg']}"
    if kind == "value_error":
        return f"{path}: {detail['ctx']['error']}" if path else str(detail["ctx"]["error"])
    expected = _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    return f"{path}: expected {expected}, got {detail['input']!r} ({type(detail['input']).__name__})"


def unknown_key(path: str, fields: Sequence[str]) -> str:
    """The message for a dotted key that does not exist, given the keys that its group has."""
    group, _, key = path.rpartition(".")
    new = renamed(key, fields)
    if new is not None:
        return f"unknown key {path!r}: it is now called {f'{group}.{new}' if group else new!r}"
    return f"unknown key {path!r}: {did_you_mean(key, fields)}"


def _walk(owner: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """The dotted path that a person would type, and the keys known beside its last part."""
    models: list[type[BaseModel]] = [owner]
    path: list[str] = []
    for step, part in enumerate(loc):
        if isinstance(part, int):
            path.append(str(part))
            continue
        tagged = [model for model in models if _kind_of(model) == part]
        if tagged:
            models = tagged
            continue
        if part.startswith(("function-", "is-instance", "nullable", "tuple[", "tagged-union")):
            continue
        path.append(part)
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if not fields:
            break
        if step < len(loc) - 1:
            models = [model for field in fields for model in models_in(field.annotation)]
    return ".".join(path), sorted({name for model in models for name in model.model_fields})


def _kind_of(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return field.default if field is not None and isinstance(field.default, str) else None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every config class named anywhere in a field's annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def spoken(annotation: Any) -> str:
    """What a field takes, in the words of a person who types it: ``a number or none``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return spoken(parts[0])
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin in {Union, UnionType}:
        return " or ".join(spoken(part) for part in parts)
    if origin is tuple:
        number = "" if Ellipsis in parts else f"{len(parts)} "
        nested = get_origin(parts[0]) is tuple
        return "tuples such as ((1, 2), (3, 4))" if nested else f"{number}values with commas between them, each {spoken(parts[0])}"
    return _WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))
