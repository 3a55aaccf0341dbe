"""Classifiers of whole images: what they say, what they learn from, and that their networks are the libraries' own."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torchvision import models

from detkit.backbones import BackboneConfig
from detkit.backbones.catalog.entry import IMAGENET_MEAN, IMAGENET_STD
from detkit.models.classifier import Classifier, ClassifierConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets


def small(name: str = "shufflenet_v2_x0_5", side: int = 64, classes: int = 7, **numbers: object) -> Classifier:
    torch.manual_seed(0)
    preprocess = PreprocessConfig(rule="fixed", input_size=(side, side))
    config = ClassifierConfig(backbone=BackboneConfig(name=name, weights=None), preprocess=preprocess, **numbers)  # type: ignore[arg-type]
    return config.build(classes)


def photos(count: int = 2, side: int = 64) -> list[Tensor]:
    return list(torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)))


def labels(*numbers: int | None) -> list[Targets]:
    whole = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    return [Targets.empty() if n is None else Targets.of(whole, torch.tensor([n])) for n in numbers]


def normalized(images: list[Tensor]) -> Tensor:
    return (torch.stack(images) - torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)) / torch.tensor(IMAGENET_STD).reshape(3, 1, 1)


LARGE = ("googlenet", "vgg11", "swin_t")


@torch.no_grad()
@pytest.mark.parametrize(("name", "side"), [("shufflenet_v2_x0_5", 64), *(pytest.param(n, 224, marks=pytest.mark.slow) for n in LARGE)])
def test_says_what_torchvisions_own_network_says(name: str, side: int) -> None:
    ours = small(name, side).eval()
    choices = {"init_weights": False} if name == "googlenet" else {}
    theirs = models.get_model(name, num_classes=7, **choices).eval()
    theirs.load_state_dict(ours.network.network.state_dict())
    (logits,) = ours.raw(ours.prepare(photos(side=side)))
    assert_close(logits, theirs(normalized(photos(side=side))))


@pytest.mark.slow
@torch.no_grad()
def test_both_tokens_of_deit_are_averaged_as_timm_does() -> None:
    ours = small("deit_tiny_distilled_patch16_224", 224).eval()
    theirs = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=7).eval()
    theirs.load_state_dict(ours.network.network.state_dict())
    batch = ours.prepare(photos(1, 224))
    raw = ours.raw(batch)
    assert len(raw) == ours.network.num_heads == 2
    scores = theirs(batch.images).softmax(1)[0]
    (found,) = ours.detect(raw, batch)
    assert_close(found.scores, scores.topk(5).values)
    assert torch.equal(found.labels, scores.topk(5).indices)


@torch.no_grad()
def test_its_detections_are_the_likeliest_classes_of_the_whole_image() -> None:
    made = small(top_k=3).eval()
    found = made([torch.rand(3, 64, 64)])
    assert isinstance(found, list)
    assert found[0].boxes.tolist() == [[0, 0, 64, 64]] * 3
    assert len(set(found[0].labels.tolist())) == 3
    assert found[0].scores.sum() < 1
    assert (found[0].scores.diff() <= 0).all()
    made.hide_unnamed_classes(("a", None, "b", None, None, None, "c"))
    (rows,) = made([torch.rand(3, 64, 64)])
    assert isinstance(rows, type(found[0]))
    made.hide_unnamed_classes(("a", None, None, None, None, None, "c"))  # fewer than ``top_k``
    assert set(made([torch.rand(3, 64, 64)])[0].labels.tolist()) == {0, 6}
    assert set(rows.labels.tolist()) == {0, 2, 6}


def test_smoothing_and_the_loss_are_torchs_own() -> None:
    made = small(label_smoothing=0.1)
    batch = made.prepare(photos())
    raw = made.raw(batch)
    losses = made.loss(raw, batch, labels(3, 5))
    assert_close(losses["class"], functional.cross_entropy(raw[0], torch.tensor([3, 5]), label_smoothing=0.1))


def test_a_image_without_a_label_counts_nowhere() -> None:
    made = small().eval()
    batch = made.prepare(photos())
    raw = made.raw(batch)
    assert_close(made.loss(raw, batch, labels(3, None))["class"], functional.cross_entropy(raw[0][:1], torch.tensor([3])))
    none = made.loss(raw, batch, labels(None, None))["class"]
    none.backward()
    assert none == 0
    assert made.network.get_parameter("network.fc.weight").grad is not None


def test_mixup_blends_images_and_what_is_wanted_alike() -> None:
    made, images = small(mixup=0.5), photos(3)
    plain, blended = made.prepare(images), made.prepare(images, [11, 12, 13])
    wanted = made.target_probabilities(labels(0, 1, 2), blended.seeds)
    share = float(wanted[0, 0])
    assert 0 < share < 1
    assert_close(wanted[2], torch.tensor([1 - share, 0, share, 0, 0, 0, 0]))
    assert_close(blended.images[0], share * plain.images[0] + (1 - share) * plain.images[2])
    assert_close(blended.images[1], plain.images[1])
    assert torch.equal(made.prepare(images, [11, 12, 13]).images, blended.images)
    assert not torch.equal(made.prepare(images, [14, 12, 13]).images, blended.images)


def test_auxiliary_classifiers_speak_and_are_weighed_in_training_alone() -> None:
    made = small("googlenet", auxiliary_weight=0.3)
    batch = made.prepare(photos())
    raw = made.train().raw(batch)
    losses = made.loss(raw, batch, labels(1, 2))
    assert sorted(losses) == ["auxiliary_1", "auxiliary_2", "class"]
    # torchvision gives the one nearer to the end first.
    assert_close(losses["auxiliary_1"], 0.3 * functional.cross_entropy(raw[1], torch.tensor([1, 2])))
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(made.network.get_parameter(f"network.{name}.fc2.weight").grad is not None for name in ("aux1", "aux2"))
    with torch.no_grad():
        assert len(made.eval().raw(batch)) == 1


def test_auxiliary_classifiers_are_left_out_where_they_weigh_nothing() -> None:
    with torch.device("meta"):
        made = small("googlenet", auxiliary_weight=0.0)
    assert not any("aux" in name for name in made.state_dict())
    assert made.network.auxiliary_weight == 0


def test_images_too_small_for_an_auxiliary_classifier() -> None:
    with pytest.raises(ValueError, match=r"^model.auxiliary_weight: .* of inception_v3 takes images of 299 pixels or more, got 224; set"):
        small("inception_v3", 224)


def test_several_objects_are_no_class_of_a_image() -> None:
    made = small()
    two = Targets.of(torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 2), torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="targets of image 1: a classifier expects one object per image, got 2"):
        made(photos(), [*labels(1), two])


def test_choices_that_are_about_maps() -> None:
    config = ClassifierConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c4",)))
    with pytest.raises(ValueError, match="a classifier uses its network as published; expected levels=none and dilated_c5=false"):
        config.build(3)


def test_classes_are_carried_over_by_name() -> None:
    from detkit.models.transfer import transfer

    old, new = small(classes=3), small(classes=2)
    report = transfer(new, ("dog", "bird"), old.state_dict(), ("cat", "dog", "cow"))
    assert report.classes_copied == ("dog",)
    assert torch.equal(new.network.get_parameter("network.fc.weight")[0], old.network.get_parameter("network.fc.weight")[1])
