"""The base of every config class, with errors that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from detkit.config.explain import explain

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class ConfigError(ValueError):
    """A config has a key or a value that it cannot have; the message says which, what was expected and what was got."""


class _Checked(ModelMetaclass):
    """Turns pydantic's error into a :class:`ConfigError` where a config is made by hand, and only there."""

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **values: Any) -> Any:  # noqa: N805  # a metaclass
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                raise ConfigError(explain(error, cls)) from None


class Config(BaseModel, metaclass=_Checked):
    """A frozen group of numbers, checked like a form: an unknown key or a wrong type is an error.

    A subclass that sets ``shorthand`` can be given on the command line as the value of that one field.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        ser_json_inf_nan="constants",
        validate_default=True,
        use_attribute_docstrings=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )

    shorthand: ClassVar[str | None] = None

    def replace(self, **values: Any) -> Self:
        """A checked copy with some fields exchanged.

        Raises:
            ConfigError: a field does not exist or a value does not fit.
        """
        current = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**current, **values})

    def to_json(self, indent: int | None = None) -> str:
        """JSON from which :meth:`from_json` makes an equal config."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: the text is not JSON, or does not fit the class.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(explain(error, cls)) from None
