"""Fine-tuning on other classes: start a detector from another's tensors, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkit.heads.region_fitted import FittedLayers
from detkit.models.detector import ClassLayout, Detector

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class TransferReport:
    """What came of :func:`transfer`.

    Attributes:
        copied: Names of tensors that were copied whole.
        by_class: Names of tensors whose rows were copied class by class.
        classes_copied: Classes that both sides have.
        classes_reset: Classes of the model whose rows keep their fresh start.
        classes_left_over: Classes that only the other side has.
        anew: Names of tensors that the other side does not have.
        left_over: Names of tensors that only the other side has.
        to_fit: Names of tensors of fitted layers, which are passed over until they are fitted to the new classes, too.
    """

    copied: tuple[str, ...]
    by_class: tuple[str, ...]
    classes_copied: tuple[str, ...]
    classes_reset: tuple[str, ...]
    classes_left_over: tuple[str, ...]
    anew: tuple[str, ...]
    left_over: tuple[str, ...]
    to_fit: tuple[str, ...] = ()

    def summary(self) -> list[str]:
        """The report in a few lines for a person."""
        lines = [
            f"copied: {len(self.copied) + len(self.by_class)} tensors; classes: {_listed(self.classes_copied)}",
            f"started anew: {_listed(self.anew, 'tensors')}; classes: {_listed(self.classes_reset)}",
            f"left over: {_listed(self.left_over, 'tensors')}; classes: {_listed(self.classes_left_over)}",
        ]
        if self.to_fit:
            lines.append(f"to be fitted with the new classes: {_listed(self.to_fit, 'tensors')}")
        return lines


@torch.no_grad()
def transfer(
    model: Detector,
    class_names: Sequence[str | None],
    tensors: Mapping[str, Tensor],
    tensor_class_names: Sequence[str | None],
) -> TransferReport:
    """Copy another detector's tensors into ``model``, in place; rows of classes with the same name too, others keep their start.

    Layers that are fitted come whole or not at all: a class without its SVM would score one half everywhere, above what others score.

    Args:
        model: The detector, as its config builds it.
        class_names: Its classes.
        tensors: The other detector's state dict.
        tensor_class_names: The other detector's classes; None for a slot without a name, which matches nothing.

    Raises:
        ValueError: a tensor has another shape for another reason than its classes, or nothing fits; the model is left as it was.
    """
    own = model.state_dict()
    layouts = model.class_layout()
    pairs = [(new, tensor_class_names.index(name)) for new, name in enumerate(class_names) if name and name in tensor_class_names]
    common = [name for name in own if name in tensors]
    if not [name for name in common if not name.endswith(_COUNTER)]:
        raise ValueError("weights: no tensor has a name that the model knows; they are for another kind of model")
    for name in common:
        _check_shape(name, own[name], tensors[name], layouts.get(name), (len(class_names), len(tensor_class_names)))
    shared = {class_names[new] for new, _ in pairs}
    classes_reset = tuple(name for name in class_names if name not in shared and name)
    to_fit = _to_fit(model, common) if classes_reset else ()
    common = [name for name in common if name not in to_fit]
    for name in common:
        if name in layouts:
            _copy_rows(own[name], tensors[name], layouts[name], pairs)
        else:
            own[name].copy_(tensors[name])
    return TransferReport(
        copied=tuple(name for name in common if name not in layouts),
        by_class=tuple(name for name in common if name in layouts),
        classes_copied=tuple(name for name in class_names if name in shared and name),
        classes_reset=classes_reset,
        classes_left_over=tuple(name for name in tensor_class_names if name not in shared and name),
        anew=tuple(name for name in own if name not in tensors and not name.endswith(_COUNTER)),
        left_over=tuple(name for name in tensors if name not in own and not name.endswith(_COUNTER)),
        to_fit=to_fit,
    )


def _to_fit(model: Detector, names: Sequence[str]) -> tuple[str, ...]:
    """Which of some names are of layers that are fitted; none of these layers counts as fitted any more."""
    layers = {prefix: module for prefix, module in model.named_modules() if isinstance(module, FittedLayers)}
    for layer in layers.values():
        layer.forget(svm=True, boxes=True)
    return tuple(name for name in names if name.startswith(tuple(f"{prefix}." for prefix in layers)))


def _check_shape(name: str, own: Tensor, other: Tensor, layout: ClassLayout | None, classes: tuple[int, int]) -> None:
    expected = tuple(own.shape)
    if layout is not None:
        expected = (layout.rows(classes[1]), *expected[1:])
    if tuple(other.shape) != expected:
        for_classes = "" if layout is None else f" for {classes[1]} classes"
        raise ValueError(
            f"weights: {name}: expected shape {expected}{for_classes}, got {tuple(other.shape)}; the models differ in more than their "
            "classes: use the config that the weights were made with, and change only what comes after"
        )


def _copy_rows(own: Tensor, other: Tensor, layout: ClassLayout, pairs: Sequence[tuple[int, int]]) -> None:
    """Copy the rows of paired classes, and those that belong to no class."""
    mine, theirs = (tensor.view(layout.groups, -1, *tensor.shape[1:]) for tensor in (own, other.contiguous()))
    width = layout.per_class
    for new, old in pairs:
        to, source = layout.before + new * width, layout.before + old * width
        mine[:, to : to + width] = theirs[:, source : source + width]
    mine[:, : layout.before] = theirs[:, : layout.before]
    if layout.after:
        mine[:, -layout.after :] = theirs[:, -layout.after :]


def _listed(names: Sequence[str], what: str = "", most: int = 8) -> str:
    """A list for a person: how many, and the first few."""
    if not names:
        return "none"
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} {what} ({shown})" if what else f"{len(names)} ({shown})"
