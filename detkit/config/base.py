"""The base class of all configs, with actionable errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from detkit.config.explain import explain, nested_configs


class ConfigError(ValueError):
    """A config has an invalid key or value; the message names it, the expected value and the given one."""


if TYPE_CHECKING:
    # A type checker sees pydantic's own metaclass: only then it knows the fields of each constructor.
    from pydantic._internal._model_construction import ModelMetaclass as _Checked
else:

    class _Checked(type(BaseModel)):
        """Converts pydantic's error into a :class:`ConfigError` where a config is constructed directly, and only there."""

        def __call__(cls, *args: Any, **values: Any) -> Any:  # a metaclass
            try:
                return super().__call__(*args, **{name: _from_shorthand(cls, name, value) for name, value in values.items()})
            except ValidationError as error:
                raise ConfigError(explain(error, cls)) from None


def _from_shorthand(owner: type[BaseModel], name: str, value: Any) -> Any:
    """Return the group that a single value stands for, as in ``Experiment(data="my_folder")``; any other value as it is."""
    if not isinstance(value, (str, Path)) or name not in owner.model_fields:
        return value
    groups = [group for group in nested_configs(owner.model_fields[name].annotation) if getattr(group, "shorthand", None)]
    return groups[0](**{groups[0].shorthand: str(value)}) if len(groups) == 1 else value  # type: ignore[attr-defined]


def _has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    return isinstance(value, float) and math.isnan(value)


class Config(BaseModel, metaclass=_Checked):
    """A frozen, validated group of settings: an unknown key or a wrong type is an error.

    On the command line, a subclass with a ``shorthand`` can be given as the value of that one field.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        ser_json_inf_nan="constants",
        validate_default=True,
        use_attribute_docstrings=False,
        serialize_by_alias=True,
        protected_namespaces=(),
    )

    shorthand: ClassVar[str | None] = None

    @field_validator("*", mode="after")
    @classmethod
    def _check_nan(cls, value: Any) -> Any:
        """Refuse NaN, which no setting means and which differs from itself, so that nothing restores it."""
        if _has_nan(value):
            raise ValueError("expected a number, got nan")
        return value

    def replace(self, **values: Any) -> Self:
        """Return a validated copy with some fields replaced.

        Raises:
            ConfigError: If a field does not exist or a value is invalid.
        """
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**current, **values})

    def to_json(self, indent: int | None = None) -> str:
        """Return JSON from which :meth:`from_json` restores an equal config.

        Raises:
            ValueError: If a text has half of a character, which no file can hold.
        """
        try:
            return self.model_dump_json(indent=indent)
        except ValueError as error:  # pydantic's PydanticSerializationError
            raise ValueError(f"config: expected texts that UTF-8 can hold, got one with half of a character ({error})") from None

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse the output of :meth:`to_json`.

        Raises:
            ConfigError: If the text is not JSON, or does not fit the class.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(explain(error, cls)) from None
