"""Pydantic's errors as plain messages for the person who typed the value."""

from __future__ import annotations

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
_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "none"}


def explain(error: ValidationError, owner: type[BaseModel]) -> str:
    """Describe each error in a config of class ``owner``: the key, the expected value and the given one."""
    return "; ".join(_line(detail, owner) for detail in error.errors())


def _line(detail: Any, owner: type[BaseModel]) -> str:
    path, fields = _walk(owner, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(path, fields)
    if kind == "missing":
        return f"{path}: a value is required"
    if kind == "json_invalid":
        return f"not JSON: {detail['msg']}"
    if kind == "value_error":
        return f"{path}: {detail['ctx']['error']}" if path else str(detail["ctx"]["error"])
    expected = _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")
    return f"{path}: expected {expected}, got {detail['input']!r} ({type(detail['input']).__name__})"


def unknown_key(path: str, fields: list[str]) -> str:
    """Return the message for a dotted key that does not exist, given the keys of its group."""
    group, _, key = path.rpartition(".")
    new_key = renamed(key, fields)
    if new_key is not None:
        return f"unknown key {path!r}: it is now called {f'{group}.{new_key}' if group else new_key!r}"
    return f"unknown key {path!r}: {did_you_mean(key, fields)}"


def _walk(owner: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """Return the dotted key of an error, and the keys of the group that its last part belongs to."""
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
            models = [model for field in fields for model in nested_configs(field.annotation)]
    return ".".join(path), sorted({name for model in models for name in model.model_fields})


def _kind_of(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return field.default if field is not None and isinstance(field.default, str) else None


def nested_configs(annotation: Any) -> list[type[BaseModel]]:
    """Return every config class in a field's annotation, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in nested_configs(part)]


def describe_type(annotation: Any) -> str:
    """Describe the values that a field accepts, as typed on the command line: ``a number or none``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [item.ge for part in parts[1:] for item in getattr(part, "metadata", ()) if hasattr(item, "ge")]
        return describe_type(parts[0]) + "".join(f" of at least {bound}" for bound in bounds)
    if origin is Literal:
        return " or ".join(str(part) for part in parts)
    if origin in {Union, UnionType}:
        return " or ".join(describe_type(part) for part in parts)
    if origin is tuple:
        count = "" if Ellipsis in parts else f"{len(parts)} "
        nested = get_origin(parts[0]) is tuple
        return "tuples such as ((1, 2), (3, 4))" if nested else f"{count}values separated by commas, each {describe_type(parts[0])}"
    return _TYPE_NAMES.get(annotation) or str(getattr(annotation, "__name__", annotation))
