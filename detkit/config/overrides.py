"""``key=value`` from the command line, applied to a config."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from detkit.config.base import Config, ConfigError
from detkit.config.explain import describe_type, nested_configs, unknown_key
from detkit.config.kinds import ByKind
from detkit.registry import did_you_mean

C = TypeVar("C", bound=Config)


def apply_overrides(config: C, overrides: Sequence[str]) -> C:
    """Return the config after applying each ``key=value``; keys are dotted: ``optimizer.lr=0.01``.

    A key of a group takes a ``kind`` (``optimizer=adamw``) or the group's shorthand (``data=folder``). Such an override replaces the whole
    group, so it is applied before overrides of the group's keys, whatever their order. All others apply from left to right.

    Raises:
        ConfigError: If a key does not exist, or a value does not fit it.
    """
    for key, text in _groups_first([_split(item) for item in overrides]):
        config = _override(config, key.split("."), text, key)
    return config


def _split(item: str) -> tuple[str, str]:
    key, equals, text = item.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {item!r}: expected key=value, such as optimizer.lr=0.01")
    return key.strip(), text.strip()


def _groups_first(overrides: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort keys and values so that an override of a whole group precedes the first key of that group."""
    ordered: list[tuple[str, str]] = []
    for key, text in overrides:
        inside = f"{_group_of(key)}."
        index = next((n for n, (other, _) in enumerate(ordered) if _group_of(other).startswith(inside)), len(ordered))
        ordered.insert(index, (key, text))
    return ordered


def _group_of(key: str) -> str:
    """Return the key, or the group if the key replaces a whole group."""
    return key.removesuffix(".kind").removesuffix(".preset")


def _override(config: Any, keys: list[str], text: str, full_key: str) -> Any:
    head, rest = keys[0], keys[1:]
    field = type(config).model_fields.get(head)
    if field is None:
        prefix = full_key.split(".")[: -len(keys)]
        raise ConfigError(unknown_key(".".join([*prefix, head]), list(type(config).model_fields)))
    current = getattr(config, head)
    if rest == ["kind"] or not rest:
        return _set(config, head, _parse(field, text, full_key, current), full_key)
    if isinstance(current, tuple):
        return _set(config, head, _override_in_tuple(current, rest, text, full_key), full_key)
    if current is None and len(nested_configs(field.annotation)) == 1:
        current = nested_configs(field.annotation)[0]()
    if not isinstance(current, Config):
        raise ConfigError(f"unknown key {full_key!r}: {head!r} is a single value ({current!r}) with no keys of its own")
    return _set(config, head, _override(current, rest, text, full_key), full_key)


def _override_in_tuple(current: tuple[Any, ...], rest: list[str], text: str, full_key: str) -> tuple[Any, ...]:
    if not rest[0].isdecimal() or int(rest[0]) >= len(current):
        raise ConfigError(f"{full_key}: expected an index from 0 to {len(current) - 1}, got {rest[0]!r}")
    index = int(rest[0])
    if len(rest) == 1 or not isinstance(current[index], Config):
        keys = f", or a key of its member {index}" if isinstance(current[index], Config) else ""
        raise ConfigError(f"{full_key}: give the whole tuple{keys}")
    return (*current[:index], _override(current[index], rest[1:], text, full_key), *current[index + 1 :])


def _set(config: Config, head: str, value: Any, full_key: str) -> Config:
    try:
        return config.replace(**{head: value})
    except ConfigError as error:
        prefix = full_key.split(".")
        owner = ".".join(prefix[: prefix.index(head)])
        raise ConfigError(f"{owner}.{error}" if owner and str(error).startswith(head) else str(error)) from None


def _parse(field: FieldInfo, text: str, full_key: str, current: Any) -> Any:
    """Convert the text to the field's type; a group is built from its kind or its shorthand."""
    optional = type(None) in get_args(field.annotation)
    if optional and text.lower() in {"none", "null"}:
        return None
    by_kind = next((item for item in _metadata(field) if isinstance(item, ByKind)), None)
    if by_kind is not None:
        try:
            return by_kind.default(text)
        except ValueError as error:
            raise ConfigError(f"{full_key}: {error}") from None
    models = nested_configs(field.annotation)
    if models and not isinstance(current, tuple):
        return _group(models, text, full_key)
    annotation: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    for candidate in _interpretations(text):
        try:
            return adapter.validate_python(candidate, strict=False)
        except ValidationError:
            continue
    raise ConfigError(f"{full_key}: expected {describe_type(annotation)}, got {text!r}")


def _metadata(field: FieldInfo) -> list[Any]:
    metadata = [getattr(item, "func", item) for item in field.metadata]
    for part in get_args(field.annotation):
        metadata += [getattr(item, "func", item) for item in getattr(part, "__metadata__", ())]
    return metadata


def _group(models: list[Any], text: str, full_key: str) -> Any:
    kinds = {str(m.model_fields["kind"].default): m for m in models if "kind" in m.model_fields}
    if text in kinds:
        return kinds[text]()
    if len(models) == 1 and models[0].shorthand:
        return _from_shorthand(models[0], models[0].shorthand, text, full_key)
    if kinds:
        raise ConfigError(f"{full_key}: unknown kind {text!r}: {did_you_mean(text, list(kinds))}")
    keys = ", ".join(f"{full_key}.{name}" for name in models[0].model_fields)
    raise ConfigError(f"{full_key} is a group and takes no value; set one of its keys: {keys}")


def _from_shorthand(model: Any, name: str, text: str, full_key: str) -> Any:
    """Build the group from the text of its shorthand field, taken literally or else converted to the field's type."""
    field = model.model_fields[name]
    try:
        return model(**{name: text})
    except ConfigError as error:
        message = f"{full_key}.{error}"
    try:
        value = text if nested_configs(field.annotation) else _parse(field, text, full_key, None)
    except ConfigError:
        value = text
    if value == text:
        raise ConfigError(message)
    try:
        return model(**{name: value})
    except ConfigError as error:
        raise ConfigError(f"{full_key}.{error}") from None


def _interpretations(text: str) -> list[Any]:
    """Return the values that a text can stand for, the most literal first."""
    values: list[Any] = [text]
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two are raised by many nested brackets
        literal = tuple(part.strip() for part in text.split(",")) if text else ()
    values.append(literal)
    if not isinstance(literal, (tuple, list)):
        values += [(literal,), (text,)]
    return values
