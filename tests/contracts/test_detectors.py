"""Tests that every registered detector must pass; a new one is included by registering it."""

from __future__ import annotations

import copy
import traceback
from typing import Any

import pytest
import torch
from tiny_detectors import NAMES, arguments, fit_norms, random_images, tiny
from torch import Tensor
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from detkit.inference import ImagePyramid, Predictor
from detkit.inference.optimize import optimize
from detkit.models.detector import Detector, DetectorConfig
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Detections, Proposals, Targets


@pytest.fixture(scope="module", params=NAMES)
def config(request: pytest.FixtureRequest) -> DetectorConfig:
    return tiny(request.param)


@pytest.fixture(scope="module")
def built(config: DetectorConfig) -> Detector:
    """The detector with its initial weights; tests get copies, because drawing the weights takes longer than most of them."""
    torch.manual_seed(0)
    detector = config.build(3).eval()
    fit_norms(detector)
    return detector


@pytest.fixture
def detector(built: Detector) -> Detector:
    return copy.deepcopy(built)


def one_object() -> Targets:
    return Targets.of(torch.tensor([[10.0, 12.0, 60.0, 70.0]]), torch.tensor([1]))


def two_objects() -> Targets:
    return Targets.of(torch.tensor([[10.0, 12.0, 60.0, 70.0], [40.0, 5.0, 88.0, 50.0]]), torch.tensor([2, 0]))


def crowd_only() -> Targets:
    return Targets.of(torch.tensor([[0.0, 0.0, 90.0, 80.0]]), torch.tensor([1]), is_crowd=torch.tensor([True]))


