"""``key=value`` from the command line, applied to a config."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from detkit.config.base import Config, ConfigError
from detkit.config.explain import models_in, spoken, unknown_key
from detkit.config.kinds import ByKind
from detkit.registry import did_you_mean

C = TypeVar("C", bound=Config)


def apply_overrides(config: C, overrides: Sequence[str]) -> C:
    """The config after each ``key=value``; keys are dotted: ``optimizer.lr=0.01``.

    A key that holds a group takes a ``kind`` (``optimizer=adamw``) or the group's shorthand (``data=folder``). Such a word exchanges the
    whole group, so it is applied before the words for the group's keys, wherever it stands; else the order is from left to right.

    Raises:
        ConfigError: a key does not exist, or a value does not fit it.
    """
    for key, text in _groups_first([_split(item) for item in overrides]):
        config = _replaced(config, key.split("."), text, key)
    return config


def _split(item: str) -> tuple[str, str]:
    key, equals, text = item.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {item!r}: expected key=value, such as optimizer.lr=0.01")
    return key.strip(), text.strip()


def _groups_first(words: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keys and values, where what exchanges a group comes before the first key of that group."""
    ordered: list[tuple[str, str]] = []
    for key, text in words:
        inside = f"{_group_of(key)}."
        place = next((n for n, (other, _) in enumerate(ordered) if _group_of(other).startswith(inside)), len(ordered))
        ordered.insert(place, (key, text))
    return ordered


def _group_of(key: str) -> str:
    """The key, or the whole group where that is what it exchanges."""
    return key.removesuffix(".kind").removesuffix(".preset")


def _replaced(config: Any, keys: list[str], text: str, whole: str) -> Any:
    head, rest = keys[0], keys[1:]
    field = type(config).model_fields.get(head)
    if field is None:
        prefix = whole.split(".")[: -len(keys)]
        full = ".".join([*prefix, head])
        raise ConfigError(unknown_key(full, list(type(config).model_fields)))
    current = getattr(config, head)
    if rest == ["kind"] or not rest:
        return _set(config, head, _parsed(field, text, whole, current), whole)
    if isinstance(current, tuple):
        return _set(config, head, _replaced_in_tuple(current, rest, text, whole), whole)
    if current is None and len(models_in(field.annotation)) == 1:
        current = models_in(field.annotation)[0]()
    if not isinstance(current, Config):
        raise ConfigError(f"unknown key {whole!r}: {head!r} is a single value ({current!r}) with no keys of its own")
    return _set(config, head, _replaced(current, rest, text, whole), whole)


def _replaced_in_tuple(current: tuple[Any, ...], rest: list[str], text: str, whole: str) -> tuple[Any, ...]:
    if not rest[0].isdigit() or int(rest[0]) >= len(current):
        raise ConfigError(f"{whole}: expected a place from 0 to {len(current) - 1}, got {rest[0]!r}")
    place = int(rest[0])
    if len(rest) == 1:
        raise ConfigError(f"{whole}: give the whole tuple, or a key of its member {place}")
    return (*current[:place], _replaced(current[place], rest[1:], text, whole), *current[place + 1 :])


def _set(config: Config, head: str, value: Any, whole: str) -> Config:
    try:
        return config.replace(**{head: value})
    except ConfigError as error:
        prefix = whole.split(".")
        owner = ".".join(prefix[: prefix.index(head)])
        raise ConfigError(f"{owner}.{error}" if owner and str(error).startswith(head) else str(error)) from None


def _parsed(field: FieldInfo, text: str, whole: str, current: Any) -> Any:
    """The text as the field's type; a group is made from its kind or its shorthand."""
    optional = type(None) in get_args(field.annotation)
    if optional and text.lower() in {"none", "null"}:
        return None
    by_kind = next((item for item in _metadata(field) if isinstance(item, ByKind)), None)
    if by_kind is not None:
        try:
            return by_kind.default(text)
        except ValueError as error:
            raise ConfigError(f"{whole}: {error}") from None
    models = models_in(field.annotation)
    if models and not isinstance(current, tuple):
        return _group(models, text, whole)
    annotation: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    for candidate in _readings(text):
        try:
            return adapter.validate_python(candidate, strict=False)
        except ValidationError:
            continue
    raise ConfigError(f"{whole}: expected {spoken(annotation)}, got {text!r}")


def _metadata(field: FieldInfo) -> list[Any]:
    found = [getattr(item, "func", item) for item in field.metadata]
    for part in get_args(field.annotation):
        found += [getattr(item, "func", item) for item in getattr(part, "__metadata__", ())]
    return found


def _group(models: list[Any], text: str, whole: str) -> Any:
    kinds = {str(m.model_fields["kind"].default): m for m in models if "kind" in m.model_fields}
    if text in kinds:
        return kinds[text]()
    if len(models) == 1 and models[0].shorthand:
        return _from_shorthand(models[0], models[0].shorthand, text, whole)
    if kinds:
        raise ConfigError(f"{whole}: unknown kind {text!r}: {did_you_mean(text, list(kinds))}")
    keys = ", ".join(f"{whole}.{name}" for name in models[0].model_fields)
    raise ConfigError(f"{whole} is a group and takes no value; set one of its keys: {keys}")


def _from_shorthand(model: Any, name: str, text: str, whole: str) -> Any:
    """The group from its one field's text, as it stands or, for a number, as the field's type."""
    field = model.model_fields[name]
    try:
        return model(**{name: text})
    except ConfigError as error:
        wrong = f"{whole}.{error}"
    try:
        value = text if models_in(field.annotation) else _parsed(field, text, whole, None)
    except ConfigError:
        value = text
    if value == text:
        raise ConfigError(wrong)
    try:
        return model(**{name: value})
    except ConfigError as error:
        raise ConfigError(f"{whole}.{error}") from None


def _readings(text: str) -> list[Any]:
    """What a text may mean, the plainest first."""
    readings: list[Any] = [text]
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        literal = tuple(part.strip() for part in text.split(",")) if text else ()
    readings.append(literal)
    if not isinstance(literal, (tuple, list)):
        readings += [(literal,), (text,)]
    return readings
