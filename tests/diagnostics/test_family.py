from __future__ import annotations

from typing import Any

import pytest
import torch

from detkit.diagnostics.explanation import Explanation, explain
from detkit.diagnostics.family import FamilyMember, sorted_by_invention, strip_column
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models import MODELS
from detkit.models.history import INVENTIONS, invention
from detkit.ops.boxes import clip_boxes
from detkit.preprocess import PreprocessConfig

PHOTO = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def small(kind: str) -> Predictor:
    torch.manual_seed(0)
    config: Any = MODELS.get(kind)()
    config = config.replace(backbone=config.backbone.replace(name="resnet18", weights=None))
    if kind != "detr":
        config = config.replace(neck=config.neck.replace(out_channels=64))
    if kind == "faster_rcnn":
        region = config.region.replace(head=TwoFCConfig(hidden=32), pool_size=3, min_score=0.3)
        config = config.replace(rpn=config.rpn.replace(max_proposals=50), region=region)
    if kind == "detr":
        sizes = {"channels": 32, "hidden": 32, "encoder_layers": 1, "decoder_layers": 2, "num_queries": 9}
        config = config.replace(head=config.head.replace(**sizes))
    if kind in {"retinanet", "fcos"}:
        config = config.replace(head=config.head.replace(postprocess=config.head.postprocess.replace(min_score=0.001)))
    return Predictor(config.build(2), PreprocessConfig(short_side=96, long_side=160), ("cat", "dog"), "cpu", "fp32", reference=True)


def member(kind: str, explanation: Explanation, min_score: float = 0.0) -> FamilyMember:
    return FamilyMember("mine", kind, ("cat", "dog"), explanation, min_score)


@pytest.mark.parametrize("kind", ["retinanet", "fcos", "detr"])
def test_each_candidate_is_predicted_at_its_location(kind: str) -> None:
    predictor = small(kind)
    (stage,) = explain(predictor, PHOTO).stages
    prepared = predictor.prepare(PHOTO)
    with predictor.running() as model:
        batch = model.prepare([prepared.image])
        outputs, locations = model.split_outputs(model.raw(batch), batch)  # type: ignore[operator]
        for rows, detections in ((stage.before_rows, stage.before_nms), (stage.after_rows, stage.after_nms)):
            assert len(detections)
            boxes = model.head.boxes_at(outputs, locations, 0, rows, detections.labels)  # type: ignore[operator,union-attr]
            torch.testing.assert_close(clip_boxes(boxes, batch.sizes[0]), detections.boxes)
            scores = model.head.scores(outputs)[0]  # type: ignore[operator,union-attr]
            torch.testing.assert_close(scores[rows, detections.labels], detections.scores)


def test_proposals_and_their_anchors_answer_for_the_detections_of_two_stages() -> None:
    predictor = small("faster_rcnn")
    explanation = explain(predictor, PHOTO)
    first, second = explanation.stages
    prepared = predictor.prepare(PHOTO)
    with predictor.running() as model:
        batch = model.prepare([prepared.image])
        raw = model.raw(batch)
        torch.testing.assert_close(raw[0][0][first.after_rows].sigmoid(), first.after_nms.scores)
        torch.testing.assert_close(raw[0][0][first.before_rows].sigmoid(), first.before_nms.scores)
        (proposals,) = model.propose(raw, batch, training=False)  # type: ignore[operator]
        scores, _ = model.region._predict(raw[2:], [proposals], None)  # type: ignore[operator,union-attr]
        torch.testing.assert_close(scores[second.after_rows, second.after_nms.labels], second.after_nms.scores)
    one = member("faster_rcnn", explanation)
    torch.testing.assert_close(one.locations, first.after_nms.boxes)
    assert one.origins is not None
    torch.testing.assert_close(one.origins, torch.cat(first.locations)[first.after_rows])
    column = strip_column(one)
    assert {tuple(mark.shape for mark in answer.marks) for answer in column.answers} == {("dashed", "box")}
    torch.testing.assert_close(
        torch.tensor([answer.box for answer in column.answers]), one.explanation.placement.restore(second.after_nms).boxes
    )


def test_the_strip_draws_what_a_detector_predicts_with() -> None:
    points = strip_column(member("fcos", explain(small("fcos"), PHOTO)))
    assert {tuple(mark.shape for mark in answer.marks) for answer in points.answers} == {("thin", "path", "box")}
    queries = strip_column(member("detr", explain(small("detr"), PHOTO)))
    assert {tuple(mark.shape for mark in answer.marks) for answer in queries.answers} == {("thin", "box", "path")}
    assert (queries.title, queries.caption) == ("DETR (2020): 9 detections", "9 of 9 queries")
    nothing = strip_column(member("fcos", explain(small("fcos"), PHOTO), min_score=1.0))
    assert (nothing.answers, nothing.title) == ([], "FCOS (2019): 0 detections")


def test_members_are_in_the_order_of_invention() -> None:
    assert set(INVENTIONS) == set(MODELS.names()) - {"classifier", "clip", "fcn", "unet"}
    explanation: Any = None
    kinds = ["somebody_elses", "dfine", "rcnn", "yolox", "detr", "faster_rcnn"]
    ordered = [row.kind for row in sorted_by_invention([member(kind, explanation) for kind in kinds])]
    assert ordered == ["rcnn", "faster_rcnn", "detr", "yolox", "dfine", "somebody_elses"]
    assert member("somebody_elses", explanation).title == invention("somebody_elses").title == "somebody_elses"
