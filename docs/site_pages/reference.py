"""Reference pages, generated before the site is built: the commands from their parsers, and the Python API from its docstrings."""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import detkit
from detkit.cli.main import COMMANDS, command_parser

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
_WIDTH = "100"
"""Columns of the help texts."""

_INDEX = """# Reference

```{toctree}
:maxdepth: 1

commands
python
../configuration
```
"""


def write_pages(folder: Path = REFERENCE) -> None:
    """Write the pages of the commands and of the Python API into a folder."""
    os.environ["COLUMNS"] = _WIDTH
    folder.mkdir(exist_ok=True)
    for name in COMMANDS:
        _write(folder / f"{name}.md", command_page(name))
    _write(folder / "index.md", _INDEX)
    _write(folder / "commands.md", _command_list())
    _write(folder / "python.md", python_page())


def command_page(name: str) -> str:
    """Return the page of one command: its usage, description and flags, and those of each of its subcommands."""
    parts = [f"# detkit {name}"]
    for title, parser in _parsers(f"detkit {name}", command_parser(name)):
        heading = [] if title == f"detkit {name}" else [f"## {title}"]
        parts += [*heading, (parser.description or "").strip(), f"```text\n{parser.format_usage().rstrip()}\n```", _flags(parser)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _flags(parser: argparse.ArgumentParser) -> str:
    """Return the words and flags of a parser as a definition list."""
    formatter = parser._get_formatter()
    entries = []
    for action in parser._actions:
        if action.help in (None, argparse.SUPPRESS) or isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        text = " ".join(formatter._expand_help(action).split())
        entries.append(f"`{formatter._format_action_invocation(action)}`\n: {_escaped(text)}")
    return "\n\n".join(entries)


def _escaped(text: str) -> str:
    """Return text in which characters that Markdown reads as markup are literal."""
    return re.sub(r"([\\`*_<>\[\]])", r"\\\1", text)


def python_page() -> str:
    """Return the page of the names that ``import detkit`` offers, by the headings of the package's docstring."""
    parts = ["# Python API", "Everything here is imported from `detkit`, when it is first used."]
    for heading, names in _groups():
        parts.append(f"## {heading}")
        parts += [f"```{{eval-rst}}\n.. {_directive(name)}:: detkit.{name}\n{_options(name)}```" for name in names]
    return "\n\n".join(parts) + "\n"


def _parsers(title: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield title, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from _parsers(f"{title} {name}", child)


def _command_list() -> str:
    groups = dict.fromkeys(command.group for command in COMMANDS.values())
    lines = ["# Commands", ""]
    for group in groups:
        listed = [name for name, command in COMMANDS.items() if command.group == group]
        lines += [f"## {group}", "", *(f"* [`detkit {name}`]({name}.md): {COMMANDS[name].help}" for name in listed), ""]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *COMMANDS, "```", ""])


def _groups() -> list[tuple[str, list[str]]]:
    """Return the names of the API under the headings of the package's docstring; what it does not list comes last."""
    groups: list[tuple[str, list[str]]] = []
    known = [name for name in dir(detkit) if not name.startswith("_") and name != "zoo"]
    listed: set[str] = set()
    for line in (detkit.__doc__ or "").splitlines():
        if line and line[0].isupper() and line.replace(" ", "").isalpha():
            groups.append((line, []))
        elif groups:
            new = [word for word in dict.fromkeys(re.findall(r"\w+", line)) if word in known and word not in listed]
            groups[-1][1].extend(new)
            listed.update(new)
    rest = [name for name in known if name not in listed]
    return [*groups, ("More", rest)] if rest else groups


def _directive(name: str) -> str:
    return "autoclass" if isinstance(getattr(detkit, name), type) else "autofunction"


def _options(name: str) -> str:
    return "   :members:\n" if isinstance(getattr(detkit, name), type) else ""


def _write(path: Path, text: str) -> None:
    """Write a page unless it is already so, because Sphinx rebuilds what is newer."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    importlib.invalidate_caches()
    app.connect("builder-inited", lambda _: write_pages())
    return {"parallel_read_safe": True}
