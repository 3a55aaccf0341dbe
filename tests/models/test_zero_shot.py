from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from detkit.backbones.efficientnet_lite import lite_names
from detkit.inference import load
from detkit.structures import Proposals
from detkit.weights import resolve
from detkit.weights.read import read_tensors


@pytest.fixture(scope="module")
def predictor():
    return load("zero_shot_rcnn", "cpu", "fp32", reference=True)


def test_region_logits_match_the_classifier_on_the_crop(predictor) -> None:
    import timm

    names = lite_names(read_tensors(resolve("efficientnet_lite0")), (1, 2, 2, 3, 3, 4, 1))
    classifier = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    classifier.load_state_dict(names)
    image = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    detector = predictor.detector
    batch = detector.prepare([image])
    # With its context, the box covers the whole image, so that the crop is the image, without resizing.
    box = torch.tensor([[16.0, 16.0, 208.0, 208.0]])
    with torch.no_grad():
        logits, _ = detector.region(detector.region_source(detector.maps(batch.images)), [box])
        expected = classifier(batch.images)
    assert_close(logits[:, :1000], expected, atol=1e-3, rtol=1e-3)
    assert float(functional.softmax(logits, -1)[0, 1000]) == 0


def test_photograph_of_one_object(predictor) -> None:
    from skimage import data

    predictor.proposer = lambda image: Proposals(torch.tensor([[0.0, 0.0, image.shape[1], image.shape[0]]]), torch.ones(1))
    detections = predictor(np.ascontiguousarray(data.chelsea()))
    assert "cat" in predictor.class_names[int(detections.labels[0])]
    assert len(predictor.class_names) == 1000
