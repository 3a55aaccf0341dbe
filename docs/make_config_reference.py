"""Generate docs/configuration.md: the type, default and description of every key of every config class, from the classes themselves.

python docs/make_config_reference.py
"""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detkit.config import Config  # noqa: E402
from detkit.config.explain import nested_configs  # noqa: E402
from detkit.config.field_docs import field_docs  # noqa: E402
from detkit.config.kinds import ByKind  # noqa: E402
from detkit.experiment import Experiment  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """# Configuration reference

Generated from the config classes by `python docs/make_config_reference.py`; do not edit it by hand.

A config file is Python that binds `config = Experiment(...)`; `detkit.config_classes` exports all the classes. On the command line, write a
key with dots: `detkit train fpn_r50 optimizer.lr=0.01 model.backbone.name=resnet18`.

- Replace a group that has several kinds by the name of a kind: `optimizer=adamw`.
- Set a group that has a shorthand by that one value: `data=FOLDER`.
- `none` sets a key to None, where None is allowed.
- Replacements of a group are applied before its keys, in any order on the command line: `data.val_fraction=0.3 data=FOLDER` keeps both.
"""

_BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "at least {} items"}


def reference() -> str:
    """Return the page."""
    usages = config_usages(Experiment)
    sections = [section(owner, keys) for owner, keys in usages.items()]
    return "\n".join([_HEAD, *contents(usages), *sections]).rstrip() + "\n"


def contents(usages: dict[type[Config], list[str]]) -> list[str]:
    """Return a list of the keys that hold groups, with links to the classes."""
    keys = [(key, owner) for owner, used_as in usages.items() for key in used_as if not key.startswith("stages.N.")]
    lines: dict[str, list[str]] = {}
    for key, owner in sorted(keys, key=lambda item: item[0]):
        lines.setdefault(key, []).append(_link(owner))
    return [
        "Groups, by key:",
        "",
        *(f"{'  ' * key.replace('.N', '').count('.')}- `{key}`: {' or '.join(links)}" for key, links in lines.items()),
        "",
    ]


def config_usages(root: type[Config]) -> dict[type[Config], list[str]]:
    """Return every config class under ``root`` with the keys that can hold one, outer classes first."""
    usages: dict[type[Config], list[str]] = {root: []}
    queue = [(root, "")]
    while queue:
        owner, prefix = queue.pop(0)
        for name, field in owner.model_fields.items():
            key = f"{prefix}{name}" + (".N" if _is_tuple(field.annotation) else "")
            for model in members(field):
                if model not in usages:
                    usages[model] = []
                    queue.append((model, f"{key}."))
                # Several kinds of a group can hold the same class under the same key.
                if key not in usages[model]:
                    usages[model].append(key)
    return usages


def members(field: FieldInfo) -> list[type[Config]]:
    """Return the config classes that a field can hold; for a field with a registry, those of all its kinds."""
    by_kind = next((item.func for item in field.metadata if isinstance(getattr(item, "func", None), ByKind)), None)
    if by_kind is not None:
        return [by_kind.registry.get(kind) for kind in by_kind.registry.names()]  # type: ignore[misc]
    return [model for model in nested_configs(field.annotation) if issubclass(model, Config)]


def section(owner: type[Config], keys: list[str]) -> str:
    """Return the section of one class: its description, the keys that hold it, and a table of its own keys."""
    lines = [f"## {owner.__name__}", "", plain(owner.__doc__ or ""), ""]
    if keys:
        lines += [_used(owner, keys), ""]
    rows = [row(owner, name, field) for name, field in owner.model_fields.items() if name != "kind"]
    if rows:
        lines += ["| key | type | default | description |", "| --- | --- | --- | --- |", *rows, ""]
    else:
        lines += ["It has no keys.", ""]
    return "\n".join([*lines, *presets(owner)])


def _used(owner: type[Config], keys: list[str]) -> str:
    text = "As " + ", ".join(f"`{key}`" for key in keys)
    kind = owner.model_fields.get("kind")
    if kind is not None:
        text += f", of kind `{kind.default}`"
    if owner.shorthand:
        text += f"; given as one value, that is its `{owner.shorthand}`"
    return text + "."


def row(owner: type[Config], name: str, field: FieldInfo) -> str:
    """Return the table row of one key."""
    bounds = [text for item in field.metadata for text in _bounds(item)]
    cells = [f"`{name}`", ", ".join([type_text(field), *bounds]), f"`{value_text(default(field))}`", plain(field_docs(owner).get(name, ""))]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_text(field: FieldInfo) -> str:
    """Return a field's type, with links to the config classes that it can hold."""
    classes = members(field)
    if classes and nested_configs(field.annotation)[0] not in classes:
        return " or ".join(map(_link, classes))
    return _annotation(field.annotation)


def _annotation(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "`None`"
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return _link(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value_text(value)}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_annotation, arguments))
    if origin is typing.Annotated:
        return _annotation(arguments[0])
    if origin is tuple:
        inner = [_annotation(part) for part in arguments if part is not Ellipsis]
        return f"tuple of {inner[0]}" if Ellipsis in arguments else f"tuple of {len(inner)}: {', '.join(inner)}"
    return f"`{getattr(annotation, '__name__', annotation)}`"


def _link(model: type[Config]) -> str:
    return f"[{model.__name__}](#{model.__name__.lower()})"


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _bounds(item: Any) -> Iterator[str]:
    for name, template in _BOUNDS.items():
        bound = getattr(item, name, None)
        if bound is not None:
            yield template.format(bound)


def default(field: FieldInfo) -> Any:
    """Return the default value of a field."""
    return field.get_default(call_default_factory=True)  # type: ignore[call-arg]


def value_text(value: Any) -> str:
    """Return a value as Python code; for a group, only the keys that differ from the defaults of its class."""
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Config):
        fields = type(value).model_fields
        own = [f"{name}={value_text(getattr(value, name))}" for name, field in fields.items() if getattr(value, name) != default(field)]
        return f"{type(value).__name__}({', '.join(own)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))}{',' if len(value) == 1 else ''})"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def presets(owner: type[Config]) -> list[str]:
    """Return a table with the values that each preset changes, for a class with presets."""
    field = owner.model_fields.get("preset")
    if field is None or typing.get_origin(field.annotation) is not typing.Literal:
        return []
    lines = ["Values of the presets:", "", "| preset | values |", "| --- | --- |"]
    for name in typing.get_args(field.annotation):
        config = owner(preset=name)
        values = {key: getattr(config, key) for key in owner.model_fields if key != "preset"}
        changed = [f"`{key}={value_text(v)}`" for key, v in values.items() if v != default(owner.model_fields[key])]
        lines.append(f'| `"{name}"` | {", ".join(changed) or "all defaults"} |')
    return [*lines, ""]


def plain(docstring: str) -> str:
    """Return the first paragraph of a docstring as one line of Markdown."""
    text = " ".join(docstring.strip().split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
