"""Fine-tuning on other classes: initialize a detector from the tensors of another one, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkit.backbones.grayscale import fit_colors
from detkit.heads.class_layout import ClassLayout
from detkit.heads.region.fitted import FittedLayers
from detkit.models.detector import Detector
from detkit.models.loading.checkpoints import COUNTER


@dataclass(frozen=True)
class TransferReport:
    """Result of :func:`transfer`.

    Attributes:
        copied: Names of tensors that were copied whole.
        copied_by_class: Names of tensors whose rows were copied class by class.
        classes_copied: Classes that both detectors have.
        classes_reset: Classes of the model whose rows keep their initialization.
        classes_unused: Classes that only the other detector has.
        reset: Names of tensors that the other detector does not have, which keep their initialization.
        unused: Names of tensors that only the other detector has.
        to_fit: Names of tensors of fitted layers, which are skipped until they are fitted to the new classes, too.
    """

    copied: tuple[str, ...]
    copied_by_class: tuple[str, ...]
    classes_copied: tuple[str, ...]
    classes_reset: tuple[str, ...]
    classes_unused: tuple[str, ...]
    reset: tuple[str, ...]
    unused: tuple[str, ...]
    to_fit: tuple[str, ...] = ()

    def summary(self) -> list[str]:
        """Return the report as a few lines of text."""
        lines = [
            f"copied: {len(self.copied) + len(self.copied_by_class)} tensors; classes: {_format_names(self.classes_copied)}",
            f"reset: {_format_names(self.reset, 'tensors')}; classes: {_format_names(self.classes_reset)}",
            f"unused: {_format_names(self.unused, 'tensors')}; classes: {_format_names(self.classes_unused)}",
        ]
        if self.to_fit:
            lines.append(f"to be fitted to the new classes: {_format_names(self.to_fit, 'tensors')}")
        return lines


@torch.no_grad()
def transfer(
    model: Detector,
    class_names: Sequence[str | None],
    tensors: Mapping[str, Tensor],
    tensor_class_names: Sequence[str | None],
) -> TransferReport:
    """Copy the tensors of another detector into ``model``, in place.

    Rows of classes with the same name are copied too; other rows keep their initialization. Fitted layers are copied whole or not at all: a
    class without its SVM would score one half everywhere, above the scores of the others.

    Args:
        model: The detector, as its config builds it.
        class_names: Its classes.
        tensors: The other detector's state dict.
        tensor_class_names: The other detector's classes; None for a slot without a name, which matches nothing.

    Raises:
        ValueError: If the shape of a tensor differs for another reason than its classes, or if no tensor matches; the model is unchanged.
    """
    own, tensors = model.state_dict(), _fit_colors(model, tensors)
    layouts = model.class_layout()
    pairs = [(new, tensor_class_names.index(name)) for new, name in enumerate(class_names) if name and name in tensor_class_names]
    common = [name for name in own if name in tensors]
    if not [name for name in common if not name.endswith(COUNTER)]:
        raise ValueError("weights: expected tensors of this model, got none with a known name; they are for another kind of model")
    for name in common:
        _check_shape(name, own[name], tensors[name], layouts.get(name), len(tensor_class_names))
    shared = {class_names[new] for new, _ in pairs}
    classes_reset = tuple(name for name in class_names if name not in shared and name)
    to_fit = _reset_fitted(model, common) if classes_reset else ()
    common = [name for name in common if name not in to_fit]
    for name in common:
        if name in layouts:
            _copy_rows(own[name], tensors[name], layouts[name], pairs)
        else:
            own[name].copy_(tensors[name])
    return TransferReport(
        copied=tuple(name for name in common if name not in layouts),
        copied_by_class=tuple(name for name in common if name in layouts),
        classes_copied=tuple(name for name in class_names if name in shared and name),
        classes_reset=classes_reset,
        classes_unused=tuple(name for name in tensor_class_names if name not in shared and name),
        reset=tuple(name for name in own if name not in tensors and not name.endswith(COUNTER)),
        unused=tuple(name for name in tensors if name not in own and not name.endswith(COUNTER)),
        to_fit=to_fit,
    )


def _fit_colors(model: Detector, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors for as many channels as the backbone of the model sees."""
    weights = {id(model.backbone.get_parameter(name)) for name in model.backbone.color_weights}
    return fit_colors(tensors, {name for name, parameter in model.named_parameters() if id(parameter) in weights})


def _reset_fitted(model: Detector, names: Sequence[str]) -> tuple[str, ...]:
    """Mark the fitted layers of a detector as not fitted, and return those of ``names`` that belong to such layers."""
    layers = {prefix: module for prefix, module in model.named_modules() if isinstance(module, FittedLayers)}
    for layer in layers.values():
        layer.mark_unfitted(svm=True, boxes=True)
    return tuple(name for name in names if name.startswith(tuple(f"{prefix}." for prefix in layers)))


def _check_shape(name: str, own: Tensor, other: Tensor, layout: ClassLayout | None, other_classes: int) -> None:
    """Check that a tensor of the other detector differs in its classes at most."""
    expected = tuple(own.shape)
    if layout is not None:
        expected = (layout.rows(other_classes), *expected[1:])
    if tuple(other.shape) != expected:
        for_classes = "" if layout is None else f" for {other_classes} classes"
        raise ValueError(
            f"weights: {name}: expected shape {expected}{for_classes}, got {tuple(other.shape)}; the models differ in more than their "
            "classes: use the model config that the weights were trained with, and change only the rest"
        )


def _copy_rows(own: Tensor, other: Tensor, layout: ClassLayout, pairs: Sequence[tuple[int, int]]) -> None:
    """Copy the rows of paired classes, and those that belong to no class."""
    own_rows, other_rows = (tensor.view(layout.groups, -1, *tensor.shape[1:]) for tensor in (own, other.contiguous()))
    width = layout.per_class
    for new, old in pairs:
        target, source = layout.before + new * width, layout.before + old * width
        own_rows[:, target : target + width] = other_rows[:, source : source + width]
    own_rows[:, : layout.before] = other_rows[:, : layout.before]
    if layout.after:
        own_rows[:, -layout.after :] = other_rows[:, -layout.after :]


def _format_names(names: Sequence[str], what: str = "", limit: int = 8) -> str:
    """Format a list of names: their number and the first few."""
    if not names:
        return "none"
    shown = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    return f"{len(names)} {what} ({shown})" if what else f"{len(names)} ({shown})"
