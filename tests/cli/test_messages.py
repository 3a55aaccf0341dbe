"""Messages name nothing that a user of the wheel does not have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "detkit"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "zoo")
MISSING = re.compile(r"(?<![\w/}])(docs|configs|datasets|tools)/\w+\.(md|py|json)")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_names_a_file_of_the_checkout(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    help_text = ast.get_docstring(tree) or "" if PACKAGE / "cli" in path.parents else ""
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    named = [match[0] for text in [help_text, *texts] for match in MISSING.finditer(text)]
    assert not named, f"{path}: {', '.join(named)}: give an address below detkit.__docs__, or a `detkit` command"
