"""A student with its teacher beside it, as the trainer calls them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from detkit.models.detector import Detector, Losses, Raw
from detkit.models.one_stage import OneStage
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Size, Targets
from detkit.training.distillation import DistillationConfig, Teacher
from detkit.training.imitation import HeadOutputs, dense_losses, feature_loss
from detkit.training.with_teacher import WithTeacher

log = logging.getLogger("detkit.training")

_SIDE = 128
"""Pixels of the image on which student and teacher are compared, where neither has a size of its own."""
_MAPS_ONLY = "distillation.score_weight=0 distillation.box_weight=0 distillation.feature_weight=1"


class Distilled(WithTeacher):
    """A detector with its teacher, another detector; see :class:`WithTeacher`.

    Args:
        student: Learns.
        teacher: Is imitated.
        config: In what, and how much.
        class_names: The student's classes.
        preprocess: What the student's images look like.
        takes_unlabeled: Whether there will be images that nobody labeled.

    Raises:
        ValueError: the two cannot be compared, or have no class in common.
    """

    def __init__(
        self,
        student: Detector,
        teacher: Teacher,
        config: DistillationConfig,
        class_names: Sequence[str | None],
        preprocess: PreprocessConfig,
        *,
        takes_unlabeled: bool = False,
    ) -> None:
        super().__init__(student, teacher, config, preprocess)
        self._labels = _common_classes(class_names, teacher) if config.dense else []
        if takes_unlabeled and config.supervised_weight and not isinstance(student, OneStage):
            raise ValueError(
                f"data.unlabeled: the losses of a {type(student).__name__} cannot leave out the images without labels among others; "
                "expected a detector of one stage, or distillation.supervised_weight=0"
            )
        self._check(teacher)
        log.info("teacher: %s; classes in common: %d of %d", teacher.name, len(self._labels) or len(class_names), len(class_names))

    def _listen(self, images: Sequence[Tensor], seeds: Sequence[int]) -> tuple[Batch, Raw]:
        """The images as the teacher sees them, and what it says."""
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # folded weights are float32, and half precision gains little there
            heard = self.teacher.prepared(images, self._preprocess)
            return heard, self._said_of(heard)

    def _said_of(self, batch: Batch) -> Raw:
        """What the teacher says; its maps alone where nothing else is imitated."""
        detector = self.teacher.detector
        return detector.raw(batch) if self.config.dense else tuple(detector.neck(batch.images))

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """See :meth:`WithTeacher._own_losses`."""
        rows = [place for place, labeled in enumerate(is_labeled) if labeled]
        if len(rows) == len(batch):
            return self.student.loss(raw, batch, targets)
        if rows:
            return self.student.loss(tuple(t[rows] for t in raw), _part(batch, rows), [targets[row] for row in rows])
        # Heads cannot average over no image, and other processes wait for this one's normalizers: one image, which counts nothing.
        losses = self.student.loss(tuple(t[:1] for t in raw), _part(batch, [0]), [Targets.empty(targets[0].device)])
        return {name: 0.0 * value for name, value in losses.items()}

    def _imitated(self, raw: Raw, batch: Batch, told: tuple[Batch, Raw]) -> Losses:
        """See :meth:`WithTeacher._imitated`."""
        with torch.autocast(batch.images.device.type, enabled=False):
            return self._compared(raw, batch, *told)

    def _compared(self, raw: Raw, batch: Batch, heard: Batch, told: Raw) -> Losses:
        config, teacher, losses = self.config, self.teacher.detector, {}
        if config.dense:
            mine, theirs = self._said(self.student, raw, batch, 0), self._said(teacher, told, heard, 1)
            classes, boxes = dense_losses(mine, theirs, beta=config.beta, min_score=config.min_score)
            losses = {"distill_class": config.score_weight * classes, "distill_box": config.box_weight * boxes}
        if config.feature_weight:
            own, wanted = _maps(self.student, raw), _maps(teacher, told) if config.dense else told
            adapted = [adapter(own[place].float()) for adapter, (place, _) in zip(self.adapters, self._levels, strict=True)]
            losses["distill_features"] = config.feature_weight * feature_loss(adapted, [wanted[place] for _, place in self._levels])
        return losses

    def _said(self, detector: Detector, raw: Raw, batch: Batch, side: int) -> HeadOutputs:
        if not isinstance(detector, OneStage):
            raise TypeError(f"expected a detector of one stage, got {type(detector).__name__}")
        outputs, locations = detector.split_outputs(raw, batch)
        labels = torch.tensor([pair[side] for pair in self._labels], device=batch.images.device)
        return HeadOutputs(detector.head, outputs, locations, labels)

    def _check(self, teacher: Teacher) -> None:
        """Compare the two on an empty image, and make the adapters for their maps."""
        if self.config.dense:
            for who, detector in (("student", self.student), ("teacher", teacher.detector)):
                if not isinstance(detector, OneStage):
                    raise ValueError(
                        f"distillation: the {who} is a {type(detector).__name__}; scores and boxes can be imitated where both detect in "
                        f"one stage: use {_MAPS_ONLY}, which imitates maps"
                    )
        size = self.student.input_size or teacher.detector.input_size or self._preprocess.input_size or (_SIDE, _SIDE)
        image, training = torch.zeros(3, *size, device=self.student.mean.device), self.student.training
        with torch.no_grad():
            batch, heard = self.student.eval().prepare([image]), teacher.prepared([image], self._preprocess)
            raw, told = self.student.raw(batch), self._said_of(heard)
        self.student.train(training)
        if self.config.dense:
            self._check_places(self._said(self.student, raw, batch, 0), self._said(teacher.detector, told, heard, 1), size)
        self._levels: list[tuple[int, int]] = []
        if self.config.feature_weight:
            self._adapt(_maps(self.student, raw), _maps(teacher.detector, told) if self.config.dense else told, size)

    def _check_places(self, student: HeadOutputs, teacher: HeadOutputs, size: Size) -> None:
        mine, theirs = student.locations, teacher.locations
        same = [level.shape for level in mine] == [level.shape for level in theirs]
        if not same or not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(mine, theirs, strict=True)):
            mine_told, theirs_told = (f"{sum(map(len, levels))} on {len(levels)} levels" for levels in (mine, theirs))
            raise ValueError(
                f"distillation: on a image of {size[0]} x {size[1]} the student ({type(student.head).__name__}) predicts at {mine_told}, "
                f"the teacher ({type(teacher.head).__name__}) at {theirs_told}{', other places' if same else ''}; scores and boxes can be "
                f"imitated at the same places alone: give both the same head, strides and anchors, or use {_MAPS_ONLY}"
            )

    def _adapt(self, mine: Sequence[Tensor], theirs: Sequence[Tensor], size: Size) -> None:
        """A 1x1 convolution between every two maps of one size."""
        sizes = {tuple(level.shape[-2:]): place for place, level in enumerate(theirs)}
        self._levels = [(place, sizes[tuple(m.shape[-2:])]) for place, m in enumerate(mine) if tuple(m.shape[-2:]) in sizes]
        if not self._levels:
            told = [", ".join("x".join(map(str, m.shape[-2:])) for m in maps) for maps in (mine, theirs)]
            raise ValueError(
                f"distillation.feature_weight: on a image of {size[0]} x {size[1]} the student's maps are {told[0]}, the teacher's {told[1]}: "
                "none of one size; give both levels of the same strides"
            )
        pairs = [(mine[own].shape[1], theirs[other].shape[1]) for own, other in self._levels]
        self.adapters = nn.ModuleList(nn.Conv2d(channels, wanted, 1) for channels, wanted in pairs).to(mine[0].device)


def _maps(detector: Detector, raw: Raw) -> Raw:
    """The neck's maps at the end of what a detector says."""
    first = next((place for place, tensor in enumerate(raw) if tensor.ndim == 4), len(raw))
    return raw[detector.head.outputs if isinstance(detector, OneStage) else first :]


def _part(batch: Batch, rows: Sequence[int]) -> Batch:
    """Some images of a batch."""
    seeds = tuple(batch.seeds[row] for row in rows) if batch.seeds else ()
    return replace(batch, images=batch.images[list(rows)], sizes=tuple(batch.sizes[row] for row in rows), seeds=seeds)


def _common_classes(class_names: Sequence[str | None], teacher: Teacher) -> list[tuple[int, int]]:
    """The numbers that student and teacher give to each class that both know.

    Raises:
        ValueError: there is none.
    """
    theirs = {name: label for label, name in enumerate(teacher.class_names) if name}
    pairs = [(label, theirs[name]) for label, name in enumerate(class_names) if name in theirs]
    if not pairs:
        told = ", ".join(str(name) for name in class_names[:8])
        raise ValueError(
            f"distillation: no class in common: the student has {told}; the teacher {teacher.name} has {', '.join(list(theirs)[:8])}; "
            f"rename the data's classes with data.rename=NAME=OTHER, or use {_MAPS_ONLY}"
        )
    return pairs
