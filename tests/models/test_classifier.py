"""Image classifiers: logits, losses and detections, compared with the libraries' own networks."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models

from detkit.backbones import BackboneConfig
from detkit.backbones.info import IMAGENET_MEAN, IMAGENET_STD
from detkit.models.classifier import Classifier, ClassifierConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets


def small(name: str = "shufflenet_v2_x0_5", side: int = 64, classes: int = 7, **numbers: Any) -> Classifier:
    torch.manual_seed(0)
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    config = ClassifierConfig(backbone=BackboneConfig(name=name, weights=None), preprocess=preprocess, **numbers)
    return config.build(classes)


def random_images(count: int = 2, side: int = 64) -> list[Tensor]:
    return list(torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)))


def labels(*numbers: int | None) -> list[Targets]:
    whole = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    return [Targets.empty() if n is None else Targets.of(whole, torch.tensor([n])) for n in numbers]


def normalized(images: list[Tensor]) -> Tensor:
    return (torch.stack(images) - torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)) / torch.tensor(IMAGENET_STD).reshape(3, 1, 1)


LARGE = ("googlenet", "vgg11", "swin_t")


@pytest.mark.oracle("torchvision", "logits of image classifiers", tolerance="1e-5")
@torch.no_grad()
@pytest.mark.parametrize(("name", "side"), [("shufflenet_v2_x0_5", 64), *(pytest.param(n, 224, marks=pytest.mark.slow) for n in LARGE)])
def test_logits_match_torchvision(name: str, side: int) -> None:
    classifier = small(name, side).eval()
    kwargs = {"init_weights": False} if name == "googlenet" else {}
    reference = models.get_model(name, num_classes=7, **kwargs).eval()
    reference.load_state_dict(classifier.network.network.state_dict())
    (logits,) = classifier.raw(classifier.prepare(random_images(side=side)))
    assert_close(logits, reference(normalized(random_images(side=side))))


@pytest.mark.oracle("timm", "scores of DeiT", tolerance="1e-5")
@pytest.mark.slow
@torch.no_grad()
def test_deit_tokens_are_averaged_as_in_timm() -> None:
    classifier = small("deit_tiny_distilled_patch16_224", 224).eval()
    reference = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=7).eval()
    reference.load_state_dict(classifier.network.network.state_dict())
    batch = classifier.prepare(random_images(1, 224))
    raw = classifier.raw(batch)
    assert len(raw) == classifier.network.num_heads == 2
    scores = reference(batch.images).softmax(1)[0]
    (detections,) = classifier.detect(raw, batch)
    assert_close(detections.scores, scores.topk(5).values)
    assert torch.equal(detections.labels, scores.topk(5).indices)


@torch.no_grad()
def test_detections_are_the_most_probable_classes() -> None:
    classifier = small(top_k=3).eval()
    detections = classifier([torch.rand(3, 64, 64)])
    assert isinstance(detections, list)
    assert detections[0].boxes.tolist() == [[0, 0, 64, 64]] * 3
    assert len(set(detections[0].labels.tolist())) == 3
    assert detections[0].scores.sum() < 1
    assert (detections[0].scores.diff() <= 0).all()
    classifier.hide_unnamed_classes(("a", None, "b", None, None, None, "c"))
    (rows,) = classifier([torch.rand(3, 64, 64)])
    assert isinstance(rows, type(detections[0]))
    classifier.hide_unnamed_classes(("a", None, None, None, None, None, "c"))  # fewer than ``top_k``
    assert set(classifier([torch.rand(3, 64, 64)])[0].labels.tolist()) == {0, 6}
    assert set(rows.labels.tolist()) == {0, 2, 6}


def test_loss_with_label_smoothing_matches_torch() -> None:
    classifier = small(label_smoothing=0.1)
    batch = classifier.prepare(random_images())
    raw = classifier.raw(batch)
    losses = classifier.loss(raw, batch, labels(3, 5))
    assert_close(losses["class"], functional.cross_entropy(raw[0], torch.tensor([3, 5]), label_smoothing=0.1))


def test_images_without_a_label_are_ignored() -> None:
    classifier = small().eval()
    batch = classifier.prepare(random_images())
    raw = classifier.raw(batch)
    assert_close(classifier.loss(raw, batch, labels(3, None))["class"], functional.cross_entropy(raw[0][:1], torch.tensor([3])))
    none = classifier.loss(raw, batch, labels(None, None))["class"]
    none.backward()
    assert none == 0
    assert classifier.network.get_parameter("network.fc.weight").grad is not None


def test_mixup_blends_images_and_targets_alike() -> None:
    classifier, images = small(mixup=0.5), random_images(3)
    plain, blended = classifier.prepare(images), classifier.prepare(images, [11, 12, 13])
    targets = classifier.target_probabilities(labels(0, 1, 2), blended.seeds)
    ratio = float(targets[0, 0])
    assert 0 < ratio < 1
    assert_close(targets[2], torch.tensor([1 - ratio, 0, ratio, 0, 0, 0, 0]))
    assert_close(blended.images[0], ratio * plain.images[0] + (1 - ratio) * plain.images[2])
    assert_close(blended.images[1], plain.images[1])
    assert torch.equal(classifier.prepare(images, [11, 12, 13]).images, blended.images)
    assert not torch.equal(classifier.prepare(images, [14, 12, 13]).images, blended.images)


def test_auxiliary_losses_are_weighted_and_only_in_training() -> None:
    classifier = small("googlenet", auxiliary_weight=0.3)
    batch = classifier.prepare(random_images())
    raw = classifier.train().raw(batch)
    losses = classifier.loss(raw, batch, labels(1, 2))
    assert sorted(losses) == ["auxiliary_1", "auxiliary_2", "class"]
    # torchvision returns the auxiliary classifier nearer to the end first.
    assert_close(losses["auxiliary_1"], 0.3 * functional.cross_entropy(raw[1], torch.tensor([1, 2])))
    sum(losses.values(), torch.zeros(())).backward()
    assert all(classifier.network.get_parameter(f"network.{name}.fc2.weight").grad is not None for name in ("aux1", "aux2"))
    with torch.no_grad():
        assert len(classifier.eval().raw(batch)) == 1


def test_weight_0_removes_auxiliary_classifiers() -> None:
    with torch.device("meta"):
        classifier = small("googlenet", auxiliary_weight=0.0)
    assert not any("aux" in name for name in classifier.state_dict())
    assert classifier.network.num_auxiliary == 0


def test_images_too_small_for_an_auxiliary_classifier_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"^model.auxiliary_weight: .* of inception_v3 takes images of 299 pixels or more, got 224; set"):
        small("inception_v3", 224)


def test_several_objects_per_image_are_rejected() -> None:
    classifier = small()
    two = Targets.of(torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 2), torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="targets of image 1: a classifier expects one object per image, got 2"):
        classifier(random_images(), [*labels(1), two])


def test_feature_map_settings_are_rejected() -> None:
    config = ClassifierConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)))
    with pytest.raises(ValueError, match="a classifier uses its network as published; expected levels=none and dilated_c5=false"):
        config.build(3)


def test_classes_are_transferred_by_name() -> None:
    from detkit.models.loading.transfer import transfer

    old, new = small(classes=3), small(classes=2)
    report = transfer(new, ("dog", "bird"), old.state_dict(), ("cat", "dog", "cow"))
    assert report.classes_copied == ("dog",)
    assert torch.equal(new.network.get_parameter("network.fc.weight")[0], old.network.get_parameter("network.fc.weight")[1])
