"""The flags of ``detkit export`` and what they stand for."""

from __future__ import annotations

from typing import get_args

from detkit.cli.export import OUTPUTS, ExportOptions
from detkit.export.settings import OPSET
from detkit.inference.exported.metadata import OutputKind


def test_the_outputs_are_those_that_files_have() -> None:
    assert set(OUTPUTS) == set(get_args(OutputKind))


def test_the_help_states_the_operator_set() -> None:
    assert OPSET == 17
    assert ExportOptions().opset is None
