"""The docstrings of a config's fields, read from its source only when they are needed: parsing it would slow every start down."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap

from detkit.config.base import Config


@functools.cache
def field_docs(owner: type[Config]) -> dict[str, str]:
    """Return the docstring that follows each field of a config class, of its base classes too; fields without one are left out."""
    docs: dict[str, str] = {}
    for cls in reversed([base for base in owner.__mro__ if issubclass(base, Config) and base is not Config]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        docs |= _docs_of_body(definition.body) if isinstance(definition, ast.ClassDef) else {}
    return {name: text for name, text in docs.items() if name in owner.model_fields}


def _docs_of_body(body: list[ast.stmt]) -> dict[str, str]:
    docs = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[field.target.id] = inspect.cleandoc(value.value)
    return docs
