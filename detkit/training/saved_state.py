"""Checks of a saved state before and while a run resumes from it: a damaged or foreign one is reported in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_number, is_text
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.state import first_line

MAX_STEPS = 10**9
"""Largest number of steps of a stage; at a thousand steps a second they take eleven days."""
_ADVICE = "the state is damaged or of another program: start a new run with weights={}"


def _are_numbers(value: Any) -> bool:
    return value is None or (is_mapping(value) and all(isinstance(number, (int, float)) for number in value.values()))


def _are_minutes(value: Any) -> bool:
    return is_number(value) and value >= 0


def _are_points(value: Any) -> bool:
    try:
        return value is None or bool(OperatingPoints.from_dict(value))
    except ValueError:
        return False


_RUN = {
    "stage": Field("the index of a stage", is_count),
    "class_names": Field("a list of names", lambda names: isinstance(names, list)),
    "images_seen": Field("a number of images", is_count),
    "core_minutes": Field("minutes", _are_minutes),
    "parts": Field("minutes by activity", _are_numbers).optional(),
    "evaluation_minutes": Field("minutes", _are_minutes).optional(),
    "wall_minutes": Field("minutes", _are_minutes).optional(),
    "data": Field("the fingerprints of the data", is_mapping).optional(),
    "detkit": Field("a version", is_text).optional(),
    "inside": Field("the state of the stage", is_mapping),
}
_STAGE = {
    "step": Field(f"a step from 0 to {MAX_STEPS:,}", lambda step: is_count(step, MAX_STEPS)),
    "evaluations": Field("a number of evaluations", is_count).optional(),
    "minutes_before": Field("minutes", _are_minutes).optional(),
    "detector": Field("tensors by name", is_mapping),
    "reserve": Field("minutes", _are_minutes).optional(),
    "optimizer": Field("the state of an optimizer", is_mapping).optional(),
    "scaler": Field("the state of a gradient scaler", is_mapping).optional(),
    "keeper": Field("the best evaluation", is_mapping).optional(),
    "random": Field("the states of random generators", lambda states: isinstance(states, list) and all(map(is_mapping, states))).optional(),
    "adapters": Field("tensors by name", is_mapping).optional(),
    "ema": Field("a moving average", lambda ema: ema is None or is_mapping(ema)).optional(),
}
KEEPER = {
    "best": Field("a metric", lambda best: best is None or isinstance(best, float)),
    "best_step": Field("a step", is_count),
    "best_numbers": Field("metrics by name", lambda numbers: numbers is not None and _are_numbers(numbers)),
    "numbers": Field("metrics by name", lambda numbers: numbers is not None and _are_numbers(numbers)),
    "points": Field("operating points", _are_points).optional(),
    "best_points": Field("operating points", _are_points).optional(),
    "without_gain": Field("a number of evaluations", is_count),
    "_reference": Field("a metric", lambda value: isinstance(value, float)),
}
"""Entries of the state about the evaluations of a stage."""


def check_saved_state(path: Path, state: Mapping[str, Any], last: Path) -> None:
    """Check the types and limits of a state's fields.

    Args:
        path: File of the state, for messages.
        state: The state.
        last: Newest checkpoint of the run, for messages.

    Raises:
        ValueError: If a field is missing or wrong.
    """
    advice = _ADVICE.format(last)
    check_fields(state, _RUN, f"training state {path}", advice)
    check_fields(state["inside"], _STAGE, f"training state {path}: stage {state['stage'] + 1}", advice)


@contextmanager
def explain_foreign_state(path: Path, last: Path) -> Iterator[None]:
    """Replace an error in the block, which restores a run from a state, by one line that names the state.

    Raises:
        ValueError: If the state does not fit the run.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"training state {path}: does not fit this run ({type(error).__name__}: {first_line(error)}); {_ADVICE.format(last)}"
        ) from error


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore the state of an optimizer.

    Raises:
        TypeError: If a setting is not a number, or a tensor does not have the shape of its parameter.
        ValueError: If there are other parameters.
    """
    numbers = [[key for key, value in group.items() if is_number(value)] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for keys, group in zip(numbers, optimizer.param_groups, strict=True):
        wrong = [key for key in keys if not is_number(group.get(key))]
        if wrong:
            raise TypeError(f"optimizer: {wrong[0]}: expected a number, got {type(group.get(wrong[0])).__name__}")
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape not in {parameter.shape, torch.Size()}:
                raise TypeError(f"optimizer: {name}: expected shape {tuple(parameter.shape)}, got {tuple(value.shape)}")
