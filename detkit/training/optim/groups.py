"""Groups of parameters by name, with their own learning rate and weight decay."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Self

from pydantic import Field, field_validator, model_validator

from detkit.config import Config
from detkit.registry import did_you_mean


class ParameterGroupConfig(Config):
    """Settings of the optimizer for the parameters with certain names."""

    parameters: str
    """Regular expression for the start of parameter names: a prefix such as ``neck``, or ``.*norm`` for names that contain ``norm``."""
    lr_factor: float | None = Field(default=None, ge=0)
    """Factor of the learning rate, used instead of ``backbone_lr_factor`` and ``layer_decay``; none: use those."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Weight decay, applied to norms and biases too; none: as for other parameters."""

    @field_validator("parameters")
    @classmethod
    def _check_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {value!r}: {error}") from None
        return value

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        if self.lr_factor is None and self.weight_decay is None:
            raise ValueError("expected lr_factor, weight_decay or both, got neither")
        return self


def match_groups(names: Sequence[str], groups: Sequence[ParameterGroupConfig]) -> Mapping[str, ParameterGroupConfig]:
    """Return the group of each parameter that is in one: the first whose pattern matches its name.

    Raises:
        ValueError: If a pattern matches no name.
    """
    for group in groups:
        if not any(re.match(group.parameters, name) for name in names):
            raise ValueError(
                f"optimizer.groups: expected a pattern that matches parameter names of the model, got {group.parameters!r}, which "
                f"matches none: {_near_names(group.parameters, names)}"
            )
    matches = {name: next((group for group in groups if re.match(group.parameters, name)), None) for name in names}
    return {name: group for name, group in matches.items() if group is not None}


def _near_names(pattern: str, names: Sequence[str]) -> str:
    """Return a clause that suggests names, or parts of the model, that are similar to a pattern, or lists the parts of the model."""
    parts = sorted({part for name in names for part in accumulate(name.split("."), "{}.{}".format)})
    close = difflib.get_close_matches(pattern, parts, n=3, cutoff=0.6)
    return did_you_mean(pattern, close or sorted({name.split(".")[0] for name in names}))
