"""A detector with its teacher, as the trainer calls them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from detkit.heads.queries.query_head import QueryHead
from detkit.models.detector import Detector, Losses, Raw
from detkit.models.one_stage import OneStage
from detkit.ops.anchors import grid_points, grid_strides
from detkit.ops.match import mostly_inside_regions
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Size, Targets
from detkit.training.distillation.alignment import align_queries
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.losses import HeadOutputs, dense_losses, feature_loss
from detkit.training.distillation.student import DistilledModel
from detkit.training.distillation.teacher import Teacher

_log = logging.getLogger(__name__)

_CHECK_SIDE = 128
"""Side in pixels of the image on which student and teacher are compared if neither has a fixed input size."""
_FEATURES_ONLY = "distillation.score_weight=0 distillation.box_weight=0 distillation.feature_weight=1"


class DistilledDetector(DistilledModel):
    """A detector with another detector as its teacher; see :class:`DistilledModel`.

    Args:
        student: The detector that is trained.
        teacher: The detector that is imitated.
        config: The distillation settings.
        class_names: The student's classes.
        preprocess: Preprocessing of the student's images.
        takes_unlabeled: Whether there are unlabeled images.

    Raises:
        ValueError: If the two cannot be compared, or have no class in common.
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
        self._label_pairs = _common_classes(class_names, teacher) if config.dense else []
        if takes_unlabeled and config.supervised_weight and not isinstance(student, OneStage):
            raise ValueError(
                f"data.unlabeled: the losses of a {type(student).__name__} cannot skip the unlabeled images of a batch; "
                "expected a one-stage detector, or distillation.supervised_weight=0"
            )
        self._check(teacher)
        count = len(self._label_pairs) or len(class_names)
        _log.info("teacher: %s; it knows %d of the student's %d classes", teacher.name, count, len(class_names))

    def _teacher_outputs(self, images: Sequence[Tensor], seeds: Sequence[int]) -> tuple[Batch, Raw]:
        """Return the teacher's batch and its raw outputs."""
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # folded weights are float32, and half precision gains little there
            teacher_batch = self.teacher.prepare(images, self._preprocess)
            return teacher_batch, self._teacher_raw(teacher_batch)

    def _teacher_raw(self, batch: Batch) -> Raw:
        """Return the teacher's raw outputs, or only its feature maps if nothing else is imitated."""
        detector = self.teacher.detector
        return detector.raw(batch) if self.config.dense else tuple(detector.neck(batch.images))

    def _own_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], is_labeled: Sequence[bool]) -> Losses:
        """See :meth:`DistilledModel._own_losses`."""
        rows = [row for row, labeled in enumerate(is_labeled) if labeled]
        if len(rows) == len(batch):
            return self.student.loss(raw, batch, targets)
        if rows:
            return self.student.loss(tuple(t[rows] for t in raw), _select_images(batch, rows), [targets[row] for row in rows])
        # Heads cannot average over zero images, and other processes wait for the normalizers of this one: use one image, multiplied by 0.
        losses = self.student.loss(tuple(t[:1] for t in raw), _select_images(batch, [0]), [Targets.empty(targets[0].device)])
        return {name: 0.0 * value for name, value in losses.items()}

    def _distillation_losses(self, raw: Raw, batch: Batch, targets: Sequence[Targets], teacher_outputs: tuple[Batch, Raw]) -> Losses:
        """See :meth:`DistilledModel._distillation_losses`; scores, boxes and features inside ignore regions are not imitated."""
        with torch.autocast(batch.images.device.type, enabled=False):
            return self._compare(raw, batch, targets, teacher_outputs)

    def _compare(self, raw: Raw, batch: Batch, image_targets: Sequence[Targets], teacher_outputs: tuple[Batch, Raw]) -> Losses:
        config, teacher, losses = self.config, self.teacher.detector, {}
        teacher_batch, teacher_raw = teacher_outputs
        if config.dense:
            own = self._head_outputs(self.student, raw, batch, 0)
            reference = self._head_outputs(teacher, teacher_raw, teacher_batch, 1)
            reference = align_queries(own, reference) if isinstance(own.head, QueryHead) else reference
            ignored = own.inside_regions(image_targets)
            classes, boxes = dense_losses(own, reference, beta=config.beta, min_score=config.min_score, ignored=ignored)
            losses = {"distill_class": config.score_weight * classes, "distill_box": config.box_weight * boxes}
        if config.feature_weight:
            maps, target_maps = _neck_maps(self.student, raw), _neck_maps(teacher, teacher_raw) if config.dense else teacher_raw
            adapted = [adapter(maps[level].float()) for adapter, (level, _) in zip(self.adapters, self._level_pairs, strict=True)]
            targets = [target_maps[level] for _, level in self._level_pairs]
            cells = _ignored_cells(adapted, batch, image_targets)
            losses["distill_features"] = config.feature_weight * feature_loss(adapted, targets, cells)
        return losses

    def _head_outputs(self, detector: Detector, raw: Raw, batch: Batch, side: int) -> HeadOutputs:
        """Return the head outputs of the student (side 0) or of the teacher (side 1)."""
        if not isinstance(detector, OneStage):
            raise TypeError(f"expected a one-stage detector, got {type(detector).__name__}")
        outputs, locations = detector.split_outputs(raw, batch)
        labels = torch.tensor([pair[side] for pair in self._label_pairs], device=batch.images.device)
        return HeadOutputs(detector.head, outputs, locations, labels)

    def _check(self, teacher: Teacher) -> None:
        """Compare the outputs of student and teacher on an empty image, and build the adapters of their feature maps."""
        if self.config.dense:
            for role, detector in (("student", self.student), ("teacher", teacher.detector)):
                if not isinstance(detector, OneStage):
                    raise ValueError(
                        f"distillation: the {role} is a {type(detector).__name__}; scores and boxes can be imitated only between one-stage "
                        f"detectors; to imitate feature maps only, use {_FEATURES_ONLY}"
                    )
        size = self.student.input_size or teacher.detector.input_size or self._preprocess.input_size or (_CHECK_SIDE, _CHECK_SIDE)
        image, training = torch.zeros(3, *size, device=self.student.mean.device), self.student.training
        with torch.no_grad():
            batch, teacher_batch = self.student.eval().prepare([image]), teacher.prepare([image], self._preprocess)
            raw, teacher_raw = self.student.raw(batch), self._teacher_raw(teacher_batch)
        self.student.train(training)
        if self.config.dense:
            own = self._head_outputs(self.student, raw, batch, 0)
            self._check_locations(own, self._head_outputs(teacher.detector, teacher_raw, teacher_batch, 1), size)
        self._level_pairs: list[tuple[int, int]] = []
        if self.config.feature_weight:
            teacher_maps = _neck_maps(teacher.detector, teacher_raw) if self.config.dense else teacher_raw
            self._build_adapters(_neck_maps(self.student, raw), teacher_maps, size)

    def _check_locations(self, student: HeadOutputs, teacher: HeadOutputs, size: Size) -> None:
        own, reference = student.locations, teacher.locations
        if isinstance(student.head, QueryHead) and isinstance(teacher.head, QueryHead):
            return
        same = [level.shape for level in own] == [level.shape for level in reference]
        if not same or not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(own, reference, strict=True)):
            counts = [f"{sum(map(len, levels))} locations on {len(levels)} levels" for levels in (own, reference)]
            raise ValueError(
                f"distillation: on an image of {size[0]} x {size[1]} the student ({type(student.head).__name__}) predicts at {counts[0]}, "
                f"the teacher ({type(teacher.head).__name__}) at {counts[1]}{', but at different positions' if same else ''}; scores and "
                f"boxes can be imitated only at equal locations: give both the same head, strides and anchors, or use {_FEATURES_ONLY}"
            )

    def _build_adapters(self, own: Sequence[Tensor], reference: Sequence[Tensor], size: Size) -> None:
        """Build a 1x1 convolution for every pair of feature maps of equal size."""
        sizes = {tuple(level_map.shape[-2:]): level for level, level_map in enumerate(reference)}
        self._level_pairs = [(level, sizes[tuple(m.shape[-2:])]) for level, m in enumerate(own) if tuple(m.shape[-2:]) in sizes]
        if not self._level_pairs:
            listed = [", ".join("x".join(map(str, m.shape[-2:])) for m in maps) for maps in (own, reference)]
            raise ValueError(
                f"distillation.feature_weight: on an image of {size[0]} x {size[1]} the student's feature maps are {listed[0]}, the "
                f"teacher's {listed[1]}; expected at least one common size: give both levels of the same strides"
            )
        pairs = [(own[level].shape[1], reference[other].shape[1]) for level, other in self._level_pairs]
        self.adapters = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels, out_channels in pairs).to(own[0].device)