def assert_well_formed(detections: list[Detections], images: list[Tensor], num_classes: int) -> None:
    assert len(detections) == len(images)
    for rows, image in zip(detections, images, strict=True):
        rows.checked(num_classes)
        assert (rows.scores[:-1] >= rows.scores[1:]).all()
        assert ((rows.scores >= 0) & (rows.scores <= 1)).all()
        assert (rows.boxes >= 0).all()
        assert (rows.boxes <= torch.tensor([image.shape[2], image.shape[1]] * 2)).all()


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param([two_objects(), one_object()], id="objects"),
        pytest.param([one_object(), Targets.empty()], id="one without", marks=pytest.mark.slow),
        pytest.param([Targets.empty(), Targets.empty()], id="none"),
        pytest.param([crowd_only(), Targets.empty()], id="crowd"),
    ],
)
def test_every_parameter_gets_a_gradient(detector: Detector, targets: list[Targets]) -> None:
    """Distributed training waits for the gradient of every parameter, also without training examples."""
    images = random_images(detector, (90, 120), (72, 97))
    losses = detector.train()(images, targets, **arguments(detector, images))
    assert all(loss.ndim == 0 and loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    missing = [name for name, parameter in detector.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not missing
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters() if p.grad is not None)


@pytest.mark.parametrize("training", [False, True])
def test_targets_and_not_the_mode_select_losses_or_detections(detector: Detector, training: bool) -> None:
    images = random_images(detector, (96, 96))
    detector.train(training)
    assert isinstance(detector(images, [one_object()], **arguments(detector, images)), dict)
    detector.eval()
    with torch.no_grad():
        assert_well_formed(detector(images, **arguments(detector, images)), images, 3)


@torch.no_grad()
def test_images_of_any_size_or_of_the_fixed_size(detector: Detector) -> None:
    if detector.input_size is not None:
        with pytest.raises(ValueError, match="takes images of"):
            detector([torch.rand(3, 90, 120)], **arguments(detector, [torch.rand(3, 90, 120)]))
    images = random_images(detector, (90, 120), (33, 130), (64, 64))
    assert_well_formed(detector(images, **arguments(detector, images)), images, 3)


@torch.no_grad()
def test_a_batch_equals_its_images_alone(detector: Detector) -> None:
    """All images are padded to 96 x 128; padding influences the result, so only images of one padded size can agree."""
    sizes = ((96, 128), (90, 120), (70, 128)) if detector.pad_multiple > 1 else ((96, 128),) * 3
    images = random_images(detector, *sizes)
    more = arguments(detector, images)
    batched_raw = detector.raw(detector.prepare(images), **more)
    detections = detector(images, **more)
    for index, image in enumerate(images):
        one = {name: rows[index : index + 1] for name, rows in more.items()}
        single_raw = detector.raw(detector.prepare([image]), **one)
        for batched, single in zip(batched_raw, single_raw, strict=True):
            if len(batched) == len(images) and len(single) == 1:
                assert_close(batched[index], single[0], atol=1e-4, rtol=1e-4)
        assert len(detector([image], **one)[0]) == len(detections[index])


def test_inputs_are_not_modified(detector: Detector) -> None:
    images, targets = random_images(detector, (90, 120), (64, 64)), [two_objects(), crowd_only()]
    copies = [image.clone() for image in images], [target.boxes.clone() for target in targets]
    detector(images, targets, **arguments(detector, images))
    with torch.no_grad():
        detector(images, **arguments(detector, images))
    assert all(torch.equal(*pair) for pair in zip(images, copies[0], strict=True))
    assert all(torch.equal(target.boxes, copy) for target, copy in zip(targets, copies[1], strict=True))


def test_seeds_determine_every_random_choice(detector: Detector) -> None:
    images, targets = random_images(detector, (90, 120), (64, 64)), [two_objects(), one_object()]
    torch.manual_seed(1)
    first = detector(images, targets, seeds=[5, 6], **arguments(detector, images))
    torch.manual_seed(2)
    second = detector(images, targets, seeds=[5, 6], **arguments(detector, images))
    assert {name: float(loss.detach()) for name, loss in first.items()} == {name: float(loss.detach()) for name, loss in second.items()}


@torch.no_grad()
def test_config_and_state_dict_round_trip(config: DetectorConfig, detector: Detector) -> None:
    text = config.to_json()
    read = type(config).from_json(text)
    assert read == config
    assert read.to_json() == text
    other = read.build(3).eval()
    other.load_state_dict(detector.state_dict())
    images = random_images(detector, (90, 120))
    for rows, expected in zip(detector(images, **arguments(detector, images)), other(images, **arguments(detector, images)), strict=True):
        assert torch.equal(rows.boxes, expected.boxes)
        assert torch.equal(rows.labels, expected.labels)


def test_class_layout_lists_every_class_dependent_tensor(config: DetectorConfig, detector: Detector) -> None:
    with torch.device("meta"):
        few, many = detector.state_dict(), config.build(7).state_dict()
    layouts = detector.class_layout()
    assert set(layouts) == {name for name in few if few[name].shape != many[name].shape}
    for name, layout in layouts.items():
        assert (layout.rows(3), layout.rows(7)) == (len(few[name]), len(many[name]))


def test_a_single_class(config: DetectorConfig) -> None:
    detector = config.build(1)
    images = random_images(detector, (96, 96))
    target = Targets.of(torch.tensor([[10.0, 12.0, 60.0, 70.0]]), torch.tensor([0]))
    assert all(torch.isfinite(loss) for loss in detector(images, [target], **arguments(detector, images)).values())
    with torch.no_grad():
        assert_well_formed(detector.eval()(images, **arguments(detector, images)), images, 1)


def test_half_precision_and_channels_last(detector: Detector) -> None:
    images, targets = random_images(detector, (96, 128), (90, 120)), [two_objects(), Targets.empty()]
    detector = detector.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        losses = detector.train()(images, targets, **arguments(detector, images))
        with torch.no_grad():
            detections = detector.eval()(images, **arguments(detector, images))
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    assert_well_formed(detections, images, 3)


class Float64Creators(TorchDispatchMode):
    """Collects the modules of detkit that create float64 tensors, which Apple's devices do not support."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if any(isinstance(value, Tensor) and value.dtype == torch.float64 for value in tree_leaves(result)):
            names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_stack(None))
            self.modules.add(next((name for name in names if name.startswith("detkit.")), "torch"))
        return result


def test_float64_is_used_only_where_it_is_moved_to_the_cpu(config: DetectorConfig, detector: Detector) -> None:
    images, targets = random_images(detector, (90, 120)), [two_objects()]
    with Float64Creators() as creators:
        sum(detector.train()(images, targets, **arguments(detector, images)).values()).backward()
        with torch.no_grad():
            optimize(detector.eval(), torch.float32)(images, **arguments(detector, images))
    assert creators.modules <= {"detkit.accelerate.fold", "detkit.ops.select"}, (
        "float64 in another module: move the computation to the CPU there, then list the module here"
    )


def test_unnamed_classes_are_not_reported(detector: Detector) -> None:
    images = random_images(detector, (96, 128))
    detector.hide_unnamed_classes(["first", None, None])
    with torch.no_grad():
        labels = detector(images, **arguments(detector, images))[0].labels
    assert not (labels > 0).any()


@torch.no_grad()
def test_explain_describes_each_stage(detector: Detector) -> None:
    (image,), targets = random_images(detector, (90, 120)), two_objects()
    batch = detector.prepare([image])
    raw = detector.raw(batch, **arguments(detector, [image]))
    stages = detector.explain(raw, batch, targets)
    for stage in stages:
        count = sum(len(level) for level in stage.locations)
        assert all(level.shape[1] in (2, 4) for level in stage.locations)
        assert stage.assignment.shape == stage.scores.shape == (count,)
        assert set(stage.assignment.tolist()) <= {IGNORE, BACKGROUND, 0, 1}
        assert ((stage.scores >= 0) & (stage.scores <= 1)).all()
        assert len(stage.after_nms) <= len(stage.before_nms)
    (detections,) = detector.detect(raw, batch)
    assert_close(stages[-1].after_nms.boxes, detections.boxes)
    assert_close(stages[-1].after_nms.scores, detections.scores)
    assert torch.equal(stages[-1].after_nms.labels, detections.labels)
    assert all((stage.assignment < 0).all() for stage in detector.explain(raw, batch, Targets.empty()))


def test_it_runs_in_an_image_pyramid_and_on_tiles(config: DetectorConfig, detector: Detector) -> None:
    preprocess = config.preprocess
    if preprocess.rule == "short_side":
        preprocess = preprocess.replace(short_side=64, long_side=128)
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0], [8.0, 10.0, 62.0, 72.0], [30.0, 0.0, 90.0, 60.0]])
    proposals_config = {"proposer": lambda image: Proposals(boxes, torch.ones(3))}
    predictor = Predictor(detector, preprocess, ("a", "b", "c"), "cpu", "fp32", reference=True, **proposals_config)
    image = torch.rand(3, 90, 120, generator=torch.Generator().manual_seed(1))
    detections = ImagePyramid(predictor, (0.5,), flip=True, merge="fusion", sizes=((8, 1000),))(image)
    assert_well_formed([detections], [image], 3)
    assert len(detections) <= 100
    alone, tiled = predictor(image), ImagePyramid(predictor, tiles=128)(image)
    assert torch.equal(tiled.boxes, alone.boxes)
    assert torch.equal(tiled.scores, alone.scores)
    assert torch.equal(tiled.labels, alone.labels)
    assert_well_formed([ImagePyramid(predictor, tiles=64, merge="linear")(image)], [image], 3)
