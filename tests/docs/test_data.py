"""docs/data.md agrees with the label formats, and names every command."""

from __future__ import annotations

import make_data_table

from detkit.cli.data.command import SUBCOMMANDS
from detkit.data.writers import WRITERS


def test_page_is_up_to_date() -> None:
    text = make_data_table.PAGE.read_text("utf-8")
    assert text == make_data_table.page(text), "run: python docs/make_data_table.py"


def test_every_format_has_a_row() -> None:
    assert [row[0] for row in make_data_table.rows()] == [f"`{kind}`" for kind in WRITERS]
    assert {row[1] for row in make_data_table.rows()} == set(make_data_table.FILES.values())


def test_every_command_is_described() -> None:
    text = make_data_table.PAGE.read_text("utf-8")
    names = [module.__name__.rpartition(".")[2].replace("_", "-") for module in SUBCOMMANDS]
    assert [name for name in names if f"detkit data {name} " not in text] == []
