"""Changes to parts of a detector before a stage: freeze them, reset them, or disable fits that its training invalidates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from detkit.models.regions import has_regions
from detkit.training.run import Run

_log = logging.getLogger(__name__)


@contextmanager
def frozen(model: nn.Module, stage: str, prefixes: Sequence[str]) -> Iterator[None]:
    """Freeze parameters whose names start with one of the prefixes inside the block; norms among them keep their statistics.

    Raises:
        ValueError: If a prefix matches no parameter.
    """
    parameters = [p for prefix in prefixes for p in _parameters_with_prefix(model, stage, "frozen", prefix) if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    inside = [module for name, module in model.named_modules() if prefixes and name.startswith(tuple(prefixes))]
    norms = [module for module in inside if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_set_eval_mode) for norm in norms]  # even if the whole model is put into training mode
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in parameters:
            parameter.requires_grad_(True)


def _set_eval_mode(module: nn.Module, _: object) -> None:
    module.eval()


def reset_parts(run: Run, stage: str, prefixes: Sequence[str]) -> None:
    """Reset parameters and buffers whose names start with one of the prefixes to their values at the start of the run.

    Raises:
        ValueError: If a prefix matches no parameter, or the initial weights of the run were not recorded.
    """
    if not prefixes:
        return
    if run.initial_state is None:
        raise ValueError(f"stage {stage}: reset={','.join(prefixes)}: the run's initial weights were not recorded")
    for prefix in prefixes:
        _parameters_with_prefix(run.detector, stage, "reset", prefix)
    state = {name: value for name, value in run.initial_state().items() if name.startswith(tuple(prefixes))}
    run.detector.load_state_dict(state, strict=False)
    _log.info("reset to the initial weights: %s", ", ".join(prefixes))


def reset_stale_fits(detector: nn.Module, stage: str, *, unfreezes: bool = False) -> None:
    """Disable the fitted layers whose input features are about to be trained, until their stages fit them again.

    Args:
        detector: The detector, with the parameters of the frozen parts frozen.
        stage: Name of the stage that is about to train it, for the log.
        unfreezes: Whether frozen stages of the backbone will be unfrozen later.
    """
    region = detector.region if has_regions(detector) else None
    if region is None or region.fitted is None:
        return
    rest = [part for name, part in detector.named_children() if name != "region"]
    features = unfreezes or any(_is_trainable(part) for part in rest)
    hidden = features or _is_trainable(region.head)
    boxes = features if region.fitted.config.boxes_from == "pooled" else hidden
    disabled = region.fitted.mark_unfitted(svm=hidden, boxes=boxes)
    if disabled:
        _log.info("%s: the earlier fits (%s) are disabled until they are fitted again", stage, ", ".join(disabled))


def _parameters_with_prefix(model: nn.Module, stage: str, key: str, prefix: str) -> list[nn.Parameter]:
    parameters = [parameter for name, parameter in model.named_parameters() if name.startswith(prefix)]
    if not parameters:
        raise ValueError(f"stage {stage}: {key}: no parameter name starts with {prefix!r}")
    return parameters


def _is_trainable(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
