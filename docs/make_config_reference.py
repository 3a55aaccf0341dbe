"""Write docs/configuration.md: every key of every config class, with its type, its default and what it does, from the classes themselves.

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
from detkit.config.kinds import ByKind  # noqa: E402
from detkit.experiment import Experiment  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """# Configuration reference

Made from the config classes by `python docs/make_config_reference.py`; do not edit it by hand.

A config file is Python that binds `config = Experiment(...)`; `detkit.config_classes` has all the classes. On the command line a key is written
with dots: `detkit train configs/fpn_r50.py optimizer.lr=0.01 model.backbone.name=resnet18`. A group that comes in kinds is exchanged by the
name of its kind (`optimizer=adamw`), and a group with a shorthand by that one value (`data=FOLDER`). `none` empties a key that can be None.
A word that exchanges a group is applied before the words for its keys, wherever it stands: `data.val_fraction=0.3 data=FOLDER` keeps both.
"""

_BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "at least {} of them"}


def reference() -> str:
    """The whole page."""
    places = config_places(Experiment)
    sections = [section(owner, keys) for owner, keys in places.items()]
    return "\n".join([_HEAD, *contents(places), *sections]).rstrip() + "\n"


def contents(places: dict[type[Config], list[str]]) -> list[str]:
    """A list of the keys that hold groups, with links to these."""
    keys = [(key, owner) for owner, mine in places.items() for key in mine if not key.startswith("stages.N.")]
    lines: dict[str, list[str]] = {}
    for key, owner in sorted(keys, key=lambda item: item[0]):
        lines.setdefault(key, []).append(_link(owner))
    return [
        "Groups, by key:",
        "",
        *(f"{'  ' * key.replace('.N', '').count('.')}- `{key}`: {' or '.join(links)}" for key, links in lines.items()),
        "",
    ]


def config_places(root: type[Config]) -> dict[type[Config], list[str]]:
    """Every config class under ``root`` with the keys that hold one, outer classes first."""
    places: dict[type[Config], list[str]] = {root: []}
    queue = [(root, "")]
    while queue:
        owner, prefix = queue.pop(0)
        for name, field in owner.model_fields.items():
            key = f"{prefix}{name}" + (".N" if _is_tuple(field.annotation) else "")
            for model in members(field):
                if model not in places:
                    places[model] = []
                    queue.append((model, f"{key}."))
                # Kinds of a group may hold the same class under the same key.
                if key not in places[model]:
                    places[model].append(key)
    return places


def members(field: FieldInfo) -> list[type[Config]]:
    """The config classes that a field can hold; for a field filled through a registry, those of all its kinds."""
    by_kind = next((item.func for item in field.metadata if isinstance(getattr(item, "func", None), ByKind)), None)
    if by_kind is not None:
        return [by_kind.registry.get(kind) for kind in by_kind.registry.names()]  # type: ignore[misc]
    return [model for model in nested_configs(field.annotation) if issubclass(model, Config)]


def section(owner: type[Config], keys: list[str]) -> str:
    """One class: what it is, where it is used, and a table of its keys."""
    lines = [f"## {owner.__name__}", "", plain(owner.__doc__ or ""), ""]
    if keys:
        lines += [_used(owner, keys), ""]
    rows = [row(owner, name, field) for name, field in owner.model_fields.items() if name != "kind"]
    if rows:
        lines += ["| key | type | default | what it does |", "| --- | --- | --- | --- |", *rows, ""]
    else:
        lines += ["It has no keys of its own.", ""]
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
    """One key."""
    bounds = [text for item in field.metadata for text in _bounds(item)]
    cells = [f"`{name}`", ", ".join([type_text(field), *bounds]), f"`{value_text(default(field))}`", plain(field.description or "")]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def type_text(field: FieldInfo) -> str:
    """A field's type, with links to the config classes that it can hold."""
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
    for name, words in _BOUNDS.items():
        bound = getattr(item, name, None)
        if bound is not None:
            yield words.format(bound)


def default(field: FieldInfo) -> Any:
    """What a field holds when nothing is said."""
    return field.get_default(call_default_factory=True)  # type: ignore[call-arg]


def value_text(value: Any) -> str:
    """A value as a config file writes it; of a group only what differs from its class."""
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, Config):
        fields = type(value).model_fields
        own = [f"{name}={value_text(getattr(value, name))}" for name, field in fields.items() if getattr(value, name) != default(field)]
        return f"{type(value).__name__}({', '.join(own)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))}{',' if len(value) == 1 else ''})"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def presets(owner: type[Config]) -> list[str]:
    """For a class with presets, what each of them changes."""
    field = owner.model_fields.get("preset")
    if field is None or typing.get_origin(field.annotation) is not typing.Literal:
        return []
    lines = ["What the presets change:", "", "| preset | values |", "| --- | --- |"]
    for name in typing.get_args(field.annotation):
        made = owner(preset=name)
        values = {key: getattr(made, key) for key in owner.model_fields if key != "preset"}
        changed = [f"`{key}={value_text(v)}`" for key, v in values.items() if v != default(owner.model_fields[key])]
        lines.append(f'| `"{name}"` | {", ".join(changed) or "nothing"} |')
    return [*lines, ""]


def plain(docstring: str) -> str:
    """The first paragraph of a docstring as Markdown on one line."""
    text = " ".join(docstring.strip().split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([^`]+)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
