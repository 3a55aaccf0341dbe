"""Error messages about distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.config import ConfigError
from detkit.data import DataConfig, SourceConfig
from detkit.data.unlabeled import load_unlabeled
from detkit.experiment import Experiment, train
from detkit.heads.fcos import FCOSHeadConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.distillation.config import DistillationConfig
from detkit.training.distillation.detector import DistilledDetector
from detkit.training.distillation.teacher import Teacher

SIZE = PreprocessConfig(rule="letterbox", input_size=(64, 64))
BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))


def fcos(**options: Any) -> FCOSConfig:
    values = {"backbone": BACKBONE, "neck": FPNConfig(out_channels=32), "head": FCOSHeadConfig(depth=1, norm=None), **options}
    return FCOSConfig(preprocess=SIZE, **values)


def distilled(student: Any, teacher: Any, names: tuple[str, ...] = ("cat",), unlabeled: bool = True, **numbers: Any) -> DistilledDetector:
    wrapped = Teacher(teacher.build(1).eval(), SIZE, ("cat",), "teacher.safetensors")
    config = DistillationConfig(teacher="teacher.safetensors", **numbers)
    return DistilledDetector(student.build(len(names)), wrapped, config, names, SIZE, takes_unlabeled=unlabeled)


def two_stages() -> FasterRCNNConfig:
    return FasterRCNNConfig(preprocess=SIZE, backbone=BACKBONE.replace(levels=None), neck=FPNConfig(out_channels=8))


def test_a_teacher_that_is_not_found() -> None:
    config = DistillationConfig(teacher="fcos_resnet50_fpm", fetch_command="python fetch_teacher.py")
    with pytest.raises(
        FileNotFoundError, match=r"distillation.teacher: .*fcos_resnet50_fpm.*fcos_resnet50_fpn.*get it with: python fetch_t"
    ):
        Teacher.load(config, torch.device("cpu"))
    with pytest.raises(FileNotFoundError, match=r"distillation.teacher: .*nowhere.pth"):
        Teacher.load(DistillationConfig(teacher="fcos_resnet50_fpn", teacher_file="nowhere.pth"), torch.device("cpu"))
    with pytest.raises(ValueError, match=r"distillation.teacher: no teacher is named; give a checkpoint, a run folder or a name"):
        Teacher.load(DistillationConfig(), torch.device("cpu"))


def test_a_teacher_without_any_loss() -> None:
    with pytest.raises(
        ConfigError, match="score_weight, box_weight and feature_weight are all 0, so nothing is learned from the teacher; set one"
    ):
        DistillationConfig(teacher="x", score_weight=0.0, box_weight=0.0)


def test_different_locations() -> None:
    with pytest.raises(
        ValueError, match=r"on an image of 64 x 64 the student \(FCOSHead\) predicts at 84 locations on 3 levels, the teacher .* at 85 loc"
    ):
        distilled(fcos(neck=FPNConfig(out_channels=32, extra_levels=None)), fcos())
    with pytest.raises(ValueError, match=r"on 4 levels, but at different positions; .* give both the same head, strides and anchors"):
        distilled(fcos(), fcos(head=FCOSHeadConfig(depth=1, norm=None, offset=0.5)))


def test_no_class_in_common() -> None:
    with pytest.raises(
        ValueError, match=r"no class in common: the student has dog, cup; the teacher teacher.safetensors has cat; rename the"
    ):
        distilled(fcos(), fcos(), ("dog", "cup"))


def test_scores_of_a_two_stage_detector() -> None:
    with pytest.raises(
        ValueError,
        match=r"the teacher is a FasterRCNN; scores and boxes .* only, use distillation.score_weight=0 distillation.box_weight=0",
    ):
        distilled(fcos(), two_stages())
    with pytest.raises(ValueError, match="the student is a FasterRCNN"):
        distilled(two_stages(), fcos(), unlabeled=False)


def test_unlabeled_images_for_a_two_stage_detector() -> None:
    with pytest.raises(ValueError, match=r"data.unlabeled: the losses of a FasterRCNN cannot skip .* or distillation.supervised_weight=0"):
        distilled(two_stages(), fcos(), score_weight=0.0, box_weight=0.0, feature_weight=1.0)


def test_feature_maps_without_a_common_size() -> None:
    coarse = fcos(backbone=BACKBONE.replace(levels=("c5",)), neck=FPNConfig(out_channels=32, extra_levels=None))
    finer = fcos(backbone=BACKBONE.replace(levels=("c3", "c4")), neck=FPNConfig(out_channels=32, extra_levels=None))
    with pytest.raises(
        ValueError,
        match=r"distillation.feature_weight: on an image of 64 x 64 the student's feature maps are 8x8, 4x4, the teacher's 2x2; ",
    ):
        distilled(finer, coarse, score_weight=0.0, box_weight=0.0, feature_weight=1.0)


def test_unlabeled_images_without_a_teacher(tmp_path: Path) -> None:
    config = Experiment(
        data=DataConfig(train=SourceConfig(path="here"), unlabeled=(SourceConfig(path="there"),)), output=str(tmp_path / "run")
    )
    with pytest.raises(ValueError, match=r"data.unlabeled: unlabeled images can only be used with a teacher; set distillation.teacher"):
        train(config, device="cpu", progress=False)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"unlabeled images .*: expected a folder with images in it or below it \(.jpg, .*\), got none$"):
        load_unlabeled([SourceConfig(path=str(tmp_path))])
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="got none that can be read"):
        load_unlabeled([SourceConfig(path=str(tmp_path))])
    with pytest.raises(FileNotFoundError, match="data nowhere: no such file or folder; get it with: python fetch.py"):
        load_unlabeled([SourceConfig(path="nowhere", fetch_command="python fetch.py")])


def test_everything_missing_is_named_in_one_line(tmp_path: Path) -> None:
    data = DataConfig(train=SourceConfig(path=str(tmp_path / "nowhere")))
    teacher = DistillationConfig(teacher="fcos_resnet50_fpn", teacher_file=str(tmp_path / "teacher.pth"))
    with pytest.raises(FileNotFoundError) as caught:
        train(Experiment(model=fcos(), data=data, distillation=teacher, output=str(tmp_path / "run")), device="cpu", progress=False)
    assert "nowhere: no such file or folder" in str(caught.value)
    assert "teacher.pth" in str(caught.value)
    assert "\n" not in str(caught.value)