def _neck_maps(detector: Detector, raw: Raw) -> Raw:
    """Return the feature maps of the neck, which are among the raw outputs."""
    if isinstance(detector, OneStage):
        return detector.maps(raw)
    return raw[next((index for index, tensor in enumerate(raw) if tensor.ndim == 4), len(raw)) :]


@torch.no_grad()
def _ignored_cells(maps: Sequence[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor] | None:
    """Return which cells of each map have their center in an ignore region, ``(B, H * W)`` bool; None if there are no regions."""
    if not any(bool(rows.is_crowd.any()) for rows in targets):
        return None
    grids: list[Size] = [(level.shape[-2], level.shape[-1]) for level in maps]
    strides = grid_strides(batch.padded_size, grids)
    centers = [grid_points(grid, stride, 0.5, batch.images.device) for grid, stride in zip(grids, strides, strict=True)]
    return [torch.stack([mostly_inside_regions(points, rows) for rows in targets]) for points in centers]


def _select_images(batch: Batch, rows: Sequence[int]) -> Batch:
    """Return a batch with only some of the images."""
    seeds = tuple(batch.seeds[row] for row in rows) if batch.seeds else ()
    return replace(batch, images=batch.images[list(rows)], sizes=tuple(batch.sizes[row] for row in rows), seeds=seeds)


def _common_classes(class_names: Sequence[str | None], teacher: Teacher) -> list[tuple[int, int]]:
    """Return the student's and the teacher's label of each class that both have.

    Raises:
        ValueError: If there is none.
    """
    teacher_labels = {name: label for label, name in enumerate(teacher.class_names) if name}
    pairs = [(label, teacher_labels[name]) for label, name in enumerate(class_names) if name in teacher_labels]
    if not pairs:
        own = ", ".join(str(name) for name in class_names[:8])
        raise ValueError(
            f"distillation: no class in common: the student has {own}; the teacher {teacher.name} has "
            f"{', '.join(list(teacher_labels)[:8])}; rename the data's classes with data.rename=NAME=OTHER, or use {_FEATURES_ONLY}"
        )
    return pairs
